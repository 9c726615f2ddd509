import type { KeyScope } from '../../core/domain.ts';
import { renderJson, tenantOf, tenantOption, UsageError, type Verb } from '../verb.ts';

const scopes: readonly KeyScope[] = ['ask', 'ingest', 'billing', 'admin'];
const isScope = (value: string): value is KeyScope => (scopes as readonly string[]).includes(value);

export const keyCreate: Verb = {
  name: 'key create',
  about: 'Create an API key of a tenant. It is shown once and stored hashed.',
  args: '<name>',
  options: {
    ...tenantOption,
    scope: { type: 'string', multiple: true, about: `what the key may do: ${scopes.join(', ')}` },
  },
  async run(call) {
    const name = call.args.join(' ').trim();
    if (name === '') throw new UsageError('Give the key a name that says who uses it.');
    const wanted = call.texts('scope').flatMap((value) => value.split(','));
    const unknown = wanted.filter((scope) => !isScope(scope));
    if (unknown.length > 0)
      throw new UsageError(`There is no scope ${unknown.join(', ')}. There are: ${scopes.join(', ')}.`);
    if (wanted.length === 0) throw new UsageError(`Say with --scope what the key may do: ${scopes.join(', ')}.`);
    const { core } = await call.open();
    const tenant = await tenantOf(call, core);
    const created = await core.keys.create(tenant.id, { name, scopes: [...new Set(wanted.filter(isScope))] });
    await core.audit(tenant.id, 'cli', 'key-create', created.id);
    call.terminal.out(call.json ? renderJson(created) : `${created.key}\n`);
    if (!call.json) call.terminal.err('Keep it now: it is not shown again.\n');
    return 0;
  },
};
