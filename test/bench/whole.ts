import { Hono } from 'hono';
import type { Core } from '../../core/core.ts';
import { createCore } from '../../core/create-core.ts';
import type { Connection, Tenant } from '../../core/domain.ts';
import { openSqliteChunks } from '../../core/drivers/chunks/sqlite/chunks.ts';
import { pushSource } from '../../core/drivers/sources/push.ts';
import { openSqliteState } from '../../core/drivers/state/sqlite/state.ts';
import type { ChatModel } from '../../core/ports/model.ts';
import type { Platform, Workspaces } from '../../core/ports/platform.ts';
import type { Runtime } from '../../core/ports/runtime.ts';
import { createSealer } from '../../core/security/seal.ts';
import { listen } from '../bots/discord/driving.ts';
import { type Bot, later, quietRuntime, silent, temporaryFolder } from './event-path.ts';

/** The whole core with its embedded stores, a tenant for each workspace with documents of its own, and a model of no time. */

/** Coprime to a hundred workspaces, so that questions and workspaces do not meet again soon. */
const topics = [
  'parking',
  'holidays',
  'laptops',
  'travel',
  'lunch',
  'trainings',
  'visitors',
  'badges',
  'printers',
  'overtime',
  'expenses',
  'bicycles',
  'deliveries',
];
/** Two ways to ask, so that what was asked to warm up is not answered from the cache. */
export const questions = topics.map((topic) => `What is the rule for ${topic}?`);
export const otherQuestions = topics.map((topic) => `Could you tell me the rule for ${topic}?`);

const ruleOf = (topic: string, tenant: number): string =>
  `The rule for ${topic} is that ${40 + tenant} of them are handed out by lot in the first week of each month.`;
const documentOf = (topic: string, tenant: number): string =>
  [
    `# ${topic}`,
    ruleOf(topic, tenant),
    ...['Who decides', 'Exceptions', 'History', 'Contact'].map(
      (part) =>
        `## ${part}\n\n${`The office keeps a list about ${topic} and looks after it together with the works council, who read it once a quarter and write down what they find. `.repeat(4)}`,
    ),
  ].join('\n\n');

/** Finds the rule in its prompt and cites where it stood, at once. */
export const instantModel = (): ChatModel & { readonly calls: () => number } => {
  let calls = 0;
  return {
    name: 'instant',
    calls: () => calls,
    async *stream({ messages }) {
      calls += 1;
      const prompt = messages.at(-1)?.content ?? '';
      const topic = /rule for (\w+)\?/.exec(prompt)?.[1] ?? '';
      const at = prompt.indexOf(`The rule for ${topic} is`);
      const number = [...prompt.slice(0, Math.max(0, at)).matchAll(/<<source (\d+) /g)].at(-1)?.[1] ?? '1';
      const sentence = prompt.slice(at, prompt.indexOf('.', at));
      yield { type: 'delta', text: sentence.slice(0, 30) };
      yield { type: 'delta', text: `${sentence.slice(30)}. [${number}]` };
      const usage = { promptTokens: 1500, completionTokens: 30, estimated: false };
      yield { type: 'end', finish: 'stop', model: 'instant', usage };
    },
  };
};

export type Whole = Bot & { readonly core: Core };

export type WholeParts = {
  readonly workspaces: readonly string[];
  readonly platform: Connection['platform'];
  readonly credentials?: Readonly<Record<string, string>>;
  readonly chat: ChatModel;
  /** Where the platform's posts go, and the line of the log with which it hears, if it says so. */
  readonly path: string;
  readonly ready?: string;
  make(runtime: Runtime, parts: { readonly connections: Workspaces; readonly lead: Core['lead'] }): Platform;
};

export const startWhole = async (parts: WholeParts): Promise<Whole> => {
  const folder = await temporaryFolder();
  const { runtime, noted } = quietRuntime(parts.ready);
  const state = await openSqliteState({ dataDir: folder.path, log: silent });
  const chunks = await openSqliteChunks({ dataDir: folder.path, log: silent });
  const core = createCore({
    state,
    chunks,
    chat: parts.chat,
    embedder: null,
    sources: [pushSource],
    sealer: createSealer(Buffer.alloc(32, 1)),
    runtime,
    owner: 'bench',
  });
  const furnish = async (workspaceId: string, index: number): Promise<void> => {
    const tenant = await core.tenants.create({ slug: `tenant-${index}`, name: `Tenant ${index}` });
    await fill(core, tenant, index);
    const { platform, credentials } = parts;
    await core.connections.create(tenant.id, {
      platform,
      workspaceId,
      ...(credentials === undefined ? {} : { credentials }),
    });
  };
  // Several at a time: each waits mostly for the disk.
  const left = [...parts.workspaces.entries()];
  await Promise.all(
    Array.from({ length: 10 }, async () => {
      for (let next = left.shift(); next !== undefined; next = left.shift()) await furnish(next[1], next[0]);
    }),
  );
  const platform = parts.make(runtime, core);
  await core.start([platform]);
  const http = await listen(platform.routes ?? new Hono());
  if (parts.ready !== undefined) await noted;
  return {
    name: 'footnote',
    core,
    url: `${http.url}${parts.path}`,
    quiet: async () => {
      while ((await state.inbox.depth(Date.now())).ready > 0) await later(10);
    },
    stop: async () => {
      await http.close();
      await core.drain(5000);
      await core.close();
      await folder.remove();
    },
  };
};

const fill = async (core: Core, tenant: Tenant, index: number): Promise<void> => {
  const source = await core.sources.create(tenant.id, { kind: 'push', name: 'Handbook', settings: {} });
  const documents = topics.map((topic) => ({
    externalId: topic,
    title: topic,
    content: documentOf(topic, index),
    mediaType: 'text/markdown',
  }));
  await core.documents.putBatch(tenant.id, source.id, documents, AbortSignal.timeout(60_000));
  // Without allowances the path of a token would be shorter than it is anywhere.
  await core.quotas.put(tenant.id, [
    { scope: 'member', unit: 'questions', per: 'day', limit: 10_000 },
    { scope: 'tenant', unit: 'tokens', per: 'month', limit: 1_000_000_000 },
  ]);
};
