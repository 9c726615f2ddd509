import { fetch } from 'undici';
import { z } from 'zod';
import { isAppError } from '../../core/errors.ts';
import type { Earlier } from '../../core/ports/platform.ts';
import type { Runtime } from '../../core/ports/runtime.ts';
import { readBounded } from '../../core/security/read-bounded.ts';
import { maybe, type TeamsHandle } from './activity.ts';
import type { Cloud } from './clouds.ts';
import { textOfHtml } from './text.ts';
import { createTeamsTokens, type TeamsTokens } from './tokens.ts';

/** What Teams does not tell a bot, and Microsoft Graph does where somebody consented to it. */
export type Graph = {
  /** Somebody owns that team. False without the consent of an owner of it. */
  isOwner(tenant: string, team: string, person: string, signal: AbortSignal): Promise<boolean>;
  /** Somebody administers the organisation, or Teams in it. False without an administrator's consent. */
  isAdministrator(tenant: string, person: string, signal: AbortSignal): Promise<boolean>;
  /** What an organisation calls itself. Null without the consent of an administrator. */
  organisation(tenant: string, signal: AbortSignal): Promise<string | null>;
  /** Of a thread of a channel, or of a group chat; oldest first, before `before`. Empty without consent. */
  earlier(where: TeamsHandle, before: number, limit: number, signal: AbortSignal): Promise<readonly Earlier[]>;
};

const timeoutMs = 3_000;
const maxReply = 2_000_000;
/** A team or chat whose owner did not consent is not asked about again for this long. */
const deniedForMs = 600_000;
const maxKept = 1_000;
/** The most that Graph gives at once. */
const mostAtOnce = 50;

const message = z.object({
  id: z.string(),
  messageType: maybe,
  createdDateTime: z.string(),
  deletedDateTime: maybe.nullable(),
  from: z
    .object({
      user: z.object({ id: z.string(), displayName: maybe.nullable() }).nullish().catch(null),
      application: z.object({ id: z.string(), displayName: maybe.nullable() }).nullish().catch(null),
    })
    .nullish()
    .catch(null),
  body: z.object({ contentType: maybe, content: z.string().catch('') }),
});
type Message = z.output<typeof message>;

const directoryId = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const rows = z.object({ value: z.array(z.unknown()).max(200) }).catch({ value: [] });
/** https://learn.microsoft.com/graph/api/team-list-members */
const membership = z.object({ userId: z.string(), roles: z.array(z.string()) });
/** Of the whole directory, not of a unit in it. https://learn.microsoft.com/graph/api/rbacapplication-list-roleassignments */
const assignment = z.object({
  principalId: z.string(),
  roleDefinitionId: z.string(),
  directoryScopeId: z.literal('/'),
});
/** The same in every directory: Global Administrator, Teams Administrator. */
const administrators: ReadonlySet<string> = new Set([
  '62e90394-69f5-4237-9190-012177145e10',
  '69091246-20e8-4a56-aa4d-066075b2a7a8',
]);

/**
 * The same consent with which Teams lets a bot hear everything (`--hear-all`) lets it read these messages too: of one
 * team or one chat, by its owner's word, and of nothing else in the organisation.
 * https://learn.microsoft.com/graph/api/chatmessage-list-replies
 */
export const createGraph = (parts: {
  readonly app: { readonly id: string; readonly password: string };
  readonly cloud: Cloud;
  readonly runtime: Runtime;
}): Graph => {
  const { app, cloud, runtime } = parts;
  /** Directory → tokens that its own login gives for Graph; of the bot's home it would be nobody there. */
  const tokens = new Map<string, TeamsTokens>();
  const denied = new Map<string, number>();

  const tokensOf = (tenantId: string): TeamsTokens => {
    const known = tokens.get(tenantId);
    if (known !== undefined) return known;
    const made = createTeamsTokens({
      appId: app.id,
      password: app.password,
      tenantId,
      cloud: { ...cloud, audience: cloud.graphUrl },
      runtime,
    });
    if (tokens.size >= maxKept) tokens.clear();
    tokens.set(tenantId, made);
    return made;
  };

  /** Null: Graph does not say, and why is not worth an answer's time. */
  const get = async (tenantId: string, path: string, signal: AbortSignal): Promise<unknown> => {
    const within = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
    const reply = await fetch(`${cloud.graphUrl}/v1.0${path}`, {
      headers: { authorization: `Bearer ${await tokensOf(tenantId).get(within)}` },
      redirect: 'error',
      signal: within,
    });
    const body = await readBounded(reply.body, maxReply);
    if (body === null) return null;
    if (reply.ok) return JSON.parse(body.toString('utf8'));
    runtime.log.info('teams-history-not-read', { status: reply.status });
    if (reply.status === 401) tokensOf(tenantId).drop();
    return reply.status === 403 || reply.status === 404 ? 'denied' : null;
  };

  /** Somebody's rows of a list; none where Graph does not say. `person` goes into a filter, so it must be an id of a directory. */
  const rowsOf = async (
    tenant: string,
    path: string,
    person: string,
    signal: AbortSignal,
  ): Promise<readonly unknown[]> => {
    if (!directoryId.test(person)) return [];
    try {
      return rows.parse(await get(tenant, path, signal)).value;
    } catch (thrown) {
      signal.throwIfAborted();
      runtime.log.info('teams-roles-not-read', { code: isAppError(thrown) ? (thrown.at ?? thrown.code) : 'network' });
      return [];
    }
  };

  return {
    isOwner: async (tenant, team, person, signal) => {
      const filter = encodeURIComponent(`(microsoft.graph.aadUserConversationMember/userId eq '${person}')`);
      const found = await rowsOf(
        tenant,
        `/teams/${encodeURIComponent(team)}/members?$filter=${filter}`,
        person,
        signal,
      );
      return found.some((row) => {
        const member = membership.safeParse(row);
        return member.success && member.data.userId === person && member.data.roles.includes('owner');
      });
    },
    isAdministrator: async (tenant, person, signal) => {
      const filter = encodeURIComponent(`principalId eq '${person}'`);
      const path = `/roleManagement/directory/roleAssignments?$filter=${filter}`;
      const found = await rowsOf(tenant, path, person, signal);
      return found.some((row) => {
        const role = assignment.safeParse(row);
        return role.success && role.data.principalId === person && administrators.has(role.data.roleDefinitionId);
      });
    },
    organisation: async (tenant, signal) => {
      if ((denied.get(tenant) ?? 0) > runtime.clock.now()) return null;
      const reply = await get(tenant, '/organization?$select=displayName', signal).catch(() => 'denied');
      const name = z.object({ displayName: z.string().min(1) }).safeParse(rows.parse(reply).value[0]).data?.displayName;
      if (name === undefined) denied.set(tenant, runtime.clock.now() + deniedForMs);
      return name ?? null;
    },
    earlier: async (where, before, limit, signal) => {
      const paths = pathsOf(where, Math.min(limit, mostAtOnce));
      const place = `${where.tenant} ${where.kind === 'channel' ? where.team : where.conversation}`;
      if (paths.length === 0 || (denied.get(place) ?? 0) > runtime.clock.now()) return [];
      const leaveAlone = (): readonly Earlier[] => {
        if (denied.size >= maxKept) denied.clear();
        denied.set(place, runtime.clock.now() + deniedForMs);
        return [];
      };
      try {
        const replies = await Promise.all(paths.map((path) => get(where.tenant, path, signal)));
        if (replies.includes('denied')) return leaveAlone();
        return replies
          .flatMap(messagesIn)
          .map((found) => earlierOf(found, where))
          .filter((one) => one.at < before && one.text !== '')
          .sort((a, b) => a.at - b.at)
          .slice(-limit);
      } catch (thrown) {
        signal.throwIfAborted();
        // No consent at all in that directory, or an outage: the question is answered without.
        runtime.log.info('teams-history-not-read', {
          code: isAppError(thrown) ? (thrown.at ?? thrown.code) : 'network',
        });
        return leaveAlone();
      }
    },
  };
};

/** A thread is its first message and the replies to it; a chat is one list. */
const pathsOf = (where: TeamsHandle, limit: number): readonly string[] => {
  const [conversation = '', root] = where.conversation.split(';messageid=').map(encodeURIComponent);
  if (where.kind === 'group') return [`/chats/${conversation}/messages?$top=${limit}`];
  if (where.kind !== 'channel' || where.team === undefined || root === undefined) return [];
  const thread = `/teams/${encodeURIComponent(where.team)}/channels/${conversation}/messages/${root}`;
  return [thread, `${thread}/replies?$top=${limit}`];
};

const listed = z.object({ value: z.array(z.unknown()).max(200) });

const messagesIn = (reply: unknown): readonly Message[] => {
  const list = listed.safeParse(reply);
  const found = list.success ? list.data.value : [reply];
  return found.flatMap((one) => {
    const parsed = message.safeParse(one);
    const isWritten = parsed.success && (parsed.data.messageType ?? 'message') === 'message';
    return isWritten && !parsed.data.deletedDateTime ? [parsed.data] : [];
  });
};

const earlierOf = ({ id, createdDateTime, from, body }: Message, { bot }: TeamsHandle): Earlier => {
  const writer = from?.user ?? from?.application;
  const isBot = from?.user == null;
  const name = writer?.displayName ?? undefined;
  return {
    messageId: id,
    author: {
      id: writer?.id ?? 'unknown',
      isBot,
      isSelf: isBot && `28:${writer?.id}` === bot,
      ...(name === undefined ? {} : { name }),
    },
    text: body.contentType === 'text' ? body.content.trim() : textOfHtml(body.content),
    at: Date.parse(createdDateTime),
  };
};
