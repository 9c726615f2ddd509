import type { Attachment, Passage } from '../domain.ts';
import { AppError, toAppError } from '../errors.ts';
import type { Assignment, Delivering } from './assignment.ts';

/** What a question's files come to, for this question alone: they are put into no index and no cache. */
export type Attached = {
  readonly passages: readonly Passage[];
  /** Every file that is not among the passages, with a sentence why. */
  readonly unread: readonly { readonly name: string; readonly reason: string }[];
};

const mostFiles = 5;
const mostBytes = 10 * 1024 * 1024;
/** For one file, from its first byte to its last passage. */
const withinMs = 20_000;
const mostPassages = 400;

/** Files are read one after the other: one question does not take all hands of the document path. */
export const readAttachments = async (parts: Delivering, work: Assignment): Promise<Attached> => {
  const { attachments } = work.event;
  const passages: Passage[] = [];
  const unread: { name: string; reason: string }[] = [];
  for (const [index, attachment] of attachments.entries()) {
    try {
      if (index >= mostFiles) throw new AppError('too-large', `I read at most ${mostFiles} files with one question.`);
      passages.push(...(await readOne(parts, work, attachment)).slice(0, mostPassages - passages.length));
    } catch (thrown) {
      work.signal.throwIfAborted();
      const error = toAppError(thrown);
      if (error.code === 'store-unavailable' || error.code === 'lease-lost') throw error;
      unread.push({ name: shownName(attachment.name), reason: reasonOf(error) });
    }
  }
  return { passages, unread };
};

const readOne = async (
  { readFile }: Delivering,
  { platform, event, signal }: Assignment,
  attachment: Attachment,
): Promise<readonly Passage[]> => {
  if (platform.download === undefined) throw new AppError('platform-failed', 'I cannot get files from here.');
  if ((attachment.bytes ?? 0) > mostBytes) throw tooLarge();
  const within = AbortSignal.any([signal, AbortSignal.timeout(withinMs)]);
  const bytes = await platform.download(event, attachment, mostBytes, within);
  // A driver that lets more through is wrong, and this is where it stops.
  if (bytes.byteLength > mostBytes) throw tooLarge();
  const { name, mediaType } = attachment;
  const passages = await readFile({ name, bytes, ...(mediaType === undefined ? {} : { mediaType }) }, within);
  if (passages.length === 0) throw new AppError('unreadable-document', 'There is no text in it.');
  return passages;
};

const tooLarge = (): AppError => new AppError('too-large', 'It is larger than 10 MB.');

const reasonOf = (error: AppError): string => {
  switch (error.code) {
    case 'unreadable-document':
    case 'too-large':
      return error.message;
    case 'cancelled':
      return 'It took too long.';
    case 'platform-failed':
      return error.message;
    default:
      return 'Something went wrong.';
  }
};

/** A file's name is its sender's choice: nothing in it is formatting, a link or a mention. */
export const shownName = (name: string): string =>
  name
    .replace(/[^\p{L}\p{N} ._-]/gu, ' ')
    .replace(/\s+/g, ' ')
    .trim()
    .slice(0, 80) || 'a file';
