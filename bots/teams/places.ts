import type { InboundEvent } from '../../core/domain.ts';
import { AppError } from '../../core/errors.ts';
import type { Destination } from '../../core/ports/platform.ts';
import { bounded } from '../bounded.ts';
import { type TeamsHandle, teamsHandle } from './activity.ts';
import type { TeamsApi, TeamsResult } from './api.ts';
import type { Cloud } from './clouds.ts';
import type { Place } from './connector/connector.ts';
import { refusal } from './sink.ts';

export type Places = {
  /** Where an event came from. */
  of(handle: TeamsHandle): Place;
  /** The chat of an event's author with the bot; the event's own, when that is one. */
  privately(
    handle: TeamsHandle,
    signal: AbortSignal,
  ): Promise<
    | { readonly ok: true; readonly place: Place }
    | { readonly ok: false; readonly result: Extract<TeamsResult, { readonly ok: false }> }
  >;
  /** Throws `platform-failed`. */
  to(destination: Destination, signal: AbortSignal): Promise<Place>;
  /** Learns from an event that was proven to come from Teams. */
  note(event: InboundEvent): void;
  /** Whether a message that did not mention the bot was ever heard in a channel or group chat of that organisation. */
  heardUnasked(tenant: string): boolean;
};

const maxKept = 10_000;

/** Conversations of Teams, and how to reach an organisation: by the service address it was heard from last, else the cloud's. */
export const createPlaces = (parts: {
  readonly api: TeamsApi;
  readonly cloud: Cloud;
  readonly appId: string | null;
}): Places => {
  const heard = bounded<{ readonly serviceUrl: string; readonly bot: string }>(maxKept);
  const unasked = new Set<string>();
  /** Tenant and person → their chat with the bot. */
  const chats = bounded<string>(maxKept);

  const reach = (tenant: string): { readonly serviceUrl: string; readonly bot: string } =>
    heard.get(tenant) ?? { serviceUrl: parts.cloud.serviceUrl, bot: `28:${parts.appId ?? ''}` };

  const chatWith = async (
    user: string,
    tenant: string,
    { serviceUrl, bot }: { readonly serviceUrl: string; readonly bot: string },
    signal: AbortSignal,
  ): ReturnType<Places['privately']> => {
    const key = `${tenant} ${user}`;
    const known = chats.get(key);
    if (known !== undefined) return { ok: true, place: { serviceUrl, conversationId: known } };
    const result = await parts.api.open(
      serviceUrl,
      {
        isGroup: false,
        bot: { id: bot },
        members: [{ id: user }],
        tenantId: tenant,
        channelData: { tenant: { id: tenant } },
      },
      // Opening the chat twice gives the same chat.
      { signal, repeatable: true },
    );
    if (!result.ok) return { ok: false, result };
    chats.set(key, result.conversationId);
    return { ok: true, place: { serviceUrl, conversationId: result.conversationId } };
  };

  return {
    of: ({ serviceUrl, conversation }) => ({ serviceUrl, conversationId: conversation }),
    privately: async (handle, signal) => {
      if (handle.kind === 'personal' || handle.user === undefined)
        return { ok: true, place: { serviceUrl: handle.serviceUrl, conversationId: handle.conversation } };
      return chatWith(handle.user, handle.tenant, handle, signal);
    },
    to: async ({ workspaceId, channelId, threadId, userId }, signal) => {
      const { serviceUrl, bot } = reach(workspaceId);
      if (channelId !== undefined) {
        // A thread of a chat is the chat itself.
        const threaded = threadId !== undefined && threadId !== channelId;
        return { serviceUrl, conversationId: threaded ? `${channelId};messageid=${threadId}` : channelId };
      }
      if (userId === undefined) throw new AppError('platform-failed', 'The message has no destination in Teams.');
      const chat = await chatWith(userId, workspaceId, { serviceUrl, bot }, signal);
      if (!chat.ok) throw refusal(chat.result);
      return chat.place;
    },
    note: (event) => {
      const handle = teamsHandle.safeParse(event.handle);
      if (!handle.success) return;
      heard.set(event.workspaceId, { serviceUrl: handle.data.serviceUrl, bot: handle.data.bot });
      if (event.scope === 'dm')
        for (const person of [event.author.id, handle.data.user])
          if (person !== undefined) chats.set(`${event.workspaceId} ${person}`, handle.data.conversation);
      if (event.kind === 'message' && event.scope !== 'dm' && event.addressed === 'none' && unasked.size < maxKept)
        unasked.add(event.workspaceId);
    },
    heardUnasked: (tenant) => unasked.has(tenant),
  };
};
