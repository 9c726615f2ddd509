import { Agent, request } from 'undici';
import { startFakeTeams, teamsActivities, teamsIds } from '../fakes/teams-service.ts';
import { createAwaited, runLoad, serveLoad } from './load.ts';

/** Teams' side in a thread of its own: the connector that takes the answers, and the signed posts. */
export type TeamsHello = {
  readonly url: string;
  readonly serviceUrl: string;
  readonly metadataUrl: string;
  readonly workspaces: readonly string[];
};

const answers = createAwaited();
const fake = await startFakeTeams({
  onCall: ({ method, path, body }) => {
    const conversation = /conversations\/([^/]+)\/activities/.exec(path)?.[1];
    if (conversation !== undefined && method === 'POST' && body.type === 'message')
      answers.came(decodeURIComponent(conversation));
  },
});
const workspaces = Array.from({ length: 100 }, (_, index) =>
  index === 0 ? teamsIds.tenant : `${teamsIds.tenant.slice(0, -3)}${String(index).padStart(3, '0')}`,
);
const activities = teamsActivities(fake.serviceUrl);
const agent = new Agent({ connections: 64 });

const send = async (url: string, authorization: string, body: string): Promise<void> => {
  const response = await request(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization },
    body,
    dispatcher: agent,
  });
  await response.body.dump();
  if (response.statusCode !== 200) throw new Error(String(response.statusCode));
};

const hello: TeamsHello = { url: fake.url, serviceUrl: fake.serviceUrl, metadataUrl: fake.metadataUrl, workspaces };
serveLoad(hello, (command) => {
  // As Teams does it: one token for an hour of posts.
  const authorization = `Bearer ${fake.token()}`;
  return runLoad(command, ({ question, workspace, person }) => {
    const id = fake.nextId();
    const body = JSON.stringify(activities.message({ id, text: question }))
      .replaceAll(teamsIds.tenant, workspaces[workspace] ?? '')
      .replaceAll(`${teamsIds.asker}"`, `${teamsIds.asker}${person}"`);
    const answered = answers.of(`${teamsIds.channel};messageid=${id}`);
    return { asked: send(command.url, authorization, body), answered };
  });
});
