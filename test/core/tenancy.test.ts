import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Core } from '../../core/core.ts';
import type { Connection } from '../../core/domain.ts';
import { openSqliteState } from '../../core/drivers/state/sqlite/state.ts';
import type { Ingest } from '../../core/ingest/ingest.ts';
import type { Happening } from '../../core/ports/notices.ts';
import type { StateStore } from '../../core/ports/state.ts';
import { createSealer } from '../../core/security/seal.ts';
import { createChannels } from '../../core/tenancy/channels.ts';
import { createConnections } from '../../core/tenancy/connections.ts';
import { createKeys } from '../../core/tenancy/keys.ts';
import { createTenants } from '../../core/tenancy/tenants.ts';
import { createTestRuntime } from '../fakes/clock.ts';

const runtime = createTestRuntime();
let folder: string;
let state: StateStore;
let dropped: string[];
let tenants: Core['tenants'];
let keys: Core['keys'];
let acme: string;
let count = 0;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'footnote-tenancy-'));
  state = await openSqliteState({ dataDir: folder, log: runtime.log });
});
afterAll(async () => {
  await state.maintenance.close();
  await rm(folder, { recursive: true });
});
beforeEach(() => {
  count += 1;
  acme = `acme-${count}`;
  dropped = [];
  const ingest = { dropTenant: async (tenantId: string) => void dropped.push(tenantId) } as unknown as Ingest;
  tenants = createTenants({ state, ingest, runtime });
  keys = createKeys({ state, runtime, operatorToken: 'the-operators-own-token' });
});

describe('tenants', () => {
  it('are known by an opaque id that never shows the slug', async () => {
    const tenant = await tenants.create({ slug: acme, name: ' Acme ' });
    expect(tenant.id).toMatch(/^t_[0-9a-f]{24}$/);
    expect(tenant.name).toBe('Acme');
    expect(await tenants.bySlug(acme)).toEqual(tenant);
  });

  it.each(['', 'A', 'a b', '-a', 'a-', 'a/b', '../x', 'a'.repeat(64), 'é', 'a_b', 'assets', 'sign-in'])(
    'refuse the slug %j',
    async (slug) => {
      await expect(tenants.create({ slug, name: 'x' })).rejects.toMatchObject({ code: 'invalid', at: 'slug' });
    },
  );

  it('keep their slug for ever', async () => {
    const { id } = await tenants.create({ slug: acme, name: 'Acme' });
    await expect(tenants.create({ slug: acme, name: 'Other' })).rejects.toMatchObject({ code: 'conflict' });
    await tenants.remove(id);
    expect(await tenants.bySlug(acme)).toBeNull();
    expect(dropped).toEqual([id]);
    await expect(tenants.create({ slug: acme, name: 'Other' })).rejects.toMatchObject({ code: 'conflict' });
  });

  it('tell the later of two editors', async () => {
    const { id, rev } = await tenants.create({ slug: acme, name: 'Acme' });
    await tenants.update(id, { settings: { language: 'de' } }, rev);
    await expect(tenants.update(id, { name: 'Late' }, rev)).rejects.toMatchObject({ code: 'conflict' });
    expect(await tenants.update(id, { settings: { instructions: 'Be brief.' } })).toMatchObject({
      settings: { language: 'de', instructions: 'Be brief.' },
    });
  });

  it('that do not exist cannot be changed or removed', async () => {
    await expect(tenants.update('t_0', { name: 'x' })).rejects.toMatchObject({ code: 'not-found' });
    await expect(tenants.remove('t_0')).rejects.toMatchObject({ code: 'not-found' });
  });
});

describe('keys', () => {
  it('open their tenant until they are revoked, and are never stored', async () => {
    const tenant = await tenants.create({ slug: acme, name: 'Acme' });
    const { id, key } = await keys.create(tenant.id, { name: 'ci', scopes: ['ingest', 'ingest'] });
    expect(await keys.authenticate(key)).toMatchObject({ id, tenantId: tenant.id, scopes: ['ingest'] });
    expect(JSON.stringify(await keys.list(tenant.id))).not.toContain(key);
    await keys.revoke(tenant.id, id);
    expect(await keys.authenticate(key)).toBeNull();
    await expect(keys.revoke(tenant.id, 'k_other')).rejects.toMatchObject({ code: 'not-found' });
  });

  it('die with their tenant', async () => {
    const tenant = await tenants.create({ slug: acme, name: 'Acme' });
    const { key } = await keys.create(tenant.id, { name: 'ci', scopes: ['ask'] });
    await tenants.remove(tenant.id);
    expect(await keys.authenticate(key)).toBeNull();
  });

  it.each(['', 'fn_', 'fn_zz', `fn_${'0'.repeat(48)}`, `fn_${'0'.repeat(480)}`, "' or 1=1 --"])(
    'do not include %j',
    async (guess) => {
      expect(await keys.authenticate(guess)).toBeNull();
    },
  );

  it('know the operator by token only when there is one', () => {
    expect(keys.isOperator('the-operators-own-token')).toBe(true);
    expect(keys.isOperator('the-operators-own-tokeN')).toBe(false);
    expect(createKeys({ state, runtime, operatorToken: undefined }).isOperator('')).toBe(false);
  });
});

describe('channel rules', () => {
  it('say where each value comes from', async () => {
    const tenant = await tenants.create({ slug: acme, name: 'Acme' });
    await tenants.update(tenant.id, { settings: { language: 'de', instructions: 'Be brief.' } });
    const rules = await createChannels(state).put(tenant.id, 'slack', 'C1', {
      instructions: 'Be kind.',
      enabled: false,
    });
    expect(rules).toMatchObject({
      enabled: { value: false, origin: 'channel' },
      instructions: { value: 'Be kind.', origin: 'channel' },
      language: { value: 'de', origin: 'tenant' },
      answerWhen: { value: 'mention', origin: 'default' },
      sources: { value: undefined, origin: 'default' },
    });
  });

  it("refuse a source that is not the tenant's", async () => {
    const tenant = await tenants.create({ slug: acme, name: 'Acme' });
    await expect(createChannels(state).put(tenant.id, 'slack', 'C1', { sources: ['s_foreign'] })).rejects.toMatchObject(
      {
        code: 'not-found',
      },
    );
  });
});

describe('connections', () => {
  const sealer = createSealer(Buffer.alloc(32, 1));

  it('map a workspace to one tenant and keep its credentials sealed', async () => {
    const connections = createConnections({ state, sealer, runtime });
    const [first, other] = await Promise.all([
      tenants.create({ slug: acme, name: 'Acme' }),
      tenants.create({ slug: `other-${count}`, name: 'Other' }),
    ]);
    const made = await connections.create(first.id, {
      platform: 'slack',
      workspaceId: 'T1',
      credentials: { botToken: 'xoxb-secret' },
    });
    expect(JSON.stringify(await connections.list(first.id))).not.toContain('xoxb-secret');
    expect(await connections.credentials(made)).toEqual({ botToken: 'xoxb-secret' });
    await expect(connections.create(other.id, { platform: 'slack', workspaceId: 'T1' })).rejects.toMatchObject({
      code: 'conflict',
    });
    await expect(connections.remove(other.id, made.id)).rejects.toMatchObject({ code: 'not-found' });
  });

  it('are claimed once with the code shown inside the workspace', async () => {
    const connections = createConnections({ state, sealer, runtime });
    const tenant = await tenants.create({ slug: acme, name: 'Acme' });
    const { code, expiresAt } = await connections.offerCode('slack', 'T9');
    expect(code).toMatch(/^[A-HJKMNP-TV-Z2-9]{5}-[A-HJKMNP-TV-Z2-9]{5}$/);
    expect(expiresAt - runtime.clock.now()).toBe(15 * 60_000);
    expect(
      await connections.claim(tenant.id, { platform: 'slack', code: ` ${code.toLowerCase().replace('-', ' ')} ` }),
    ).toMatchObject({ workspaceId: 'T9' });
    await expect(connections.claim(tenant.id, { platform: 'slack', code })).rejects.toMatchObject({
      code: 'not-found',
    });
  });

  it('are not claimed as another platform’s, and the code is good afterwards', async () => {
    const connections = createConnections({ state, sealer, runtime });
    const tenant = await tenants.create({ slug: acme, name: 'Acme' });
    const { code } = await connections.offerCode('discord', `G-${count}`);
    await expect(connections.claim(tenant.id, { platform: 'slack', code })).rejects.toMatchObject({
      code: 'not-found',
      message: expect.stringContaining('on another platform'),
    });
    expect(await connections.claim(tenant.id, { platform: 'discord', code })).toMatchObject({ platform: 'discord' });
  });

  it('take over what an installation brought before they were claimed', async () => {
    const connections = createConnections({ state, sealer, runtime });
    const tenant = await tenants.create({ slug: acme, name: 'Acme' });
    const workspace = { platform: 'slack', workspaceId: `T-claimed-${count}` } as const;
    expect(await connections.install({ ...workspace, credentials: { botToken: 'xoxb-old' } })).toBeNull();
    await connections.install({ ...workspace, credentials: { botToken: 'xoxb-new' }, info: { name: 'Acme' } });
    expect(await connections.pending('slack', workspace.workspaceId)).toMatchObject({
      credentials: { botToken: 'xoxb-new' },
      info: { name: 'Acme' },
    });
    const { code } = await connections.offerCode('slack', workspace.workspaceId);
    const claimed = await connections.claim(tenant.id, { platform: 'slack', code });
    expect(JSON.stringify(await connections.list(tenant.id))).not.toContain('xoxb');
    expect(await connections.credentials(claimed)).toEqual({ botToken: 'xoxb-new' });
    expect(await connections.pending('slack', workspace.workspaceId)).toBeNull();
    expect(await state.connections.getInstallation('slack', workspace.workspaceId)).toBeNull();
  });

  it('get new credentials when the app is installed again, and lose them with it', async () => {
    const connections = createConnections({ state, sealer, runtime });
    const tenant = await tenants.create({ slug: acme, name: 'Acme' });
    const workspace = { platform: 'slack', workspaceId: `T-again-${count}` } as const;
    const made = await connections.create(tenant.id, { ...workspace, credentials: { botToken: 'xoxb-one' } });
    const again = await connections.install({ ...workspace, credentials: { botToken: 'xoxb-two' } });
    expect(again?.id).toBe(made.id);
    const stored = async () => (await connections.get(tenant.id, made.id)) ?? made;
    expect(await connections.credentials(await stored())).toEqual({ botToken: 'xoxb-two' });
    await connections.uninstall('slack', workspace.workspaceId);
    expect(await connections.credentials(await stored())).toBeNull();
    expect(await stored()).toMatchObject({ lastError: expect.stringContaining('removed') });
  });

  it('that are lost are told once a day, and say so until there is a sign of life', async () => {
    const told: Happening[] = [];
    const runtime = createTestRuntime();
    const connections = createConnections({ state, sealer, runtime, happened: async (one) => void told.push(one) });
    const tenant = await tenants.create({ slug: acme, name: 'Acme' });
    const make = (workspaceId: string) => connections.create(tenant.id, { platform: 'discord', workspaceId });
    const [quiet, lively] = [await make(`G-quiet-${count}`), await make(`G-lively-${count}`)];
    const errorOf = async ({ id }: Connection) => (await connections.get(tenant.id, id))?.lastError;
    const own = () => told.filter(({ tenantId }) => tenantId === tenant.id);
    const mine = () => own().map(({ data }) => data.connectionId);

    await connections.failed(quiet, 'The channel is archived.');
    expect(mine(), 'no loss').toEqual([]);

    const since = runtime.clock.now();
    runtime.clock.set(since + 1000);
    await connections.heard(lively);
    runtime.clock.set(since + 300_000);
    await connections.unheard?.('discord', since, 'Nobody listens.');
    expect(mine(), 'another instance heard the lively one').toEqual([quiet.id]);
    expect(own().at(-1)).toMatchObject({ event: 'connection.lost', data: { problem: 'Nobody listens.' } });
    expect([await errorOf(quiet), await errorOf(lively)]).toEqual(['Nobody listens.', undefined]);
    await connections.failed(quiet, 'The token is void.', 'lost');
    expect(new Set(own().map(({ id }) => id)), 'the same message').toHaveLength(1);

    await connections.heardAgain?.('discord', 'Nobody listens.');
    expect((await connections.get(tenant.id, quiet.id))?.lastEventAt, 'another trouble since').toBeUndefined();
    await connections.failed(quiet, 'Nobody listens.', 'lost');
    await connections.heardAgain?.('discord', 'Nobody listens.');
    expect((await connections.get(tenant.id, quiet.id))?.lastEventAt).toBe(runtime.clock.now());
    runtime.clock.set(since + 86_400_000);
    await connections.failed(quiet, 'The token is void.', 'lost');
    expect(new Set(own().map(({ id }) => id)), 'the next day').toHaveLength(2);
  });

  it('who installed the app is in the audit log; a renewal of credentials is nobody’s deed', async () => {
    const connections = createConnections({ state, sealer, runtime });
    const tenant = await tenants.create({ slug: acme, name: 'Acme' });
    const [waiting, connected] = [`T-waits-${count}`, `T-mine-${count}`];
    await connections.create(tenant.id, { platform: 'slack', workspaceId: connected });
    for (const workspaceId of [waiting, connected])
      await connections.install({ platform: 'slack', workspaceId, credentials: { botToken: 'x' }, by: 'slack:U1' });
    await connections.install({ platform: 'slack', workspaceId: connected, credentials: { botToken: 'y' } });
    const trail = async (tenantId: string | null, q: string) =>
      (await state.audit.list(tenantId, { q }, { limit: 5 })).items.map(({ actor, action }) => `${actor} ${action}`);
    expect(await trail(null, waiting)).toEqual(['slack:U1 workspace.install']);
    expect(await trail(tenant.id, connected)).toEqual(['slack:U1 workspace.install']);
  });
});
