import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BSON, Long, MongoClient, MongoServerError } from 'mongodb';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { collectionsIn, keyOf } from '../../../../../core/drivers/state/mongo/collections.ts';
import { clockOffset, databaseOf } from '../../../../../core/drivers/state/mongo/connect.ts';
import { unavailableFrom } from '../../../../../core/drivers/state/mongo/faults.ts';
import { guarded } from '../../../../../core/drivers/state/mongo/guard.ts';
import { migrations, newestStep, prepareSchema } from '../../../../../core/drivers/state/mongo/schema.ts';
import { openMongoState } from '../../../../../core/drivers/state/mongo/state.ts';
import { AppError } from '../../../../../core/errors.ts';
import { aLine, anEvent, anInboxRow, aTenant } from '../../../../contracts/rows.ts';
import { createTestRuntime, testStart as now } from '../../../../fakes/clock.ts';
import { dropDatabase, freshDatabase, mongodbUri } from './server.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

/** Time enough for a busy machine; where nobody answers, it is waited out. */
const limits = { selectionMs: 8_000, connectMs: 8_000, socketMs: 8_000, verbMs: 10_000 };
const openAt = (uri: string) => {
  const { log, clock, logged } = createTestRuntime();
  return { logged, opening: openMongoState({ uri, log, clock, limits, ttlIndexes: false, serverTime: false }) };
};

describe('the address of a MongoDB', () => {
  test('timeoutMS is refused, however it is written', async () => {
    for (const parameter of ['timeoutMS=1000', 'w=1&TIMEOUTms=0', 'timeout%4DS=5', 'timeoutMode=iteration']) {
      await expect(openAt(`mongodb://127.0.0.1:1/footnote?${parameter}`).opening).rejects.toMatchObject({
        code: 'config',
        message: expect.stringContaining('timeoutMS'),
      });
    }
  });

  test('what cannot be read is refused with a sentence that shows no password', async () => {
    for (const uri of [
      '',
      'http://u:hush@host',
      'mongodb://u:hu/sh@:x',
      'mongodb://u:hush@host:99999/db',
      'mongodb://u:hush@h/db?tls=perhaps',
      'mongodb://u:%zz@h/db',
      'mongodb://u:p@h/%zz',
    ]) {
      const error = await openAt(uri).opening.catch((thrown: unknown) => thrown);
      expect(error, uri).toMatchObject({ code: 'config' });
      const { message, cause } = error as Error;
      expect(`${message} ${String(cause)}`).not.toContain('hush');
    }
  });

  test('the path names the database, and without one it is footnote', () => {
    expect(databaseOf('mongodb://h')).toBe('footnote');
    expect(databaseOf('mongodb://u:p@h:1,i:2/?replicaSet=r')).toBe('footnote');
    expect(databaseOf('mongodb+srv://u:p@h/notes?w=1')).toBe('notes');
  });

  test('the clock’s offset is taken from the middle of the exchange', () => {
    expect(clockOffset({ localTime: new Date(5_000) }, 1_000, 3_000)).toBe(3_000);
    expect(clockOffset({}, 1_000, 3_000)).toBe(0);
  });

  test('no two lists of parts have one key', () => {
    const lists = [['a', 'b'], ['a|b'], ['a%7Cb'], ['a%257Cb'], ['a', '|b'], ['a|', 'b'], ['', 'a|b'], ['a', '', 'b']];
    expect(new Set(lists.map((parts) => keyOf(...parts))).size).toBe(lists.length);
  });
});

describe('the bound of a verb', () => {
  const group = guarded(
    {
      never: () => new Promise<string>(() => undefined),
      sweep: () => new Promise<string>((resolve) => setTimeout(resolve, 120, 'swept')),
      throws: async () => JSON.parse('{') as string,
      conflicts: () => Promise.reject(new AppError('conflict', 'There is one already.')),
      adds: async (a: number, b: number) => a + b,
    },
    { verbMs: 40, longVerbMs: 10_000 },
  );

  test('ends what does not end, and leaves long verbs their time', async () => {
    await expect(group.never()).rejects.toMatchObject({ code: 'store-unavailable', retryable: true });
    expect(await group.sweep()).toBe('swept');
    expect(await group.adds(2, 3)).toBe(5);
  });

  test('lets nothing out but errors with a sentence', async () => {
    await expect(group.throws()).rejects.toMatchObject({ code: 'store-unavailable', retryable: false });
    await expect(group.conflicts()).rejects.toMatchObject({ code: 'conflict' });
  });
});

describe('what MongoDB’s refusals mean', () => {
  const sentenceOf = (code: number, errmsg = '') => unavailableFrom(new MongoServerError({ code, errmsg }));
  test.each([
    [18, 'credentials', false],
    [13, 'readWrite', false],
    [10107, 'no writes', true],
    [13435, 'no writes', true],
    [14031, 'full', true],
    [64, 'confirmed', true],
    [50, 'busy', true],
    [17280, 'larger', false],
    [1, 'could not carry out', false],
  ])('code %i', (code, words, retryable) => {
    expect(sentenceOf(code)).toMatchObject({
      code: 'store-unavailable',
      message: expect.stringContaining(words),
      retryable,
    });
  });

  test('Atlas’ one code is told apart by its words', () => {
    expect(sentenceOf(8000, 'bad auth : authentication failed').message).toContain('credentials');
    expect(sentenceOf(8000, 'you are over your space quota').message).toContain('full');
  });
});

/** A server that says hello as told and refuses all else: the least of the protocol (OP_MSG, opcode 2013). */
const pretend = async (answer: (command: Record<string, unknown>) => Record<string, unknown>): Promise<Server> => {
  const server = createServer((socket) => {
    let rest = Buffer.alloc(0);
    socket.on('error', () => undefined);
    socket.on('data', (bytes) => {
      rest = Buffer.concat([rest, bytes]);
      while (rest.length >= 4 && rest.length >= rest.readInt32LE(0)) {
        const size = rest.readInt32LE(0);
        const message = rest.subarray(0, size);
        rest = rest.subarray(size);
        const isQuery = message.readInt32LE(12) === 2004;
        const from = isQuery ? message.indexOf(0, 20) + 9 : 21;
        const reply = BSON.serialize(answer(BSON.deserialize(message.subarray(from)) as Record<string, unknown>));
        const head = Buffer.alloc(isQuery ? 36 : 21);
        head.writeInt32LE(head.length + reply.length, 0);
        head.writeInt32LE(message.readInt32LE(4), 8);
        head.writeInt32LE(isQuery ? 1 : 2013, 12);
        if (isQuery) head.writeInt32LE(1, 32);
        socket.write(Buffer.concat([head, reply]));
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
};
const hello = {
  ok: 1,
  isWritablePrimary: true,
  ismaster: true,
  maxBsonObjectSize: 16_777_216,
  maxMessageSizeBytes: 48_000_000,
  maxWriteBatchSize: 100_000,
  minWireVersion: 0,
  maxWireVersion: 21,
  localTime: new Date(),
};
const isHello = (command: Record<string, unknown>) =>
  'hello' in command || 'ismaster' in command || 'isMaster' in command;

describe('a MongoDB that will not do', () => {
  const servers: Server[] = [];
  const openPretended = async (answer: Parameters<typeof pretend>[0]) => {
    const server = await pretend(answer);
    servers.push(server);
    return openAt(`mongodb://127.0.0.1:${(server.address() as AddressInfo).port}/footnote`);
  };
  afterAll(() => {
    for (const server of servers) server.close();
  });

  test('none there: told within the time for finding one', async () => {
    const { log, clock } = createTestRuntime();
    const opening = openMongoState({ uri: 'mongodb://127.0.0.1:1/footnote', log, clock, limits: { selectionMs: 500 } });
    await expect(opening).rejects.toMatchObject({
      code: 'store-unavailable',
      message: expect.stringContaining('cannot be reached'),
      retryable: true,
    });
  });

  test('too old: the start is refused with the versions that do', async () => {
    const { opening } = await openPretended(() => ({ ...hello, maxWireVersion: 6 }));
    await expect(opening).rejects.toMatchObject({ code: 'config', message: expect.stringContaining('4.4') });
  });

  test('one that only speaks like MongoDB, and counts wrongly, is refused by its name', async () => {
    for (const build of [{ ferretdbVersion: 'v1.24.2' }, { ferretdb: { version: 'v1.24.2' } }]) {
      const { opening } = await openPretended((command) =>
        isHello(command) ? hello : { ok: 1, version: '7.0.42', ...('buildInfo' in command ? build : {}) },
      );
      await expect(opening).rejects.toMatchObject({
        code: 'config',
        message: expect.stringMatching(/FerretDB v1\.24\.2.*Use MongoDB 4\.4/) as string,
      });
    }
  });

  test.each([
    [18, 'AuthenticationFailed', 'credentials'],
    [13, 'Unauthorized', 'readWrite'],
    [10107, 'NotWritablePrimary', 'no writes'],
    [14031, 'OutOfDiskSpace', 'full'],
  ])('refuses with %i %s: the start fails with a sentence', async (code, codeName, words) => {
    const { opening } = await openPretended((command) =>
      isHello(command) ? hello : { ok: 0, code, codeName, errmsg: codeName },
    );
    await expect(opening).rejects.toMatchObject({ code: 'store-unavailable', message: expect.stringContaining(words) });
  });

  test('an index or a validator that cannot be made ends the start; only what the server does not know at all may be missing', async () => {
    type Refusal = (
      index: Record<string, unknown>,
      command: Record<string, unknown>,
    ) => Record<string, unknown> | false;
    const unknown = { ok: 0, code: 238, codeName: 'NotImplemented', errmsg: 'no' };
    const answer = (refused: Refusal) => (command: Record<string, unknown>) => {
      if (isHello(command)) return hello;
      const [index] = (command.indexes ?? []) as readonly Record<string, unknown>[];
      const refusal = refused(index ?? {}, command);
      if (refusal !== false) return refusal;
      if ('listCollections' in command)
        return {
          ok: 1,
          cursor: {
            id: Long.fromNumber(0),
            ns: 'footnote.$cmd.listCollections',
            firstBatch: [{ name: 'tenants', type: 'collection', options: {} }],
          },
        };
      if ('findAndModify' in command)
        return { ok: 1, value: { _id: 'schema', fence: 1 }, lastErrorObject: { n: 1, updatedExisting: true } };
      if ('find' in command) return { ok: 1, cursor: { id: Long.fromNumber(0), ns: 'footnote.meta', firstBatch: [] } };
      return { ok: 1, n: 1, nModified: 1 };
    };
    const opened = async (refused: Refusal) => {
      const server = await pretend(answer(refused));
      servers.push(server);
      const { log, clock, logged } = createTestRuntime();
      const uri = `mongodb://127.0.0.1:${(server.address() as AddressInfo).port}/footnote`;
      const state = await openMongoState({ uri, log, clock, limits });
      await state.maintenance.close();
      return logged.map((line) => line.event);
    };
    expect(await opened((index) => 'expireAfterSeconds' in index && unknown)).toContain('state.no_ttl');
    await expect(opened((index) => index.name === 'slot' && unknown)).rejects.toMatchObject({
      code: 'store-unavailable',
      message: expect.stringContaining('jobs.slot'),
    });
    expect(await opened((_, command) => 'collMod' in command && unknown)).toContain('state.no_validators');
    const forbidden = { ok: 0, code: 13, codeName: 'Unauthorized', errmsg: 'not authorized' };
    for (const name of ['collMod', 'create'])
      await expect(opened((_, command) => name in command && forbidden)).rejects.toMatchObject({
        code: 'store-unavailable',
        message: expect.stringMatching(/validators.*readWrite/) as string,
      });
  });
});

const server = mongodbUri;
if (server === undefined) {
  describe('a MongoDB database', () => {
    test.skip('not run: MONGODB_URI is not set', () => undefined);
  });
} else {
  describe('a MongoDB database', () => {
    let uri: string;
    let client: MongoClient;
    beforeAll(() => {
      uri = freshDatabase(server);
      client = new MongoClient(uri);
    });
    afterAll(async () => {
      await client.close();
      await dropDatabase(uri);
    });

    test('is opened again and again, with the indexes it needs', async () => {
      const { log, clock, logged } = createTestRuntime();
      for (const _ of [1, 2]) await (await openMongoState({ uri, log, clock })).maintenance.close();
      const indexes = await client.db(databaseOf(uri)).collection('inbox').listIndexes().toArray();
      const unique = indexes.filter((index) => index.unique === true).map((index) => index.name);
      expect(unique).toContain('keys');
      expect(indexes.map((index) => index.name)).toContain('ttl');
      expect(await client.db(databaseOf(uri)).collection('meta').findOne({ step: newestStep })).toMatchObject({
        oldest: 1,
      });
      const { setName } = (await client.db('admin').command({ hello: 1 })) as { setName?: string };
      expect(logged.some((line) => line.event === 'state.standalone')).toBe(setName === undefined);
    });

    test('of a newer Footnote is used while the two can share it, and refused when not', async () => {
      const collections = collectionsIn(client.db(databaseOf(uri)));
      const { log, clock } = createTestRuntime();
      const ran: string[] = [];
      const step = newestStep + 1;
      const newer = (oldest: number) => ({ step, name: 'newer', oldest, run: async () => void ran.push('newer') });
      const prepare = (oldest: number) =>
        prepareSchema({
          database: client.db(databaseOf(uri)),
          collections,
          clock,
          log,
          owner: 'newer',
          ttl: false,
          steps: [...migrations, newer(oldest)],
        });
      await prepare(1);
      await prepare(1);
      expect(ran, 'a step runs once').toEqual(['newer']);
      await (await openAt(uri).opening).maintenance.close();
      await collections.meta.updateOne({ step }, { $set: { oldest: step } });
      await expect(openAt(uri).opening).rejects.toMatchObject({
        code: 'config',
        message: expect.stringContaining('newer version'),
      });
      await collections.meta.updateOne({ step }, { $set: { oldest: 1, step: newestStep } });
    });

    test('is copied into a folder, a document a line, and not over an older copy', async () => {
      const folder = await mkdtemp(join(tmpdir(), 'footnote-backup-'));
      const state = await openAt(uri).opening;
      try {
        const tenant = aTenant();
        await state.tenants.create(tenant);
        await state.ledger.append(tenant.id, [aLine(tenant.id, { costNanos: 9_007_199_254_740_991 })]);
        await state.inbox.receive(anInboxRow(anEvent()));
        await state.maintenance.backup(folder);
        const manifest = JSON.parse(await readFile(join(folder, 'manifest.json'), 'utf8')) as Record<string, unknown>;
        expect(manifest).toMatchObject({ format: 'footnote-mongodb', collections: { ledger: 1, inbox: 1 } });
        const [line = ''] = (await readFile(join(folder, 'ledger.ndjson'), 'utf8')).split('\n');
        expect(JSON.parse(line)).toMatchObject({ costNanos: { $numberLong: '9007199254740991' } });
        expect(BSON.EJSON.parse(line)).toMatchObject({ tenantId: tenant.id, at: now });
        expect((await stat(join(folder, 'tenants.ndjson'))).mode & 0o077).toBe(0);
        await expect(state.maintenance.backup(folder)).rejects.toMatchObject({ code: 'conflict' });
      } finally {
        await state.maintenance.close();
        await rm(folder, { recursive: true });
      }
    });

    test('takes no event beyond the bound, and says so', async () => {
      const state = await openAt(uri).opening;
      const row = anInboxRow(anEvent({ text: 'x'.repeat(3 * 1024 * 1024) }));
      await expect(state.inbox.receive(row)).rejects.toMatchObject({ code: 'store-unavailable', retryable: false });
      expect(await state.inbox.get(row.id)).toBeNull();
      await state.maintenance.close();
      await expect(state.inbox.get(row.id)).rejects.toMatchObject({ code: 'store-unavailable' });
    });
  });
}
