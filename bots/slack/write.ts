import { type Draft, placeOf, type SinkParts } from './draft.ts';
import { type Offered, renderPart } from './messages.ts';
import { isBlockRefusal, isMessageGone, refusal } from './refusals.ts';

type Body = Readonly<Record<string, unknown>>;

/** Each text in one message: the standing ones are edited, the missing ones posted, the superfluous ones removed. */
export const writeAll = async (
  parts: SinkParts,
  draft: Draft,
  texts: readonly string[],
  offered: Offered | null,
  firstStands: boolean,
): Promise<void> => {
  const { posted, sealed } = draft;
  let queue = texts;
  for (let index = firstStands ? 1 : 0; index < queue.length; ) {
    const ts = posted[index];
    const before = ts === undefined ? undefined : sealed.get(ts);
    if (before !== undefined && before.part === index && before.of === queue.length) {
      index += 1;
      continue;
    }
    const last = index === queue.length - 1;
    const body = renderPart(draft.dialect, parts.delivery.id, {
      markdown: queue[index] ?? '',
      index,
      of: queue.length,
      sealed: true,
      offered: last ? offered : null,
    });
    const result =
      ts === undefined ? await post(parts, draft, body, index, last) : await replace(parts, draft, ts, body);
    if (result === 'blocks-refused') queue = draft.simplify(queue, index);
    else if (result === 'gone') posted.splice(index, 1);
    else index += 1;
  }
  for (const ts of posted.slice(queue.length))
    await parts.api.call(
      'chat.delete',
      { channel: parts.where.channel, ts },
      { signal: parts.signal, repeatable: true },
    );
};

const post = async (
  parts: SinkParts,
  draft: Draft,
  body: Body,
  index: number,
  last: boolean,
): Promise<'done' | 'blocks-refused'> => {
  for (let attempt = 1; ; attempt += 1) {
    const result = await parts.api.call(
      'chat.postMessage',
      { ...placeOf(parts.where), ...body },
      { signal: parts.signal },
    );
    if (result.ok) {
      await draft.keep(String(result.data.ts), index, last);
      return 'done';
    }
    if (isBlockRefusal(result) && draft.dialect !== 'text') return 'blocks-refused';
    if (result.certain || attempt >= 3) throw refusal(result);
    await parts.runtime.clock.sleep(500 * attempt, parts.signal);
    const found = (await draft.standing()).find(
      (message) => message.part === index && !draft.posted.includes(message.ts),
    );
    if (found !== undefined) {
      await draft.keep(found.ts, index, last);
      return 'done';
    }
  }
};

const replace = async (
  parts: SinkParts,
  draft: Draft,
  ts: string,
  body: Body,
): Promise<'done' | 'blocks-refused' | 'gone'> => {
  const { channel } = parts.where;
  for (let attempt = 1; ; attempt += 1) {
    const result = await parts.api.call(
      'chat.update',
      { channel, ts, ...body },
      { signal: parts.signal, repeatable: true },
    );
    if (result.ok) return 'done';
    if (isBlockRefusal(result) && draft.dialect !== 'text') return 'blocks-refused';
    if (isMessageGone(result)) return 'gone';
    if (!result.error.includes('streaming') || attempt > 1) throw refusal(result);
    await parts.api.call('chat.stopStream', { channel, ts }, { signal: parts.signal });
  }
};
