import type { Connection } from '../core/domain.ts';
import type { CheckUpLine, Platform } from '../core/ports/platform.ts';

const withinMs = 20_000;

/** What is granted and what is missing for a connection, by its platform; a platform that is not configured is missing too. */
export const checkUpOf = async (
  platforms: readonly Platform[],
  connection: Connection,
  signal: AbortSignal,
): Promise<readonly CheckUpLine[]> => {
  const platform = platforms.find(({ name }) => name === connection.platform);
  if (platform === undefined)
    return [
      {
        item: `${connection.platform} is switched on`,
        ok: false,
        advice: `Configure ${connection.platform} in the environment of this deployment.`,
      },
    ];
  return platform.checkUp(connection, AbortSignal.any([signal, AbortSignal.timeout(withinMs)]));
};
