import type { Notice, Receiver, TenantId, Webhook } from '../domain.ts';
import { hashOf } from '../ids.ts';
import type { Happening, Tell } from '../ports/notices.ts';
import type { Runtime } from '../ports/runtime.ts';
import type { StateStore } from '../ports/state.ts';

/** The receiver of chat messages: which channel or person stands in the notice's body. */
export const chatReceiver = 'chat';

/** A message of ours to a channel or a person, as it is kept until it was said. */
export type ChatBody = { readonly to: Receiver; readonly markdown: string };

export type Notices = {
  readonly tell: Tell;
  /** One message to each receiver, once for each `id`, whoever else says the same at the same moment. */
  say(tenantId: TenantId, id: string, to: readonly Receiver[], markdown: string): Promise<void>;
  /** Something may be waiting: called after each of the above, and by whoever stores a notice itself. */
  onAdded(listener: () => void): void;
  added(): void;
  /** The tenant's webhooks were changed here. */
  forget(tenantId: TenantId): void;
};

/** How long another instance may go by a tenant's webhooks of before. */
const rememberForMs = 3_000;

/** Turns what happened into what is to be told, and stores it. Who delivers it: deliver.ts. */
export const createNotices = ({
  state,
  runtime,
}: {
  readonly state: StateStore;
  readonly runtime: Runtime;
}): Notices => {
  const { clock } = runtime;
  const listeners = new Set<() => void>();
  const known = new Map<TenantId, { readonly list: Promise<readonly Webhook[]>; readonly until: number }>();

  /** Asked for at every question, changed once in a while; a failed read is not remembered. */
  const webhooksOf = (tenantId: TenantId): Promise<readonly Webhook[]> => {
    const found = known.get(tenantId);
    if (found !== undefined && found.until > clock.now()) return found.list;
    if (known.size >= 10_000) known.clear();
    const entry = { list: state.webhooks.list(tenantId), until: clock.now() + rememberForMs };
    known.set(tenantId, entry);
    entry.list.catch(() => known.get(tenantId) === entry && known.delete(tenantId));
    return entry.list;
  };

  const add = async (tenantId: TenantId, notices: readonly Notice[]): Promise<void> => {
    if (notices.length === 0) return;
    await state.notices.add(tenantId, notices);
    added();
  };
  const added = (): void => {
    for (const listener of listeners) listener();
  };

  return {
    tell: async (happening) => {
      const webhooks = (await webhooksOf(happening.tenantId)).filter(
        ({ paused, events }) => paused === undefined && events.includes(happening.event),
      );
      await add(
        happening.tenantId,
        webhooks.map((webhook) => noticeFor(webhook, happening)),
      );
    },
    say: (tenantId, id, to, markdown) => {
      const now = clock.now();
      return add(
        tenantId,
        to.map((receiver): Notice => {
          const body: ChatBody = { to: receiver, markdown };
          return {
            id: `n_${hashOf(id, JSON.stringify(receiver)).slice(0, 32)}`,
            tenantId,
            receiver: chatReceiver,
            event: 'quota.warning',
            body: JSON.stringify(body),
            state: 'waiting',
            attempts: 0,
            createdAt: now,
            nextAt: now,
          };
        }),
      );
    },
    onAdded: (listener) => void listeners.add(listener),
    added,
    forget: (tenantId) => void known.delete(tenantId),
  };
};

/** What a webhook gets to read: the envelope of the Standard Webhooks specification, our data inside. */
export const noticeFor = (webhook: Pick<Webhook, 'id' | 'tenantId' | 'text'>, happening: Happening): Notice => {
  const { id, tenantId, event, at, data, text, memberId } = happening;
  const words = webhook.text ? (text ?? {}) : {};
  const body = {
    type: event,
    timestamp: new Date(at).toISOString(),
    data: { tenantId, ...data, ...words },
  };
  return {
    // The same happening is another message to another webhook, and the same one however often it is told.
    id: `msg_${hashOf(webhook.id, event, id).slice(0, 32)}`,
    tenantId,
    receiver: webhook.id,
    event,
    body: JSON.stringify(body),
    ...(memberId === undefined ? {} : { memberId }),
    state: 'waiting',
    attempts: 0,
    createdAt: at,
    nextAt: at,
  };
};
