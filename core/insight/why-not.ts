import type { Core } from '../core.ts';
import type { InboxRow, StateStore } from '../ports/state.ts';

/** Answers that are looked through for places that a link does not tell. */
const receiptsRead = 200;
/** Places that are asked about one message. */
const placesTried = 40;

/**
 * What became of one message of the tenant's own workspaces: each thing that was heard about it, oldest first. Another
 * tenant's messages are answered like ones that nobody heard of.
 */
export const createWhyNot =
  ({ state }: { readonly state: Pick<StateStore, 'connections' | 'inbox' | 'receipts'> }): Core['answers']['whyNot'] =>
  async (tenantId, message) => {
    const { platform, messageId } = message;
    const own = new Set(
      (await state.connections.list(tenantId))
        .filter((connection) => connection.platform === platform)
        .map(({ workspaceId }) => workspaceId),
    );
    const isOurs = (row: InboxRow): boolean =>
      row.tenantId === tenantId || (row.tenantId === undefined && own.has(row.event.workspaceId));
    const heardIn = async (places: Iterable<string>): Promise<readonly InboxRow[]> => {
      for (const place of [...places].slice(0, placesTried)) {
        const [workspaceId, channelId] = JSON.parse(place) as [string, string];
        const rows = (await state.inbox.byMessage(platform, workspaceId, channelId, messageId)).filter(isOurs);
        if (rows.length > 0) return rows;
      }
      return [];
    };
    const placesOf = (workspaces: Iterable<string>, channels: Iterable<string>): Set<string> => {
      const all = [...channels];
      return new Set(
        [...workspaces].flatMap((workspace) => all.map((channel) => JSON.stringify([workspace, channel]))),
      );
    };

    const told = message.workspaceId === undefined ? own : [message.workspaceId];
    let rows = await heardIn(placesOf(told, [message.channelId]));
    if (rows.length === 0) {
      // A workspace that is the tenant's by configuration has no connection; a thread of Discord is written under the
      // channel that it belongs to. Earlier answers tell of both.
      const { items } = await state.receipts.list(tenantId, { platform }, { limit: receiptsRead });
      const seen = (pick: (item: (typeof items)[number]) => string | undefined): readonly string[] =>
        items.map(pick).filter((value) => value !== undefined);
      const workspaces = message.workspaceId === undefined ? seen((item) => item.workspaceId) : [message.workspaceId];
      const channels = platform === 'discord' ? seen((item) => item.channelId) : [];
      rows = await heardIn(placesOf(workspaces, [message.channelId, ...channels]));
    }
    return Promise.all(
      rows.slice(0, 50).map(async ({ event, state: rowState, receivedAt, reason, answerId }) => ({
        kind: event.kind,
        settled: rowState === 'settled',
        receivedAt,
        ...(reason === undefined ? {} : { reason }),
        receipt: answerId === undefined ? null : await state.receipts.get(tenantId, answerId),
      })),
    );
  };
