import { hash } from 'node:crypto';

/** SHA-256 of delimited parts as lower-case hex; the delimiter keeps ("ab","c") and ("a","bc") apart. */
export const hashOf = (...parts: readonly string[]): string =>
  hash('sha256', parts.map((part) => `${part.length}:${part}`).join('|'), 'hex');

export const documentIdOf = (sourceId: string, externalId: string): string =>
  `d_${hashOf(sourceId, externalId).slice(0, 32)}`;

export const inboxIdOf = (dedupeKey: string): string => `m_${hashOf(dedupeKey).slice(0, 32)}`;

/** The answer to one question, however often it is tried. */
export const answerIdOf = (inboxId: string): string => `a_${hashOf('answer', inboxId).slice(0, 32)}`;

/**
 * A talk on a chat platform. Whoever knows the place can work the id out, private talks included: it is never taken from
 * outside, and begins otherwise than the random ones that are.
 */
export const conversationIdOf = (platform: string, workspaceId: string, channelId: string, threadId: string): string =>
  `w_${hashOf(platform, workspaceId, channelId, threadId).slice(0, 32)}`;

/** Stands for the source of a passage that came as a file with the question itself. */
export const attachedSourceId = 'attachment';
