import { z } from 'zod';
import type { InboundEvent, Scope, Standing } from '../../core/domain.ts';

/** An activity either is an event in our words, or is accepted and ignored for a reason that goes into the log. */
export type Normalised =
  | { readonly kind: 'event'; readonly event: InboundEvent }
  | { readonly kind: 'ignored'; readonly why: string };

export const event = (made: InboundEvent): Normalised => ({ kind: 'event', event: made });
export const ignored = (why: string): Normalised => ({ kind: 'ignored', why });

/** Where an answer goes: Teams' conversation reference, serialisable, stored with the event, without any secret. */
export const teamsHandle = z.object({
  /** Proven by the token of the activity that it came with. */
  serviceUrl: z.string(),
  tenant: z.string(),
  /** With `;messageid=` for a thread of a channel. */
  conversation: z.string(),
  kind: z.enum(['personal', 'group', 'channel']),
  bot: z.string(),
  user: z.string().optional(),
  /** Of a channel: what a link to one of its messages needs. */
  team: z.string().optional(),
  /** The same team by its own thread, as Teams itself names it to bots. */
  teamThread: z.string().optional(),
});
export type TeamsHandle = z.output<typeof teamsHandle>;

/** Bot Framework means nothing by an absent field, a null and an empty word alike. */
export const maybe = z.string().min(1).max(2000).optional().catch(undefined);
const account = z.object({
  id: z.string().min(1).max(500),
  name: maybe,
  aadObjectId: maybe,
  role: maybe,
  userRole: maybe,
  tenantId: maybe,
});
const attachment = z.object({
  contentType: maybe,
  contentUrl: maybe,
  name: maybe,
  content: z.unknown().optional(),
});
export const mentionEntity = z.object({
  type: z.literal('mention'),
  mentioned: z.object({ id: z.string(), name: maybe }),
  text: z.string().catch(''),
});
const channelData = z.object({
  tenant: z.object({ id: maybe }).optional().catch(undefined),
  channel: z.object({ id: maybe, type: maybe }).optional().catch(undefined),
  team: z.object({ id: maybe, aadGroupId: maybe }).optional().catch(undefined),
  eventType: maybe,
});
const activity = z.object({
  type: z.string(),
  id: maybe,
  name: maybe,
  timestamp: z.union([z.string(), z.date()]).optional().catch(undefined),
  serviceUrl: z.string().min(1),
  from: account,
  recipient: account.optional().catch(undefined),
  conversation: z.object({
    id: z.string().min(1).max(1000),
    conversationType: maybe,
    isGroup: z.boolean().optional().catch(undefined),
    tenantId: maybe,
  }),
  channelData: channelData.optional().catch(undefined),
  text: z.string().optional().catch(undefined),
  entities: z.array(z.unknown()).max(200).optional().catch(undefined),
  attachments: z.array(attachment).max(50).optional().catch(undefined),
  membersAdded: z.array(account).max(1000).optional().catch(undefined),
  membersRemoved: z.array(account).max(1000).optional().catch(undefined),
  action: maybe,
  replyToId: maybe,
  value: z.unknown().optional(),
});
export type TeamsActivity = z.output<typeof activity>;

/** What the driver knows beside the activity. */
export type NormaliseContext = {
  readonly receivedAt: number;
};

/** One activity, with where it stands. */
export type Here = {
  readonly body: TeamsActivity;
  readonly tenant: string;
  readonly scope: Scope;
  /** The whole conversation, without the thread in it. */
  readonly channel: string;
  /** Root message of the thread, in channels. */
  readonly root: string | null;
  readonly bot: string;
  readonly at: number;
  readonly context: NormaliseContext;
};

/** A string: why it is set aside. */
export const readActivity = (posted: unknown, context: NormaliseContext): Here | string => {
  const parsed = activity.safeParse(posted);
  if (!parsed.success) return 'unreadable';
  const body = parsed.data;
  const tenant = body.channelData?.tenant?.id ?? body.conversation.tenantId;
  return tenant === undefined ? 'no-workspace' : hereOf(body, tenant, context);
};

const hereOf = (body: TeamsActivity, tenant: string, context: NormaliseContext): Here => {
  const { conversation } = body;
  const scope: Scope =
    conversation.conversationType === 'channel'
      ? 'channel'
      : conversation.conversationType === 'groupChat' || conversation.isGroup === true
        ? 'group'
        : 'dm';
  const [channel = conversation.id, root] = conversation.id.split(';messageid=');
  const at = body.timestamp === undefined ? Number.NaN : new Date(body.timestamp).getTime();
  return {
    body,
    tenant,
    scope,
    channel,
    root: root ?? null,
    bot: body.recipient?.id ?? '',
    at: Number.isNaN(at) ? context.receivedAt : at,
    context,
  };
};

export const handleOf = (here: Here): TeamsHandle => ({
  serviceUrl: here.body.serviceUrl,
  tenant: here.tenant,
  conversation:
    here.scope === 'channel' ? `${here.channel};messageid=${here.root ?? here.body.id ?? ''}` : here.channel,
  kind: here.scope === 'dm' ? 'personal' : here.scope,
  bot: here.bot,
  user: here.body.from.id,
  ...(here.body.channelData?.team?.aadGroupId === undefined ? {} : { team: here.body.channelData.team.aadGroupId }),
  ...(here.body.channelData?.team?.id === undefined ? {} : { teamThread: here.body.channelData.team.id }),
});

const standingOf = ({ body, tenant }: Here): Standing | null => {
  const role = (body.from.userRole ?? body.from.role ?? '').toLowerCase();
  if (role === 'guest') return 'guest';
  if (role === 'anonymous') return 'outsider';
  if (body.from.tenantId !== undefined) return body.from.tenantId === tenant ? 'member' : 'outsider';
  return null;
};

export const authorOf = (here: Here): InboundEvent['author'] => {
  const { from } = here.body;
  const isSelf = here.bot !== '' && from.id === here.bot;
  const standing = standingOf(here);
  return {
    id: from.aadObjectId ?? from.id,
    // Bots have ids of their own kind in Teams; connectors post with no directory object at all.
    isBot: isSelf || from.role === 'bot' || from.id.startsWith('28:'),
    isSelf,
    ...(from.name === undefined ? {} : { name: from.name }),
    ...(standing === null ? {} : { standing }),
  };
};

const orderOf = (at: number): string => String(at).padStart(15, '0');

/** What every event has in common. */
export type Common = Omit<InboundEvent, 'kind' | 'dedupeKeys' | 'messageId'>;

export const common = (here: Here): Common => ({
  platform: 'teams',
  workspaceId: here.tenant,
  channelId: here.channel,
  threadId: here.scope === 'channel' ? (here.root ?? here.body.id ?? here.channel) : here.channel,
  orderKey: orderOf(here.at),
  scope: here.scope,
  addressed: 'none',
  author: authorOf(here),
  ...(here.body.channelData?.channel?.type === 'shared' ? { shared: true } : {}),
  text: '',
  attachments: [],
  receivedAt: here.context.receivedAt,
  handle: handleOf(here),
});

/** Activity ids are a conversation's own. */
export const keyOf = (here: Here, own: string): string => `teams:${here.tenant}:${here.body.conversation.id}:${own}`;
