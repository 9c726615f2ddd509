import type { Hono } from 'hono';
import type {
  Attachment,
  Citation,
  Connection,
  Home,
  InboundEvent,
  Mention,
  PlatformName,
  Scope,
  Standing,
} from '../domain.ts';

/** What a platform can do in a scope, as data: the core decides nothing by a platform's name. */
export type Capabilities = {
  readonly nativeStream: boolean;
  readonly edit: boolean;
  readonly maxCharacters: number;
  readonly minUpdateIntervalMs: number;
  readonly status: boolean;
  readonly feedback: boolean;
  readonly nativeCitations: boolean;
  readonly ephemeral: boolean;
  readonly tables: boolean;
  /** A stop button can stand beside an answer that is being written. */
  readonly stop?: boolean;
};

/** How an answer is to be given. Absent fields: publicly, without a stop button. */
export type Manner = {
  /** Only the asker sees it: ephemeral where the platform can, else a direct message. */
  readonly private?: boolean;
  /** Offer a button that stops this delivery while the answer is being written. */
  readonly stoppable?: boolean;
  /** What stands on that button, at most 40 characters; absent: the driver's own word. */
  readonly stopTitle?: string;
};

/** What stands under a finished answer, for as far as the platform can. */
export type Offer = 'thumbs' | 'solved' | 'human' | 'publish';

/** Identity of one delivery: stored before the first byte leaves, so that a crash cannot answer twice. */
export type Delivery = {
  /** The outbox id; the sink stamps it on what it sends (Slack metadata, Discord nonce). */
  readonly id: string;
  /** Platform message ids that an earlier attempt recorded. */
  readonly postedIds: readonly string[];
  /** An earlier attempt may have sent something that was not recorded: look before sending. */
  readonly uncertain: boolean;
  /**
   * Record a message id as soon as the platform has given it. `last`: nothing is posted after it, so that it may be
   * written together with the end of the delivery.
   */
  posted(messageId: string, last?: boolean): Promise<void>;
  /**
   * Before every word to the platform: costs nothing as a rule, and rejects with `lease-lost` when others are answering by
   * now. A machine that slept wakes with timers that are late, and `signal` is ended by one of them.
   */
  awake?(): Promise<void>;
};

export type FinishedAnswer = {
  /** Canonical Markdown with `[n]` markers, already contained. */
  readonly markdown: string;
  readonly citations: readonly Citation[];
  /** Present: the offers carry this answer id. */
  readonly feedbackId?: string;
  /** Absent: thumbs, when there is a feedbackId. */
  readonly offers?: readonly Offer[];
  /** What stands on their buttons, at most 40 characters each; absent: the driver's own words. */
  readonly titles?: Titles;
};

export type Titles = Readonly<Partial<Record<Exclude<Offer, 'thumbs'>, string>>>;

/** Where a message of our own goes: a channel, one of its threads, or a person (a direct message is opened). */
export type Destination = {
  readonly workspaceId: string;
  readonly channelId?: string;
  readonly threadId?: string;
  readonly userId?: string;
};

/** Somebody's words in a thread before the bot was called into it. */
export type Earlier = {
  readonly messageId: string;
  readonly author: InboundEvent['author'];
  readonly text: string;
  readonly at: number;
};

/** One answer on its way to a person. Full text each time; the sink owns pacing, splitting, fallback and seal. */
export type AnswerSink = {
  /** A sign of life; failures are swallowed. */
  status(text: string): Promise<void>;
  update(fullMarkdown: string): Promise<void>;
  /** Exactly one of finish and fail is called, once. Resolves when the platform has taken everything. */
  finish(answer: FinishedAnswer): Promise<void>;
  fail(sentence: string): Promise<void>;
  /** The person pressed stop, or the question was deleted. */
  readonly cancelled: AbortSignal;
};

/** The workspaces of a platform as its driver may know them: who they belong to, and their credentials, opened. */
export type Workspaces = {
  byId(connectionId: string): Promise<Connection | null>;
  byWorkspace(platform: Connection['platform'], workspaceId: string): Promise<Connection | null>;
  /** Null: the connection uses the deployment's own. */
  credentials(connection: Connection): Promise<Readonly<Record<string, string>> | null>;
  /** An installation that no tenant has claimed yet; null when there is none, or the workspace is connected. */
  pending(platform: Connection['platform'], workspaceId: string): Promise<Pending | null>;
  /**
   * The app was installed (or installed again). A connected workspace gets the new credentials and its connection is
   * returned; any other waits to be claimed, and null is returned. Without credentials those that are kept stay.
   */
  install(input: {
    readonly platform: Connection['platform'];
    readonly workspaceId: string;
    readonly credentials?: Readonly<Record<string, string>>;
    /** No secrets; `name` is the workspace's. */
    readonly info?: Readonly<Record<string, string>>;
    /** Who did it, for the audit trail; absent: nobody did anything, credentials were renewed. */
    readonly by?: string;
  }): Promise<Connection | null>;
  /** The app was removed or its token revoked: credentials go, a connection stays with the sentence as its last error. */
  uninstall(platform: Connection['platform'], workspaceId: string, sentence?: string): Promise<void>;
  /** A one-time code with which an administrator connects this workspace to a tenant; show it to nobody else. */
  offerCode(
    platform: Connection['platform'],
    workspaceId: string,
  ): Promise<{ readonly code: string; readonly expiresAt: number }>;
  /**
   * What the driver wants to know of a workspace again after a restart, to whomever it belongs: merged with what was kept,
   * by names of letters, no secrets.
   */
  keep?(platform: Connection['platform'], workspaceId: string, info: Readonly<Record<string, string>>): Promise<void>;
  /** What was kept; empty for a workspace of which nothing was. */
  kept?(platform: Connection['platform'], workspaceId: string): Promise<Readonly<Record<string, string>>>;
  /** How the bot says hello in this workspace; null: in our words. */
  greeting?(platform: Connection['platform'], workspaceId: string): Promise<string | null>;
  /**
   * Kept for the check-up: what went wrong with this workspace, in words. `lost`: nothing will work until somebody sees to
   * it, which the tenant's webhooks are told at most once a day. Never rejects.
   */
  failed(connection: Connection, sentence: string, how?: 'lost'): Promise<void>;
  /**
   * The one connection over which all workspaces of the platform are heard has been down since then: what none of them
   * has disproved by a sign of life is kept and told like `lost`. Never rejects.
   */
  unheard?(platform: Connection['platform'], since: number, sentence: string): Promise<void>;
  /** It is up again: whoever was told so before is well. Never rejects. */
  heardAgain?(platform: Connection['platform'], sentence: string): Promise<void>;
};

export type Pending = {
  readonly credentials: Readonly<Record<string, string>> | null;
  readonly info: Readonly<Record<string, string>>;
  readonly installedAt: number;
};

/** The verdict of `core.receive`; every one of them may be acknowledged. A throw must not be. */
export type Received = { readonly outcome: 'stored' | 'duplicate' };

export type Platform = {
  readonly name: PlatformName;
  /** Begin hearing (socket mode, gateway). Webhook platforms only keep `receive`. */
  start(receive: (event: InboundEvent) => Promise<Received>): Promise<void>;
  /** Webhook routes, mounted at the root. */
  readonly routes?: Hono;
  /** `event.handle` says where. */
  openAnswer(event: InboundEvent, delivery: Delivery, signal: AbortSignal, manner?: Manner): Promise<AnswerSink>;
  /**
   * A message of our own, not an answer: calling a human, a warning, a code. `id` makes it idempotent where the platform
   * can. `people` are pinged, nobody else is. Returns the message's id. Throws AppError `platform-failed`.
   */
  say?(
    to: Destination,
    message: { readonly id: string; readonly markdown: string; readonly people?: readonly string[] },
    signal: AbortSignal,
  ): Promise<string>;
  /** A reply only the event's author sees: for commands and for words that are nobody else's business. */
  whisper?(event: InboundEvent, markdown: string, signal: AbortSignal): Promise<void>;
  /** A whisper with a button for each of the event's homes; a press comes back as the action `choose`. */
  askHome?(event: InboundEvent, markdown: string, homes: readonly Home[], signal: AbortSignal): Promise<void>;
  /** What was written in the event's thread before it, oldest first, at most `limit`; one call of the platform's API. */
  earlier?(event: InboundEvent, limit: number, signal: AbortSignal): Promise<readonly Earlier[]>;
  /** Nothing was said before this, so that nobody looks for it. */
  opensThread?(event: InboundEvent): boolean;
  /** The bytes of a file that came with the event. Throws `too-large` past `maxBytes`, `platform-failed`. */
  download?(event: InboundEvent, attachment: Attachment, maxBytes: number, signal: AbortSignal): Promise<Uint8Array>;
  /**
   * How the event's author belongs to the organisation, where the event itself does not say. Null: the platform does not
   * tell, and the author is treated as a guest. Throws `platform-failed` when it cannot be asked now.
   */
  standing?(event: InboundEvent, signal: AbortSignal): Promise<Standing | null>;
  /**
   * The e-mail address of the event's author for which the platform, or the organisation behind it, vouches. Null: there
   * is none, or the platform does not tell. Throws `platform-failed` when it cannot be asked now.
   */
  address?(event: InboundEvent, signal: AbortSignal): Promise<string | null>;
  /** The event's mentions with the ids under which those people are authors, where the platform writes others into mentions. */
  mentioned?(event: InboundEvent, signal: AbortSignal): Promise<readonly Mention[]>;
  /**
   * May the event's author change the rules of its channel (whoever owns the channel, an administrator), or decide whom the
   * whole workspace belongs to (its administrators alone)? Absent: the channel.
   */
  mayManage?(event: InboundEvent, signal: AbortSignal, what?: Managed): Promise<boolean>;
  /**
   * Whether people of other organisations read the event's channel, where the event itself does not say. Throws
   * `platform-failed` when it cannot be asked now.
   */
  isShared?(event: InboundEvent, signal: AbortSignal): Promise<boolean>;
  /** A link to a message, for people. */
  permalink?(event: InboundEvent, messageId: string, signal: AbortSignal): Promise<string | null>;
  /** Remove an answer whose question was deleted; best effort. */
  retract?(event: InboundEvent, messageIds: readonly string[], signal: AbortSignal): Promise<void>;
  capabilities(scope: Scope): Capabilities;
  checkUp(connection: Connection, signal: AbortSignal): Promise<readonly CheckUpLine[]>;
  /**
   * What people call the workspace, these of its channels, and these people in it. What cannot be known is absent; rejects
   * when nothing can.
   */
  names?(
    connection: Connection,
    channelIds: readonly string[],
    signal: AbortSignal,
    userIds?: readonly string[],
  ): Promise<PlaceNames>;
  /** What this deployment can offer somebody who wants the bot in a workspace. Never rejects: what cannot be known is absent. */
  joining?(signal: AbortSignal): Promise<Joining>;
  stop(): Promise<void>;
};

export type Managed = 'channel' | 'workspace';

export type Joining = {
  /** Where an administrator of a workspace takes the bot in: a path of ours, or an address of the platform's. */
  readonly link?: string;
  /** A file to be uploaded to the platform instead. */
  readonly file?: { readonly name: string; readonly mediaType: string; readonly bytes: Uint8Array };
  /** A workspace may bring an app of its own; the names of the credentials that it needs. */
  readonly ownApp?: readonly string[];
};

/** `channels` and `people`: by id, without a sign before the name. */
export type PlaceNames = {
  readonly workspace?: string;
  readonly channels: Readonly<Record<string, string>>;
  readonly people?: Readonly<Record<string, string>>;
};

export type CheckUpLine = { readonly item: string; readonly ok: boolean; readonly advice?: string };
