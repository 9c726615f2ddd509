import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { afterAll, describe, expect } from 'vitest';
import { openWeaviateChunks, type WeaviateChunksOptions } from '../../../../../core/drivers/chunks/weaviate/chunks.ts';
import { systemClock } from '../../../../../core/observe/system.ts';
import { describeChunkStore, type OpenedChunks } from '../../../../contracts/chunks.ts';
import { createTestRuntime, testStart } from '../../../../fakes/clock.ts';
import { type Exchange, recordWeaviate, replayWeaviate, type StandIn } from '../../../../fakes/weaviate-replay.ts';
import { againstRealServer, openReal, realServer } from './real-server.ts';

const tenancies = ['collection', 'native'] as const;

againstRealServer('the contract against Weaviate itself', (server) => {
  for (const tenancy of tenancies) {
    describeChunkStore(`weaviate, tenancy ${tenancy}`, async () => {
      const store = await openReal(server, { tenancy, deploymentId: 'contract' });
      return { store, close: () => store.close() };
    });
  }
});

/**
 * The same without a server: what passed between the driver and a real one, played back over real sockets. A request that
 * was not recorded, or a recorded one that is no longer made, fails: then look whether the change was meant, and record
 * anew with `WEAVIATE_URL=http://… node test/fakes/weaviate-record.ts`.
 */
const recording = process.env.WEAVIATE_RECORD === 'yes';

describe(recording ? 'recording the contract' : 'the contract against recorded exchanges', () => {
  for (const tenancy of tenancies) {
    const file = new URL(`../../../../fixtures/weaviate/contract-${tenancy}.json`, import.meta.url);
    const sessions = recording ? {} : readSessions(file);

    describeChunkStore(`weaviate, tenancy ${tenancy}`, () => {
      const title = (expect.getState().currentTestName ?? '').split(' > ').at(-1) ?? '';
      return recording ? openRecording(title) : openReplay(title);
    });

    const openRecording = async (title: string): Promise<OpenedChunks> => {
      if (realServer === undefined) throw new Error('WEAVIATE_URL must name a server to record from.');
      const recorder = await recordWeaviate(realServer);
      return opened(recorder, async () => {
        sessions[title] = recorder.exchanges;
      });
    };
    const openReplay = async (title: string): Promise<OpenedChunks> => {
      const replayer = await replayWeaviate(sessions[title] ?? []);
      return opened(replayer, async () => {
        expect({ unknown: replayer.unknown, unasked: replayer.unasked() }).toEqual({ unknown: [], unasked: [] });
      });
    };
    const opened = async (server: StandIn, finish: () => Promise<void>): Promise<OpenedChunks> => {
      const store = await openWeaviateChunks({ ...options, ...server, tenancy });
      return {
        store,
        close: async () => {
          await store.close();
          await server.close();
          await finish();
        },
      };
    };

    afterAll(() => {
      if (!recording) return;
      writeSessions(file, sessions);
    });
  }
});

/** Time stands still, so that revisions and with them object ids are the same in every run. */
const options: Omit<WeaviateChunksOptions, 'url' | 'tenancy'> = {
  deploymentId: 'replay',
  replicas: 1,
  maxTenants: 100,
  clock: { now: () => testStart, sleep: systemClock.sleep },
  log: createTestRuntime().log,
};

type Sessions = Record<string, readonly Exchange[]>;

/** Texts that come again and again, such as the description of a collection, stand in the file once. */
type Stored = {
  readonly texts: readonly string[];
  readonly sessions: Record<string, readonly (Omit<Exchange, 'sent' | 'answer'> & { sent: number; answer: number })[]>;
};

const readSessions = (file: URL): Sessions => {
  const { texts, sessions } = JSON.parse(readFileSync(file, 'utf8')) as Stored;
  const read = ({ sent, answer, ...rest }: Stored['sessions'][string][number]): Exchange => ({
    ...rest,
    sent: texts[sent] ?? '',
    answer: texts[answer] ?? '',
  });
  return Object.fromEntries(Object.entries(sessions).map(([title, exchanges]) => [title, exchanges.map(read)]));
};

const writeSessions = (file: URL, sessions: Sessions): void => {
  const places = new Map<string, number>();
  const place = (text: string): number => {
    const known = places.get(text) ?? places.size;
    places.set(text, known);
    return known;
  };
  const lines = Object.entries(sessions).map(([title, exchanges]) => {
    const rows = exchanges.map(({ sent, answer, ...rest }) =>
      JSON.stringify({ ...rest, sent: place(sent), answer: place(answer) }),
    );
    return `${JSON.stringify(title)}: [\n${rows.join(',\n')}\n]`;
  });
  const texts = [...places.keys()].map((text) => JSON.stringify(text));
  mkdirSync(new URL('.', file), { recursive: true });
  writeFileSync(file, `{"texts": [\n${texts.join(',\n')}\n],\n"sessions": {\n${lines.join(',\n')}\n}}\n`);
};
