import { z } from 'zod';
import type { InboundEvent } from '../../core/domain.ts';

/** Where an answer goes; serialisable, stored with the event, without any secret. */
export const slackHandle = z.object({
  team: z.string(),
  channel: z.string(),
  /** Absent: top level of the channel or of a direct message. */
  thread: z.string().optional(),
  /** The question's time; nothing that answers it is older. */
  ts: z.string(),
  user: z.string().optional(),
  userTeam: z.string().optional(),
  /** A command, a shortcut or a button: Slack's address for up to five replies within half an hour, even where we are no member. */
  respond: z.object({ url: z.string(), until: z.number() }).optional(),
});
export type SlackHandle = z.output<typeof slackHandle>;

/** A modal that is opened beside what was stored; Slack takes it for three seconds. */
export type Opening = { readonly triggerId: string; readonly view: Readonly<Record<string, unknown>> };

/** Something that needs an answer in manners only: nothing of it is kept, and nothing depends on it. */
export type Courtesy =
  | { readonly name: 'hello'; readonly team: string; readonly channel: string }
  | { readonly name: 'prompts'; readonly team: string; readonly channel: string; readonly user: string };

/** A payload either is an event in our words, or is accepted and ignored for a reason that goes into the log. */
export type Normalised =
  | {
      readonly kind: 'event';
      readonly event: InboundEvent;
      /** What the acknowledgement says to whoever typed or pressed. */
      readonly reply?: Readonly<Record<string, unknown>>;
      readonly opens?: Opening;
    }
  | { readonly kind: 'courtesy'; readonly courtesy: Courtesy }
  | { readonly kind: 'ignored'; readonly why: string };

export type NormaliseContext = {
  readonly receivedAt: number;
  /** Our user id in that workspace as `auth.test` gave it; the payload's authorizations win. */
  readonly botUserId: (workspaceId: string) => string | null;
};

export const ignored = (why: string): Normalised => ({ kind: 'ignored', why });

// ── shapes that several payloads share ──────────────────────────────────────────────────────────────────────────────

/** Slack means nothing by an absent field, a null and an empty word alike. */
export const maybe = z.string().min(1).optional().catch(undefined);
export const stamp = z.string().regex(/^\d{1,16}\.\d{1,9}$/);

/** A time of ours as Slack writes its own. */
export const stampOf = (ms: number): string =>
  `${Math.floor(ms / 1000)}.${String(Math.floor(ms % 1000) * 1000).padStart(6, '0')}`;

/** Slack's response addresses live half an hour; a minute is left for the sending. */
export const respondOf = (url: string | undefined, receivedAt: number): Pick<SlackHandle, 'respond'> =>
  url === undefined ? {} : { respond: { url, until: receivedAt + 29 * 60_000 } };
