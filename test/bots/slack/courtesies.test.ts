import { describe, expect, it } from 'vitest';
import type { SlackApi } from '../../../bots/slack/api.ts';
import { createCourtesies } from '../../../bots/slack/courtesies.ts';
import { createTestRuntime } from '../../fakes/clock.ts';

const greet = async (greeting: string | null): Promise<string> => {
  const said: string[] = [];
  const api = {
    call: async (_method: string, { text }: { readonly text: string }) => {
      said.push(text);
      return { ok: true };
    },
  } as unknown as SlackApi;
  const courtesies = createCourtesies(createTestRuntime().clock, async () => greeting);
  await courtesies({ name: 'hello', team: 'T1', channel: 'C1' }, api);
  return said.join();
};

describe('hello', () => {
  it('is in the words of the organisation, which call nobody', async () => {
    expect(await greet('I am the owl. Ask <!channel> & me.')).toBe('I am the owl. Ask &lt;!channel&gt; &amp; me.');
  });

  it('is in ours where it has none', async () => {
    expect(await greet(null)).toMatch(/^Hello! Mention me/);
  });
});
