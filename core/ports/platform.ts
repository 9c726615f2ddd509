import type { Hono } from 'hono';
import type { Citation, Connection, InboundEvent, PlatformName, Scope } from '../domain.ts';

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
};

/** Identity of one delivery: stored before the first byte leaves, so that a crash cannot answer twice. */
export type Delivery = {
  /** The outbox id; the sink stamps it on what it sends (Slack metadata, Discord nonce). */
  readonly id: string;
  /** Platform message ids that an earlier attempt recorded. */
  readonly postedIds: readonly string[];
  /** An earlier attempt may have sent something that was not recorded: look before sending. */
  readonly uncertain: boolean;
  /** Record a message id as soon as the platform has given it. */
  posted(messageId: string): Promise<void>;
};

export type FinishedAnswer = {
  /** Canonical Markdown with `[n]` markers, already contained. */
  readonly markdown: string;
  readonly citations: readonly Citation[];
  /** Present: offer thumbs, carrying this answer id. */
  readonly feedbackId?: string;
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

/** The verdict of `core.receive`; every one of them may be acknowledged. A throw must not be. */
export type Received = { readonly outcome: 'stored' | 'duplicate' };

export type Platform = {
  readonly name: PlatformName;
  /** Begin hearing (socket mode, gateway). Webhook platforms only keep `receive`. */
  start(receive: (event: InboundEvent) => Promise<Received>): Promise<void>;
  /** Webhook routes, mounted at the root. */
  readonly routes?: Hono;
  /** `event.handle` says where. */
  openAnswer(event: InboundEvent, delivery: Delivery, signal: AbortSignal): Promise<AnswerSink>;
  /** Remove an answer whose question was deleted; best effort. */
  retract?(event: InboundEvent, messageIds: readonly string[], signal: AbortSignal): Promise<void>;
  capabilities(scope: Scope): Capabilities;
  checkUp(connection: Connection, signal: AbortSignal): Promise<readonly CheckUpLine[]>;
  stop(): Promise<void>;
};

export type CheckUpLine = { readonly item: string; readonly ok: boolean; readonly advice?: string };
