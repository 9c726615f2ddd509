import { lookup as systemLookup } from 'node:dns/promises';
import ipaddr from 'ipaddr.js';
import { Agent, buildConnector, fetch as undiciFetch } from 'undici';
import { AppError } from '../errors.ts';

export type GuardedResponse = {
  /** After redirects. */
  readonly url: string;
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** Decompressed. */
  readonly bytes: Uint8Array;
};

export type GuardedFetch = (
  address: string,
  options: {
    readonly signal: AbortSignal;
    readonly headers?: Readonly<Record<string, string>>;
    readonly maxBytes?: number;
  },
) => Promise<GuardedResponse>;

export type GuardedFetchParts = {
  /** `host:port` that may be reached although its address is private. */
  readonly allow: readonly string[];
  /** Every address of a name; injected in tests. */
  readonly lookup?: (hostname: string) => Promise<readonly string[]>;
  readonly connect?: buildConnector.connector;
};

const maxRedirects = 5;
const forMs = 30_000;

/**
 * Fetch for addresses that come from tenants, documents or platforms. The name is resolved once, every address it has is
 * judged, and exactly a judged address is connected, so that neither a literal, a second DNS answer nor a redirect gets
 * past. Throws AppError `address-not-allowed`, `too-large`, `cancelled`, or `malformed` for what is no http(s) address.
 */
export const createGuardedFetch = ({
  allow,
  lookup = resolve,
  connect = buildConnector({ timeout: 10_000 }),
}: GuardedFetchParts): GuardedFetch => {
  const allowed = new Set(allow.map((entry) => entry.toLowerCase()));
  const dispatcher = new Agent({
    connect: (options, callback) => {
      const hostname = options.hostname.replace(/^\[|\]$/g, '');
      const port = options.port === '' ? (options.protocol === 'https:' ? '443' : '80') : options.port;
      const exempt = allowed.has(`${hostname.toLowerCase()}:${port}`);
      judge(hostname, exempt, lookup).then(
        (address) =>
          connect(
            {
              ...options,
              hostname: address,
              host: address,
              ...(ipaddr.isValid(hostname) ? {} : { servername: hostname }),
            },
            callback,
          ),
        (error: unknown) => callback(error instanceof Error ? error : new Error(String(error)), null),
      );
    },
    headersTimeout: 15_000,
    bodyTimeout: 15_000,
    maxResponseSize: -1,
  });

  return async (address, { signal, headers = {}, maxBytes = 20 * 1024 * 1024 }) => {
    const within = AbortSignal.any([signal, AbortSignal.timeout(forMs)]);
    let current = parseAddress(address);
    for (let hop = 0; ; hop += 1) {
      const response = await undiciFetch(current, {
        dispatcher,
        redirect: 'manual',
        signal: within,
        headers: { 'user-agent': 'Footnote', ...headers },
      }).catch((error: unknown) => {
        throw asAppError(error, signal);
      });
      const location = response.headers.get('location');
      if (response.status >= 300 && response.status < 400 && location !== null) {
        await response.body?.cancel();
        if (hop === maxRedirects)
          throw new AppError('address-not-allowed', `address not allowed: more than ${maxRedirects} redirects`);
        current = parseAddress(new URL(location, current).href);
        continue;
      }
      const bytes = await readBounded(response.body, maxBytes).catch((error: unknown) => {
        throw asAppError(error, signal);
      });
      return { url: current.href, status: response.status, headers: Object.fromEntries(response.headers), bytes };
    }
  };
};

const resolve = async (hostname: string): Promise<readonly string[]> =>
  (await systemLookup(hostname, { all: true, verbatim: true })).map(({ address }) => address);

/** Whether an address is of the public Internet: unicast, not loopback, private, link-local, mapped, NAT64, multicast… */
export const isPublicAddress = (address: string): boolean => {
  if (!ipaddr.isValid(address)) return false;
  const parsed = ipaddr.process(address);
  return parsed.range() === 'unicast';
};

const judge = async (
  hostname: string,
  exempt: boolean,
  lookup: NonNullable<GuardedFetchParts['lookup']>,
): Promise<string> => {
  const addresses = ipaddr.isValid(hostname) ? [hostname] : await lookup(hostname);
  const [first] = addresses;
  if (first === undefined) throw new AppError('address-not-allowed', 'address not allowed: the name has no address');
  if (!exempt && !addresses.every(isPublicAddress)) throw new AppError('address-not-allowed', 'address not allowed');
  return first;
};

const parseAddress = (address: string): URL => {
  const url = URL.parse(address);
  if (url === null)
    throw new AppError('malformed', 'This is not a complete web address; it must begin with https:// or http://.');
  if (url.protocol !== 'https:' && url.protocol !== 'http:')
    throw new AppError('address-not-allowed', 'address not allowed: only http and https are fetched');
  url.username = '';
  url.password = '';
  return url;
};

const readBounded = async (body: AsyncIterable<Uint8Array> | null, maxBytes: number): Promise<Uint8Array> => {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of body ?? []) {
    size += part.byteLength;
    if (size > maxBytes)
      throw new AppError('too-large', `The page is larger than ${maxBytes.toLocaleString('en')} bytes.`);
    parts.push(part);
  }
  return Buffer.concat(parts);
};

const asAppError = (error: unknown, signal: AbortSignal): AppError => {
  for (let at: unknown = error; at instanceof Error; at = at.cause) if (at instanceof AppError) return at;
  if (signal.aborted) return new AppError('cancelled', 'The fetch was stopped.', { cause: error });
  return new AppError('unreadable-document', 'The address could not be fetched: it did not answer, or not in time.', {
    cause: error,
    retryable: true,
  });
};
