import { lookup as systemLookup } from 'node:dns/promises';
import ipaddr from 'ipaddr.js';
import { Agent, buildConnector, fetch as undiciFetch } from 'undici';
import { AppError } from '../errors.ts';
import { readBounded } from './read-bounded.ts';

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
    /** Default: GET. A redirect is not followed with a body: `redirects: 0` makes it the answer. */
    readonly method?: 'GET' | 'POST';
    readonly body?: string;
    /** Of the decompressed body. Default: 20 MB. */
    readonly maxBytes?: number;
    /** Redirects that are followed, at most five. With 0 a redirect is an answer like any other. */
    readonly redirects?: number;
    /** Asked before the body is read; false leaves it unread, and `bytes` empty. */
    readonly wants?: (head: Pick<GuardedResponse, 'status' | 'headers'>) => boolean;
  },
) => Promise<GuardedResponse>;

export type GuardedFetchParts = {
  /** `host:port` that may be reached although its address is private. */
  readonly allow: readonly string[];
  /** Every address of a name; injected in tests. */
  readonly lookup?: (hostname: string) => Promise<readonly string[]>;
  readonly connect?: buildConnector.connector;
  /** For one fetch from the first name to the last byte, however slowly it drips. */
  readonly withinMs?: number;
};

const maxRedirects = 5;

/**
 * Fetch for addresses that come from tenants, documents or platforms. The name is resolved once, every address it has is
 * judged, and exactly a judged address is connected, so that neither a literal, a second DNS answer nor a redirect gets
 * past. Throws AppError `address-not-allowed`, `too-large`, `cancelled`, `unreadable-document` when there is no
 * answer or not in time, or `malformed` for what is no complete address.
 */
export const createGuardedFetch = ({
  allow,
  lookup = resolve,
  connect = buildConnector({ timeout: 10_000 }),
  withinMs = 30_000,
}: GuardedFetchParts): GuardedFetch => {
  const allowed = new Set(allow.map((entry) => entry.toLowerCase().replace(/^\[(.*)\]:/, '$1:')));
  const dispatcher = new Agent({
    connect: (options, callback) => {
      const hostname = options.hostname.replace(/^\[|\]$/g, '');
      const port = options.port === '' ? (options.protocol === 'https:' ? '443' : '80') : options.port;
      const exempt = allowed.has(`${hostname.toLowerCase()}:${port}`);
      judge(hostname, Number(port), exempt, lookup).then(
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
    // Headers of 16 kB are plenty; more of them is no page but an attack on memory.
    maxHeaderSize: 16_384,
    maxResponseSize: -1,
  });

  return async (address, options) => {
    const { signal, headers = {}, maxBytes = 20 * 1024 * 1024, redirects = maxRedirects, wants } = options;
    const { method = 'GET', body } = options;
    const within = AbortSignal.any([signal, AbortSignal.timeout(withinMs)]);
    const first = parseAddress(address);
    let current = first;
    for (let hop = 0; ; hop += 1) {
      const response = await undiciFetch(current, {
        dispatcher,
        redirect: 'manual',
        signal: within,
        // To the first address alone: what was meant for it is nobody else's.
        ...(hop === 0 ? { method, ...(body === undefined ? {} : { body }) } : {}),
        headers: { 'user-agent': 'Footnote', ...(current.origin === first.origin ? headers : withoutSecrets(headers)) },
      }).catch((error: unknown) => {
        throw asAppError(error, signal);
      });
      const location = response.headers.get('location');
      if (redirects > 0 && response.status >= 300 && response.status < 400 && location !== null) {
        await response.body?.cancel();
        if (hop === Math.min(redirects, maxRedirects))
          throw new AppError('address-not-allowed', `address not allowed: more than ${maxRedirects} redirects`);
        current = parseAddress(URL.parse(location, current)?.href ?? location);
        continue;
      }
      const head = { status: response.status, headers: Object.fromEntries(response.headers) };
      const isWanted = wants?.(head) !== false;
      if (!isWanted) await response.body?.cancel();
      const bytes = !isWanted
        ? new Uint8Array()
        : await readBounded(response.body, maxBytes).catch((error: unknown) => {
            throw asAppError(error, signal);
          });
      if (bytes === null)
        throw new AppError('too-large', `The page is larger than ${maxBytes.toLocaleString('en')} bytes.`);
      return { url: current.href, ...head, bytes };
    }
  };
};

/** What was meant for the first host is nobody else's. */
const withoutSecrets = (headers: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(headers).filter(([name]) => !/^(?:authorization|cookie|proxy-authorization)$/i.test(name)),
  );

const resolve = async (hostname: string): Promise<readonly string[]> =>
  (await systemLookup(hostname, { all: true, verbatim: true })).map(({ address }) => address);

/** IPv6 that is routed at all. `ipaddr.js` calls `::7f00:1`, which is 127.0.0.1 in an old spelling, plain unicast. */
const globalV6 = ipaddr.parseCIDR('2000::/3');
/** Public by its range, but answered by the host of a virtual machine: the metadata of one cloud. */
const neverReached = new Set(['168.63.129.16']);

/** Whether an address is of the public Internet: unicast, not loopback, private, link-local, mapped, NAT64, multicast… */
export const isPublicAddress = (address: string): boolean => {
  if (!ipaddr.isValid(address)) return false;
  const parsed = ipaddr.process(address);
  if (parsed.range() !== 'unicast' || neverReached.has(parsed.toString())) return false;
  return parsed.kind() === 'ipv4' || parsed.match(globalV6);
};

/** Below 1024 only the web's own: mail, remote shells and the like are no pages, whatever they answer. */
const isWebPort = (port: number): boolean => port === 80 || port === 443 || port >= 1_024;

const judge = async (
  hostname: string,
  port: number,
  exempt: boolean,
  lookup: NonNullable<GuardedFetchParts['lookup']>,
): Promise<string> => {
  if (!exempt && !isWebPort(port)) throw new AppError('address-not-allowed', `address not allowed: port ${port}`);
  const addresses = ipaddr.isValid(hostname) ? [hostname] : await lookup(hostname);
  const [first] = addresses;
  if (first === undefined) throw new AppError('address-not-allowed', 'address not allowed: the name has no address');
  if (!exempt && !addresses.every(isPublicAddress))
    throw new AppError(
      'address-not-allowed',
      'address not allowed: it is not one of the public Internet. Whoever runs this deployment may permit it with FETCH_ALLOW.',
    );
  return first;
};

const parseAddress = (address: string): URL => {
  const url = URL.parse(address);
  if (url === null)
    throw new AppError('malformed', 'This is not a complete web address; it must begin with https:// or http://.');
  if (url.protocol !== 'https:' && url.protocol !== 'http:')
    throw new AppError('address-not-allowed', 'address not allowed: only http and https are fetched');
  // Sent nowhere: `https://bank.example@evil.example/` is made to be misread, and a real password has no place here.
  if (url.username !== '' || url.password !== '')
    throw new AppError('address-not-allowed', 'address not allowed: it carries a user name or password');
  return url;
};

const asAppError = (error: unknown, signal: AbortSignal): AppError => {
  for (let at: unknown = error; at instanceof Error; at = at.cause) if (at instanceof AppError) return at;
  if (signal.aborted) return new AppError('cancelled', 'The fetch was stopped.', { cause: error });
  // The ports that no browser opens either are refused by the client itself.
  if (error instanceof Error && error.cause instanceof Error && error.cause.message === 'bad port')
    return new AppError('address-not-allowed', 'address not allowed: this port serves no web pages', { cause: error });
  return new AppError('unreadable-document', 'The address could not be fetched: it did not answer, or not in time.', {
    cause: error,
    retryable: true,
  });
};
