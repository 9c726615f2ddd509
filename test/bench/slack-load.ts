import { Agent, request } from 'undici';
import { signatureHeaders, slackPayloads, startFakeSlack } from '../fakes/slack-api.ts';
import { createAwaited, runLoad, serveLoad } from './load.ts';

/** Slack's side in a thread of its own: the Web API that the bot calls, and the mentions that it is sent. */
export type SlackHello = { readonly apiUrl: string; readonly workspaces: readonly string[] };

export const signingSecret = 'bench-secret';

const answers = createAwaited();
const fake = await startFakeSlack({
  onCall: ({ method, args }) => {
    if (method === 'chat.postMessage' || method === 'chat.startStream') answers.came(String(args.thread_ts));
  },
});
const workspaces = Array.from({ length: 100 }, (_, index) => (index === 0 ? fake.teamId : `T0FAKE${index}`));
const payloadsOf = workspaces.map((team) => slackPayloads(team, fake.botUserId));
const agent = new Agent({ connections: 64 });

const send = async (url: string, payload: unknown): Promise<void> => {
  const body = JSON.stringify(payload);
  const response = await request(url, {
    method: 'POST',
    dispatcher: agent,
    headers: {
      'content-type': 'application/json',
      ...signatureHeaders(signingSecret, body, Math.floor(Date.now() / 1000)),
    },
    body,
  });
  await response.body.dump();
  if (response.statusCode !== 200) throw new Error(String(response.statusCode));
};

serveLoad({ apiUrl: fake.url, workspaces } satisfies SlackHello, (command) =>
  runLoad(command, ({ question, workspace, person }) => {
    const ts = fake.nextTs();
    const payload = payloadsOf[workspace]?.appMention({
      text: `<@${fake.botUserId}> ${question}`,
      ts,
      // A channel's id is its own everywhere; ours are paced by it.
      channel: `C0GENERAL${workspace}`,
      user: `U0ASKER${workspace}X${person}`,
    });
    // Each workspace counts its own events; what tells them apart for us is the time.
    const answered = answers.of(ts);
    return { asked: send(command.url, { ...payload, event_id: `Ev${ts}` }), answered };
  }),
);
