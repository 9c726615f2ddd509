import { parentPort } from 'node:worker_threads';
import { Agent, request } from 'undici';
import { signatureHeaders, slackPayloads, startFakeSlack } from '../fakes/slack-api.ts';

/**
 * Slack's side in a thread of its own: the Web API that the bot calls, and the mentions that it is sent. Two commands:
 * `acknowledge` measures until the 200, `reply` until the call that posts the answer comes in.
 */
export type LoadCommand = {
  readonly kind: 'acknowledge' | 'reply';
  readonly url: string;
  readonly signingSecret: string;
  readonly count: number;
  /** Mentions under way at once. */
  readonly concurrency: number;
  /** Mentions a second; absent: as fast as they are done. */
  readonly perSecond?: number;
};
export type LoadReport = { readonly timesMs: readonly number[]; readonly forMs: number; readonly failures: number };

const replies = new Map<string, () => void>();
const fake = await startFakeSlack({
  onCall: (call) => {
    if (call.method === 'chat.postMessage' || call.method === 'chat.startStream')
      replies.get(String(call.args.thread_ts))?.();
  },
});
const payloads = slackPayloads(fake.teamId, fake.botUserId);
const agent = new Agent({ connections: 64 });

const run = async (command: LoadCommand): Promise<LoadReport> => {
  const timesMs: number[] = [];
  let failures = 0;
  let next = 0;
  const startedAt = performance.now();
  const sendOne = async (index: number): Promise<void> => {
    const dueAt = command.perSecond === undefined ? 0 : startedAt + (index * 1000) / command.perSecond;
    const wait = dueAt - performance.now();
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
    const ts = fake.nextTs();
    const body = JSON.stringify(
      payloads.appMention({ text: `<@${fake.botUserId}> how many days of leave do I have?`, ts }),
    );
    const replied = new Promise<void>((resolve, reject) => {
      replies.set(ts, resolve);
      if (command.kind === 'reply') setTimeout(() => reject(new Error('no reply')), 20_000).unref();
    });
    replied.catch(() => undefined);
    const from = performance.now();
    try {
      const response = await request(command.url, {
        method: 'POST',
        dispatcher: agent,
        headers: {
          'content-type': 'application/json',
          ...signatureHeaders(command.signingSecret, body, Math.floor(Date.now() / 1000)),
        },
        body,
      });
      await response.body.dump();
      if (response.statusCode !== 200) throw new Error(String(response.statusCode));
      if (command.kind === 'reply') await replied;
      timesMs.push(performance.now() - from);
    } catch {
      failures += 1;
    }
    replies.delete(ts);
  };
  const worker = async (): Promise<void> => {
    while (next < command.count) {
      next += 1;
      await sendOne(next - 1);
    }
  };
  await Promise.all(Array.from({ length: command.concurrency }, worker));
  return { timesMs, forMs: performance.now() - startedAt, failures };
};

parentPort?.on('message', (command: LoadCommand) => {
  run(command).then(
    (report) => parentPort?.postMessage(report),
    (error: unknown) => parentPort?.postMessage({ timesMs: [], forMs: 0, failures: -1, error: String(error) }),
  );
});
parentPort?.postMessage({ apiUrl: fake.url });
