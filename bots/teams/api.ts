import type { Delivery } from '../../core/ports/platform.ts';
import type { Runtime } from '../../core/ports/runtime.ts';
import type { Connector, Member, OutgoingActivity, Place } from './connector/connector.ts';
import { type Refusal, refusalIn } from './connector/http-client.ts';

/** What Teams said of a message. */
export type TeamsResult = { readonly ok: true; readonly id: string | null } | ({ readonly ok: false } & Refusal);

export type TeamsCall = {
  readonly signal: AbortSignal;
  /** Repeating it does no harm: failures of the network are tried again here. */
  readonly repeatable?: boolean;
  /** Do not wait out a 429 and do not try again: the next one carries the text. */
  readonly hurried?: boolean;
  /** Takes no turn in the conversation's pace (a typing sign). */
  readonly free?: boolean;
  /** Asked at the last moment before each try: see `Delivery.awake`. */
  readonly awake?: () => Promise<void>;
};

export type TeamsApi = {
  post(place: Place, activity: OutgoingActivity, how: TeamsCall): Promise<TeamsResult>;
  update(place: Place, activityId: string, activity: OutgoingActivity, how: TeamsCall): Promise<TeamsResult>;
  remove(place: Place, activityId: string, how: TeamsCall): Promise<TeamsResult>;
  open(
    serviceUrl: string,
    parameters: Readonly<Record<string, unknown>>,
    how: TeamsCall,
  ): Promise<
    | { readonly ok: true; readonly conversationId: string; readonly activityId: string | null }
    | ({ readonly ok: false } & Refusal)
  >;
  /** Null: not a member, or Teams would not say. */
  member(place: Place, memberId: string, signal: AbortSignal): Promise<Member | null>;
  /** Name by id. Empty: Teams would not say. */
  channels(serviceUrl: string, teamId: string, signal: AbortSignal): Promise<ReadonlyMap<string, string>>;
};

/** For one answer: says nothing any more where others say it. */
export const whileAwake = (api: TeamsApi, { awake }: Pick<Delivery, 'awake'>): TeamsApi =>
  awake === undefined
    ? api
    : {
        ...api,
        post: (place, activity, how) => api.post(place, activity, { ...how, awake }),
        update: (place, id, activity, how) => api.update(place, id, activity, { ...how, awake }),
        remove: (place, id, how) => api.remove(place, id, { ...how, awake }),
      };

export type TeamsApiSettings = {
  /** Least time between two messages into one conversation; Teams takes about one a second for long. */
  readonly paceMs: number;
  /** Longest single wait for a 429 before the work goes back in the queue. */
  readonly maxWaitMs: number;
};

/** What Microsoft says to try again: https://learn.microsoft.com/microsoftteams/platform/bots/how-to/rate-limit */
const passing = new Set([412, 502, 504]);
const maxConversations = 10_000;

/**
 * The connector with Teams' manners: paced per conversation, 429 waited out there and not for everybody, passing
 * failures tried again. What might have been done already is only repeated where that does no harm.
 */
export const createTeamsApi = (
  connector: Connector,
  runtime: Runtime,
  settings: TeamsApiSettings,
  dropToken: () => void,
): TeamsApi => {
  const { clock, random, log, metrics } = runtime;
  /** Conversation → when its next message may leave. */
  const turns = new Map<string, number>();
  /** Conversation → time before which it must be left alone. */
  const resting = new Map<string, number>();

  /** Takes the next free turn and waits for it. */
  const turn = async (conversation: string, signal: AbortSignal): Promise<void> => {
    const now = clock.now();
    const at = Math.max(now, turns.get(conversation) ?? 0, resting.get(conversation) ?? 0);
    turns.delete(conversation);
    turns.set(conversation, at + settings.paceMs);
    forgetPast(turns, now);
    forgetPast(resting, now);
    if (at <= now) return;
    metrics.observe('platform_wait_seconds', (at - now) / 1000, { platform: 'teams' });
    await clock.sleep(at - now, signal);
  };

  const attempt = async <T>(
    conversation: string,
    how: TeamsCall,
    call: () => Promise<T>,
  ): Promise<{ readonly value: T } | Refusal> => {
    let renewed = false;
    for (let tries = 1; ; tries += 1) {
      how.signal.throwIfAborted();
      if (how.hurried && (resting.get(conversation) ?? 0) > clock.now()) return busy;
      if (!how.free) await turn(conversation, how.signal);
      if (how.awake !== undefined) await how.awake();
      let refusal: Refusal;
      try {
        return { value: await call() };
      } catch (thrown) {
        how.signal.throwIfAborted();
        const found = refusalIn(thrown);
        if (found === null) throw thrown;
        refusal = found;
      }
      if (refusal.status === 401 && !renewed) {
        renewed = true;
        dropToken();
        continue;
      }
      if (refusal.status === 429) {
        const wait = Math.max(refusal.retryAfterMs ?? 1000 * 2 ** tries, 100);
        resting.set(conversation, clock.now() + wait);
        metrics.count('platform_limits_total', { platform: 'teams' });
        if (how.hurried || tries >= 8 || wait > settings.maxWaitMs) return { ...refusal, retryAfterMs: wait };
        log.debug('teams-rate-limited', { waitMs: wait });
        continue;
      }
      const harmless =
        refusal.code === 'unreachable'
          ? how.repeatable || refusal.certain
          : passing.has(refusal.status) || (how.repeatable && refusal.status >= 500);
      if (how.hurried || !harmless || tries >= 4) return refusal;
      await clock.sleep(250 * 2 ** tries * (0.75 + random.float() / 2), how.signal);
    }
  };

  const message = async (place: Place, how: TeamsCall, call: () => Promise<string | null>): Promise<TeamsResult> => {
    const result = await attempt(place.conversationId, how, call);
    return 'value' in result ? { ok: true, id: result.value } : { ok: false, ...result };
  };

  return {
    post: (place, activity, how) => message(place, how, () => connector.post(place, activity, how.signal)),
    update: (place, activityId, activity, how) =>
      message(place, { repeatable: true, ...how }, () =>
        connector.update(place, activityId, activity, how.signal).then(() => activityId),
      ),
    remove: (place, activityId, how) =>
      message(place, { repeatable: true, ...how }, () =>
        connector.remove(place, activityId, how.signal).then(() => null),
      ),
    open: async (serviceUrl, parameters, how) => {
      const result = await attempt(`open ${serviceUrl}`, { ...how, free: true }, () =>
        connector.open(serviceUrl, parameters, how.signal),
      );
      return 'value' in result ? { ok: true, ...result.value } : { ok: false, ...result };
    },
    member: async (place, memberId, signal) => {
      const result = await attempt(place.conversationId, { signal, repeatable: true, free: true }, () =>
        connector.member(place, memberId, signal),
      );
      return 'value' in result ? result.value : null;
    },
    channels: async (serviceUrl, teamId, signal) => {
      const result = await attempt(teamId, { signal, repeatable: true, free: true }, () =>
        connector.channels(serviceUrl, teamId, signal),
      );
      // The channel that every team begins with is the team's own thread, and is told without a name.
      const listed = 'value' in result ? result.value : [];
      return new Map(listed.flatMap(({ id, name }) => (id === undefined ? [] : [[id, name || 'General']])));
    },
  };
};

const busy: Refusal = { status: 429, code: 'resting', message: '', certain: true };

/** Bounded: what lies in the past says nothing any more, and then the oldest go. */
const forgetPast = (times: Map<string, number>, now: number): void => {
  if (times.size < maxConversations) return;
  for (const [key, at] of times) if (at <= now || times.size >= maxConversations) times.delete(key);
};
