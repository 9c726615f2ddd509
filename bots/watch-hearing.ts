import type { Connection } from '../core/domain.ts';
import type { Workspaces } from '../core/ports/platform.ts';
import type { Clock } from '../core/ports/runtime.ts';

const lookEveryMs = 30_000;
/** Shorter outages heal by themselves, and what was said meanwhile is repeated. */
const downAfterMs = 5 * 60_000;

export type HearingWatch = { start(): void; stop(): void };

/**
 * Where a platform is heard over one connection of ours (Discord's gateway, Slack's Socket Mode): when it stays down, the
 * workspaces' tenants are told, once, and when it is up again their connections are well again.
 */
export const watchHearing = (parts: {
  readonly platform: Connection['platform'];
  /** Null: another instance hears. */
  isUp(): boolean | null;
  /** What is said of each workspace meanwhile. */
  readonly sentence: string;
  readonly workspaces: Pick<Workspaces, 'unheard' | 'heardAgain'>;
  readonly clock: Clock;
}): HearingWatch => {
  const { platform, sentence, workspaces, clock } = parts;
  const stopping = new AbortController();

  const run = async (): Promise<void> => {
    let downSince: number | null = null;
    let isTold = false;
    /** At the first look, too: another process may have told of an outage that ended with it. */
    let isWell = false;
    for (;;) {
      await clock.sleep(lookEveryMs, stopping.signal);
      const up = parts.isUp();
      if (up === false) {
        downSince ??= clock.now();
        if (isTold || clock.now() - downSince < downAfterMs) continue;
        isTold = true;
        isWell = false;
        await workspaces.unheard?.(platform, downSince, sentence);
        continue;
      }
      downSince = null;
      isTold = false;
      if (up && !isWell) await workspaces.heardAgain?.(platform, sentence);
      isWell = up === true;
    }
  };

  return {
    start: () => void run().catch(() => undefined),
    stop: () => stopping.abort(),
  };
};
