import { renderJson, UsageError, type Verb } from '../verb.ts';

export const tenantCreate: Verb = {
  name: 'tenant create',
  about: 'Create a tenant: one organisation with documents, limits and keys of its own.',
  args: '<slug>',
  options: { name: { type: 'string', about: 'its name for people (the slug)' } },
  async run(call) {
    const [slug, ...rest] = call.args;
    if (slug === undefined || rest.length > 0) throw new UsageError('Give one slug, such as “acme”.');
    const { core } = await call.open();
    const { id, name } = await core.tenants.create({ slug, name: call.text('name') ?? slug });
    await core.audit(id, 'cli', 'tenant-create', slug);
    call.terminal.out(call.json ? renderJson({ id, slug, name }) : `Tenant ${slug} (${id}) is ready.\n`);
    return 0;
  },
};
