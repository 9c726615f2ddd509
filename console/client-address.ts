import type { Context } from 'hono';
import ipaddr from 'ipaddr.js';

type Address = ReturnType<typeof ipaddr.process>;

/** The other end of the socket; `unknown` where there is none (tests without a connection). */
export const remoteAddress = (c: Context): string => {
  const bindings = c.env as { incoming?: { socket?: { remoteAddress?: string } } } | undefined;
  return bindings?.incoming?.socket?.remoteAddress ?? 'unknown';
};

const forwardingHeaders = ['forwarded', 'x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto', 'x-real-ip', 'via'];
export const isForwarded = (c: Context): boolean => forwardingHeaders.some((name) => c.req.header(name) !== undefined);

/** Whether the caller sits on this machine: by the socket, never by a header, in every spelling of an address. */
export const isLoopback = (c: Context): boolean => parse(remoteAddress(c))?.range() === 'loopback' && !isForwarded(c);

/**
 * The caller's address for limits and logs. A forwarded header counts only when the socket's other end is a trusted proxy;
 * the chain is walked from the right, past trusted proxies, so that a client cannot put an address in front.
 */
export const createClientAddress = (trusted: readonly string[]): ((c: Context) => string) => {
  const ranges = trusted.map(parseRange);
  const isTrusted = (address: Address | null): boolean =>
    address !== null &&
    ranges.some(([range, bits]) => range.kind() === address.kind() && matches(address, range, bits));
  return (c) => {
    const direct = parse(remoteAddress(c));
    if (!isTrusted(direct)) return direct === null ? remoteAddress(c) : bucketOf(direct);
    const chain = (c.req.header('x-forwarded-for') ?? '').split(',').map((part) => parse(part.trim()));
    const client = chain.reverse().find((address) => !isTrusted(address));
    return bucketOf(client ?? direct ?? null);
  };
};

/** One bucket per IPv4 address and per IPv6 /64: a subscriber owns a whole /64. */
const bucketOf = (address: Address | null): string => {
  if (address === null) return 'unknown';
  if (address.kind() === 'ipv4') return address.toString();
  return `${(address as ipaddr.IPv6).parts
    .slice(0, 4)
    .map((part) => part.toString(16))
    .join(':')}::/64`;
};

/** Mapped IPv4 (`::ffff:127.0.0.1`) is IPv4 here, however it is spelt. */
const parse = (text: string): Address | null => (ipaddr.isValid(text) ? ipaddr.process(text) : null);

const parseRange = (text: string): readonly [Address, number] => {
  if (text.includes('/')) return ipaddr.parseCIDR(text);
  const address = ipaddr.process(text);
  return [address, address.kind() === 'ipv4' ? 32 : 128];
};

const matches = (address: Address, range: Address, bits: number): boolean =>
  address.kind() === 'ipv4'
    ? (address as ipaddr.IPv4).match(range as ipaddr.IPv4, bits)
    : (address as ipaddr.IPv6).match(range as ipaddr.IPv6, bits);
