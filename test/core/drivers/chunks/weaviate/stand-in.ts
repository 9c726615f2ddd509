import { type Answer, type StandIn, serve } from '../../../../fakes/weaviate-replay.ts';

/** gRPC messages are framed by a flag and a length; this is the health service's "SERVING". */
const serving = Buffer.from([0, 0, 0, 0, 2, 8, 1]).toString('base64');
const health = '/grpc.health.v1.Health/Check';

export type HandMade = {
  readonly version?: string;
  readonly rest?: (request: string, sent: string) => Answer | undefined | Promise<Answer | undefined>;
  readonly grpc?: (request: string) => Answer | undefined | Promise<Answer | undefined>;
};

/** The least that passes for a healthy, empty Weaviate; every answer can be replaced. */
export const emptyWeaviate = ({ version = '1.39.0', rest, grpc }: HandMade = {}): Promise<StandIn> =>
  serve({
    rest: async (request, sent) => {
      const special = await rest?.(request, sent);
      if (special !== undefined) return special;
      if (request === 'GET /v1/meta') return { status: 200, answer: JSON.stringify({ version }) };
      if (request === 'GET /v1/.well-known/ready') return { status: 200, answer: '' };
      return { status: 404, answer: '' };
    },
    grpc: async (request) => {
      const special = await grpc?.(request);
      if (special !== undefined) return special;
      if (request === health) return { status: 0, answer: serving };
      return { status: 2, message: 'could not find class in schema', answer: '' };
    },
  });
