import { Agent } from 'undici';
import { exchange, type Reply, type Unanswered } from '../exchange.ts';

export type FormPost = {
  readonly url: URL;
  /** Undefined fields are left out; what is no text, number or boolean goes as JSON. */
  readonly fields: Readonly<Record<string, unknown>>;
  readonly token: string;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
};

/** Slack's longest replies, a hundred messages of a thread with their blocks, stay below. */
const maxReplyBytes = 8 * 1024 * 1024;

/** One pool for all workspaces, because all of them live at one address. */
const agent = new Agent({ connections: 128, allowH2: false, connect: { timeout: 10_000 } });

/** Posts a form and reads the reply whole, bounded in time and size. Rejects only with the reason of its signal. */
export const postForm = ({ url, fields, token, timeoutMs, signal }: FormPost): Promise<Reply | Unanswered> =>
  exchange({
    agent,
    url,
    method: 'POST',
    headers: {
      authorization: `Bearer ${token}`,
      'content-type': 'application/x-www-form-urlencoded',
      'user-agent': 'footnote',
    },
    body: encodeForm(fields),
    timeoutMs,
    maxBytes: maxReplyBytes,
    ...(signal === undefined ? {} : { signal }),
  });

/** As `application/x-www-form-urlencoded`; halves of surrogate pairs become U+FFFD, as in every other encoder. */
const encodeForm = (fields: FormPost['fields']): string => {
  let form = '';
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined || value === null) continue;
    const text = typeof value === 'object' ? JSON.stringify(value) : String(value);
    form += `${form === '' ? '' : '&'}${name}=${encodeURIComponent(text.toWellFormed())}`;
  }
  return form;
};
