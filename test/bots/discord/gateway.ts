import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { acceptWebSockets, type WebSocketPeer } from '../../fakes/web-socket-server.ts';

const dispatch = 0;
const heartbeat = 1;
const identify = 2;
const resume = 6;
const invalidSession = 9;
const hello = 10;
const heartbeatAck = 11;

type Session = {
  sequence: number;
  peer: WebSocketPeer | null;
  readonly history: { readonly s: number; readonly text: string }[];
};

export type FakeGateway = {
  readonly url: string;
  /** Who the bot is, told in READY. */
  bot: string;
  guilds: readonly string[];
  /** Close code with which an identify is refused; null takes it. */
  refuse: (intents: number) => number | null;
  /** Intents of each identify. */
  readonly identified: readonly number[];
  /** Which connection of how many each identify was. */
  readonly shards: readonly (readonly [number, number])[];
  readonly resumed: readonly { readonly session: string; readonly sequence: number }[];
  connected(): number;
  /** Kept for sessions that are away. */
  dispatch(type: string, data: unknown): void;
  /** Every connection is cut; the sessions stay. */
  drop(code?: number): void;
  close(): Promise<void>;
};

/** Discord's gateway as far as sessions go: what the twin lacks is resuming one and refusing one. */
export const startFakeGateway = async (): Promise<FakeGateway> => {
  const server = createServer();
  const sessions = new Map<string, Session>();
  const identified: number[] = [];
  const shards: [number, number][] = [];
  const resumed: { session: string; sequence: number }[] = [];
  const send = (session: Session, type: string, data: unknown): void => {
    session.sequence += 1;
    const text = JSON.stringify({ op: dispatch, t: type, s: session.sequence, d: data });
    session.history.push({ s: session.sequence, text });
    session.peer?.send(text);
  };
  acceptWebSockets(server, (peer, onText) => {
    peer.send(JSON.stringify({ op: hello, d: { heartbeat_interval: 45_000 } }));
    onText((text) => {
      const { op, d } = JSON.parse(text) as { readonly op: number; readonly d: Record<string, unknown> };
      if (op === heartbeat) peer.send(JSON.stringify({ op: heartbeatAck }));
      if (op === identify) {
        const intents = Number(d.intents);
        identified.push(intents);
        if (Array.isArray(d.shard)) shards.push(d.shard as [number, number]);
        const code = fake.refuse(intents);
        if (code !== null) return peer.close(code);
        const id = `session-${sessions.size + 1}`;
        const session: Session = { sequence: 0, peer, history: [] };
        sessions.set(id, session);
        send(session, 'READY', {
          v: 10,
          user: { id: fake.bot },
          guilds: fake.guilds.map((guild) => ({ id: guild, unavailable: true })),
          session_id: id,
          resume_gateway_url: fake.url,
          application: { id: fake.bot, flags: 0 },
        });
      }
      if (op === resume) {
        const id = String(d.session_id);
        const session = sessions.get(id);
        resumed.push({ session: id, sequence: Number(d.seq) });
        if (session === undefined) return peer.send(JSON.stringify({ op: invalidSession, d: false }));
        session.peer = peer;
        for (const missed of session.history) if (missed.s > Number(d.seq)) peer.send(missed.text);
        send(session, 'RESUMED', {});
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const fake: FakeGateway = {
    url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}`,
    bot: '',
    guilds: [],
    refuse: () => null,
    identified,
    shards,
    resumed,
    connected: () => [...sessions.values()].filter((session) => session.peer !== null).length,
    dispatch: (type, data) => {
      for (const session of sessions.values()) send(session, type, data);
    },
    drop: (code = 4000) => {
      for (const session of sessions.values()) {
        session.peer?.close(code);
        session.peer = null;
      }
    },
    close: async () => {
      fake.drop();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return fake;
};
