import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSlackSender, type FakeSlack, slackPayloads, startFakeSlack } from '../fakes/slack-api.ts';
import { type Api, createApi, freePort, operatorToken, startService } from './service.ts';

/** Fractions from a seed: the same seed is the same run, as far as the machine's timing allows. */
export const createChance = (seed: number) => {
  let state = seed >>> 0;
  const float = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
  return {
    float,
    below: (limit: number): number => Math.floor(float() * limit),
    pick: <T>(items: readonly [T, ...T[]]): T => items[Math.floor(float() * items.length)] ?? items[0],
  };
};
export type Chance = ReturnType<typeof createChance>;

/** Something a client wants and repeats until it is told that it is done. */
export type Wish = {
  readonly kind: 'question' | 'document' | 'removal' | 'sync';
  /** Resolves when it was accepted; rejects when the service died meanwhile. */
  send(): Promise<void>;
};

const towers = ['Kestrel', 'Osprey', 'Bittern', 'Curlew', 'Lapwing', 'Plover', 'Godwit', 'Avocet'] as const;
const heightOf = (index: number): number => 40 + index * 7;
/** The eight, and then as many more as are wanted; what tells them apart stands in front, where no stemmer cuts. */
const towerOf = (index: number): string => {
  const bird = towers[index % towers.length] ?? '';
  const more = Math.floor(index / towers.length);
  if (more === 0) return bird;
  const letters = 'bdfgklmnprst';
  const syllable = (n: number): string =>
    `${letters[n % letters.length]}${'aeiou'[Math.floor(n / letters.length) % 5]}`;
  return `${syllable(more)}${syllable(Math.floor(more / 60))}${bird}`.toLowerCase();
};
const signingSecret = 'the-signing-secret-of-the-harness';
const tenant = 'tenants/acme';

/** Long enough for several chunks; every section names the version, so that half a document gives itself away. */
const textOf = (word: string, version: number): string =>
  Array.from(
    { length: 8 },
    (_, part) =>
      `## Part ${part + 1} about ${word}\n\nThis is release${version}mark of the manual for ${word}. ${`The ${word} is serviced every ${part + 3} weeks by the harbour crew, who write down what they find. `.repeat(12)}`,
  ).join('\n\n');

export type WorldOptions = {
  /** Where clients knock; absent, a free port, on which `start` listens. */
  readonly port?: number;
  /** Added to the environment of every process. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Where DATA_DIR is made (default: the system's folder for temporary files). */
  readonly under?: string;
  /** So many towers instead of eight, asked about by turns: no question is answered from the cache before they are through. */
  readonly towers?: number;
  /** How far the processes' clocks, and so Slack's, are ahead of ours. */
  aheadMs?(): number;
};

/** One DATA_DIR, one fake Slack, one address; the service comes and goes. */
export const createWorld = async (chance: Chance, options: WorldOptions = {}) => {
  const dataDir = mkdtempSync(join(options.under ?? tmpdir(), 'footnote-kill-'));
  const folder = mkdtempSync(join(tmpdir(), 'footnote-kill-folder-'));
  const slack: FakeSlack = await startFakeSlack();
  // A workspace without streaming takes the other way: post, then edit.
  if (chance.float() < 1 / 3) slack.unknownMethods.add('chat.startStream');
  const port = options.port ?? (await freePort());
  const url = `http://127.0.0.1:${port}`;
  const api: Api = createApi(url);
  const payloads = slackPayloads(slack.teamId, slack.botUserId);
  const sender = createSlackSender({
    url: `${url}/slack/events`,
    signingSecret,
    now: () => Date.now() + (options.aheadMs?.() ?? 0),
  });
  const threads: { readonly channel: string; readonly root: string; questions: number }[] = [];
  /** The newest version that was acknowledged, or null after an acknowledged removal. */
  const documents = new Map<string, number | null>();
  /** Files of the folder source, by the word in them. */
  const leaflets = new Map<string, number>();
  let sourceId = '';
  let folderId = '';
  let asked = 0;
  let words = 0;

  const environment: Readonly<Record<string, string>> = {
    DATA_DIR: dataDir,
    DEMO: 'off',
    FOLDER_ROOTS: folder,
    LOG_LEVEL: 'info',
    FOOTNOTE_ADMIN_TOKEN: operatorToken,
    SLACK_SIGNING_SECRET: signingSecret,
    SLACK_BOT_TOKEN: 'xoxb-fake',
    SLACK_API_URL: slack.url,
    DEFAULT_TENANT: 'acme',
    ...options.environment,
  };
  const start = () => startService({ ...environment, PORT: String(port) });

  /** Once, on the first start: tenant, limits far away, and the documents that questions are about. */
  const furnish = async (): Promise<void> => {
    await api.post('tenants', { slug: 'acme', name: 'Acme' });
    await api.put(`${tenant}/quotas`, {
      limits: [{ scope: 'tenant', unit: 'questions', per: 'month', limit: 1_000_000 }],
    });
    const source = (await api.post(`${tenant}/sources`, { kind: 'push', name: 'manuals', settings: {} })) as {
      id: string;
    };
    sourceId = source.id;
    const synced = (await api.post(`${tenant}/sources`, {
      kind: 'folder',
      name: 'leaflets',
      settings: { path: folder },
    })) as { id: string };
    folderId = synced.id;
    for (let file = 0; file < 24; file += 1) print(`leaflet${String.fromCharCode(97 + file)}`, 1);
    await api.postLines(
      `${tenant}/sources/${sourceId}/documents:batch`,
      Array.from({ length: options.towers ?? towers.length }, (_, index) => {
        const tower = towerOf(index);
        const text = `# The ${tower} tower\n\nThe ${tower} tower is ${heightOf(index)} metres tall. It was painted by the ${tower} society.`;
        return { id: `tower-${tower}`, title: `The ${tower} tower`, text };
      }),
    );
  };

  const print = (word: string, version: number): void => {
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, `${word}.md`), `# Leaflet ${word}\n\n${textOf(word, version)}`);
    leaflets.set(word, version);
  };

  const reprint = (): void => {
    for (let file = 0; file < 3; file += 1) {
      const word = `leaflet${String.fromCharCode(97 + chance.below(24))}`;
      print(word, (leaflets.get(word) ?? 0) + 1);
    }
  };
  const startSync = () =>
    api.post(`${tenant}/sources/${folderId}/sync`, {}) as Promise<{ readonly job: { readonly id: string } }>;
  const sync = (): Wish => {
    reprint();
    return { kind: 'sync', send: () => startSync().then(() => {}) };
  };

  /** The last word of the folder: a sync that is allowed to finish. */
  const finishSync = async (): Promise<void> => {
    const { job } = await startSync();
    const until = performance.now() + 60_000;
    let state = '';
    while (state !== 'done' && state !== 'failed' && performance.now() < until) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      ({ state } = (await api.get(`${tenant}/jobs/${job.id}`)) as { state: string });
    }
    if (state !== 'done') throw new Error(`The last sync is ${state}.`);
  };

  const deliver = async (payload: unknown, retry?: number): Promise<void> => {
    const answer = await sender.send(payload, retry === undefined ? {} : { retry });
    await answer.arrayBuffer();
    if (!answer.ok) throw new Error(`Slack's event was answered ${answer.status}`);
  };

  /** A question as Slack delivers it, and the thread that will hold its answer. */
  const ask = () => {
    asked += 1;
    const tower = options.towers === undefined ? chance.pick(towers) : towerOf(asked % options.towers);
    const text = `How tall is the ${tower} tower?`;
    const isDirect = chance.float() < 0.25;
    const ts = slack.nextTs();
    const known = threads.filter(({ root }) => root !== '');
    const follows =
      !isDirect && known.length > 0 && chance.float() < 0.3 ? known[chance.below(known.length)] : undefined;
    // Many rooms: in one, answers wait for each other by the second, as Slack wants it.
    const channel = isDirect ? `D${asked}` : (follows?.channel ?? `C0ROOM${asked % 25}`);
    const thread = follows ?? { channel, root: isDirect ? '' : ts, questions: 0 };
    thread.questions += 1;
    if (follows === undefined) threads.push(thread);
    const shape = {
      text: isDirect ? text : `<@${slack.botUserId}> ${text}`,
      ts,
      channel,
      ...(follows === undefined ? {} : { thread: follows.root }),
    };
    // Slack delivers a mention twice, in either order, and both again when the "ok" was late.
    const events = isDirect
      ? [payloads.message({ ...shape, channelType: 'im' })]
      : [payloads.message(shape), payloads.appMention(shape)];
    if (chance.float() < 0.5) events.reverse();
    return { events, thread };
  };

  const question = (): Wish => {
    const { events } = ask();
    const open = new Set(events);
    let tries = 0;
    return {
      kind: 'question',
      send: async () => {
        tries += 1;
        for (const event of [...open]) {
          await deliver(event, tries > 1 ? tries - 1 : undefined);
          open.delete(event);
          if (chance.float() < 0.3) await deliver(event, 1);
        }
      },
    };
  };

  /** `fresh`: one that nobody pushed before, so that pushes may run at the same time. */
  const document = (fresh = false): Wish => {
    const known = [...documents.keys()];
    const isNew = fresh || known.length === 0 || chance.float() < 0.5;
    const word = isNew
      ? `gizmo${String.fromCharCode(97 + (words % 26))}${words++}`
      : (known[chance.below(known.length)] ?? '');
    const version = (documents.get(word) ?? 0) + 1 + chance.below(3);
    const path = `${tenant}/sources/${sourceId}/documents/${word}`;
    if (!isNew && chance.float() < 0.25) {
      // "There is none" is what the second try hears when the first had done its work and died before saying so.
      const send = () =>
        api
          .remove(path)
          .catch((error: unknown) => {
            if (!String(error).includes(': 404 ')) throw error;
          })
          .then(() => void documents.set(word, null));
      return { kind: 'removal', send };
    }
    return {
      kind: 'document',
      send: () =>
        api
          .put(path, { title: `Manual of ${word}`, text: textOf(word, version) })
          .then(() => void documents.set(word, version)),
    };
  };

  return {
    slack,
    api,
    dataDir,
    environment,
    start,
    furnish,
    ask,
    deliver,
    question,
    document,
    reprint,
    startSync,
    sync,
    finishSync,
    threads,
    documents,
    leaflets,
    tenant,
    close: async (): Promise<void> => {
      await slack.close();
      rmSync(dataDir, { recursive: true, force: true });
      rmSync(folder, { recursive: true, force: true });
    },
  };
};
export type World = Awaited<ReturnType<typeof createWorld>>;

/** What the books are checked against. */
export type Examined = Pick<World, 'threads' | 'documents' | 'leaflets' | 'tenant'> & {
  readonly api: Pick<Api, 'get' | 'post'>;
  readonly slack: Pick<FakeSlack, 'messages'>;
};

/** Everything that is wrong in a world that has come to rest; empty is what is wanted. */
export const examine = async (world: Examined): Promise<string[]> => [
  ...(await examineBooks(world)),
  ...(await examineDocuments(world)),
];

/** Without the documents: one answer, one receipt and one charge for each question, also for so many that were asked by the API. */
export const examineBooks = async (world: Examined, elsewhere = 0): Promise<string[]> => [
  ...examineAnswers(world),
  ...(await examineCharges(world, elsewhere)),
];

export const questionsOf = ({ threads }: Pick<World, 'threads'>): number =>
  threads.reduce((sum, { questions }) => sum + questions, 0);

type Part = { readonly delivery: string; readonly of: number; readonly sealed: boolean };

const answersIn = (world: Examined, { channel, root }: { readonly channel: string; readonly root: string }) =>
  world.slack.messages.filter((message) => message.channel === channel && (root === '' || message.thread_ts === root));

/** Whole answers: every part stands, sealed, under one delivery. */
export const countAnswers = (world: Examined): number =>
  world.threads.reduce((sum, thread) => sum + answersOf(world, thread), 0);

/** Whole answers in one thread. */
export const answersOf = (world: Examined, thread: { readonly channel: string; readonly root: string }): number =>
  groups(world, thread).filter(({ problem }) => problem === null).length;

const groups = (world: Examined, thread: { readonly channel: string; readonly root: string }) => {
  const byDelivery = new Map<string, Part[]>();
  let nameless = 0;
  for (const { metadata, streaming } of answersIn(world, thread)) {
    const payload = metadata?.event_payload;
    if (payload === undefined || streaming) nameless += 1;
    else {
      const part = { delivery: String(payload.delivery), of: Number(payload.of ?? 1), sealed: payload.sealed === true };
      byDelivery.set(part.delivery, [...(byDelivery.get(part.delivery) ?? []), part]);
    }
  }
  const whole = [...byDelivery].map(([delivery, parts]) => ({
    problem:
      parts.length !== parts[0]?.of || parts.some(({ sealed }) => !sealed)
        ? `delivery ${delivery} stands in ${parts.length} of ${parts[0]?.of} parts`
        : null,
  }));
  return [...whole, ...Array.from({ length: nameless }, () => ({ problem: 'a message stands unfinished' }))];
};

/** One whole answer for each question, and nothing half. */
export const examineAnswers = (world: Examined): string[] =>
  world.threads.flatMap((thread) => {
    const found = groups(world, thread);
    const problems = found.flatMap(({ problem }) => (problem === null ? [] : [problem]));
    if (found.length !== thread.questions) problems.push(`${thread.questions} questions, ${found.length} answers`);
    return problems.map((problem) => `thread ${thread.channel} ${thread.root}: ${problem}`);
  });

type Listed = { readonly nextCursor?: string | null };

export const listAll = async (world: Examined, name: string): Promise<Record<string, unknown>[]> => {
  const items: Record<string, unknown>[] = [];
  let cursor: string | null | undefined;
  do {
    const query = `limit=200${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ''}`;
    const page = (await world.api.get(`${world.tenant}/${name}?${query}`)) as Listed &
      Record<string, Record<string, unknown>[]>;
    items.push(...(page[name] ?? []));
    cursor = page.nextCursor;
  } while (cursor);
  return items;
};

/** A harness that moves the clock may move it past the end of a month. */
export const ever = 'group=day&from=2020-01-01&to=2100-01-01';

/** A question that ended in a sentence of ours: it has a receipt, and costs nobody anything. */
const sentenceIn = ({ kind, reason, answer }: Record<string, unknown>): string[] =>
  kind === 'refused' ? [`a question was not answered (${reason}): ${answer}`] : [];

const examineCharges = async (world: Examined, elsewhere: number): Promise<string[]> => {
  const questions = questionsOf(world) + elsewhere;
  const receipts = await listAll(world, 'answers');
  const unanswered = receipts.flatMap(sentenceIn);
  const answered = receipts.length - unanswered.length;
  const usage = (await world.api.get(`${world.tenant}/usage?group=day`)) as { rows: { questions: number }[] };
  const charged = usage.rows.reduce((sum, row) => sum + row.questions, 0);
  const quotas = (await world.api.get(`${world.tenant}/quotas`)) as { limits: { used: number | string }[] };
  const used = Number(quotas.limits[0]?.used);
  return [
    ...unanswered,
    ...(receipts.length === questions ? [] : [`${questions} questions, ${receipts.length} receipts`]),
    ...(charged === answered ? [] : [`${answered} answers, ${charged} in the ledger`]),
    ...(used === answered ? [] : [`${answered} answers, ${used} counted against the limit`]),
  ];
};

export const examineDocuments = async (world: Examined): Promise<string[]> => {
  const problems: string[] = [];
  const listed = (await listAll(world, 'documents')).map(({ externalId }) => String(externalId));
  if (new Set(listed).size !== listed.length) problems.push('a document is listed twice');
  const expected = [
    ...[...world.documents].map(([word, version]) => ({ word, version, id: word })),
    ...[...world.leaflets].map(([word, version]) => ({ word, version, id: `${word}.md` })),
  ];
  for (const { word, version, id } of expected) {
    const isListed = listed.includes(id);
    if (isListed !== (version !== null))
      problems.push(`${word}: ${isListed ? 'listed although removed' : 'not listed'}`);
    const found = (await world.api.post(`${world.tenant}/search`, { query: word, limit: 100 })) as {
      passages: { externalId: string; chunkId: string; text: string }[];
    };
    const own = found.passages.filter(({ text, externalId }) => externalId === id || text.includes(word));
    const versions = new Set(own.flatMap(({ text }) => text.match(/release\d+mark/g) ?? []));
    if (version === null && own.length > 0) problems.push(`${word}: found although removed`);
    if (version !== null && own.length === 0) problems.push(`${word}: cannot be found`);
    if (version !== null && [...versions].some((one) => one !== `release${version}mark`))
      problems.push(`${word}: ${[...versions].join(', ')} instead of ${version}`);
    if (
      new Set(own.map(({ externalId }) => externalId)).size > 1 ||
      new Set(own.map(({ chunkId }) => chunkId)).size !== own.length
    )
      problems.push(`${word}: found twice`);
  }
  return problems;
};
