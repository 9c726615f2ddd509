import type { Door } from './verb.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Opens the stores for a verb, in this process: the embedded default allows several on one DATA_DIR, so `footnote ask`
 * works beside a running `footnote serve`. Loaded late, so that --help costs nothing.
 */
export const openDoor = async (env: Environment): Promise<Door> => {
  const main = await import('../main.ts');
  // Standard output belongs to the verb's own words; LOG_LEVEL=debug brings the log back.
  const isLogLevelSet = Boolean(env.LOG_LEVEL || env.LOG_LEVEL_FILE);
  return main.openCore({
    ...env,
    ...(isLogLevelSet ? {} : { LOG_LEVEL: 'silent' }),
  });
};
