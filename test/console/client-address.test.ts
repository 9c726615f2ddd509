import { Hono } from 'hono';
import { describe, expect, test } from 'vitest';
import { createClientAddress } from '../../console/client-address.ts';

const addressOf = async (trusted: readonly string[], socket: string, forwarded?: string): Promise<string> => {
  const clientAddress = createClientAddress(trusted);
  const app = new Hono().get('/', (c) => c.text(clientAddress(c)));
  const headers = forwarded === undefined ? {} : { 'x-forwarded-for': forwarded };
  return (await app.request('/', { headers }, { incoming: { socket: { remoteAddress: socket } } })).text();
};

describe('the address of a caller', () => {
  test('is the socket’s, whatever a header says, when no proxy is trusted', async () => {
    expect(await addressOf([], '203.0.113.9', '198.51.100.1')).toBe('203.0.113.9');
  });

  test('comes from the header when a trusted proxy sends it', async () => {
    expect(await addressOf(['10.0.0.0/8'], '10.1.2.3', '198.51.100.1')).toBe('198.51.100.1');
    expect(await addressOf(['10.0.0.1'], '::ffff:10.0.0.1', '198.51.100.1')).toBe('198.51.100.1');
  });

  test('is the last one that no trusted proxy added, so that a client cannot choose it', async () => {
    expect(await addressOf(['10.0.0.0/8'], '10.1.2.3', '1.1.1.1, 198.51.100.1, 10.9.9.9')).toBe('198.51.100.1');
    expect(await addressOf(['10.0.0.0/8'], '10.1.2.3', '1.1.1.1, nonsense')).toBe('10.1.2.3');
  });

  test('is one however an address is spelt', async () => {
    for (const spelling of ['2001:db8::1', '2001:0DB8:0:0::1', '2001:db8::ffff'])
      expect(await addressOf([], spelling)).toBe('2001:db8:0:0::/64');
    expect(await addressOf([], '::ffff:203.0.113.9')).toBe('203.0.113.9');
  });
});
