import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { environment, parseConfig } from '../core/config.ts';

/** Rewrite with: npx vitest run test/env-example.test.ts --update */
const renderExample = (): string => {
  const lines = [
    '# Every variable of Footnote, with its default. Copy to .env in this folder, or',
    '# set them in the environment, which counts more.',
    '# Each may also be given as NAME_FILE: the path of a file whose content is the value (for mounted secrets).',
    '# Made from core/config.ts by test/env-example.test.ts, which fails when the two differ.',
  ];
  for (const [name, { schema, about }] of Object.entries(environment)) {
    const value: unknown = schema.safeParse(undefined).data;
    lines.push('', `# ${about}`, `#${name}=${Array.isArray(value) ? value.join(',') : String(value ?? '')}`);
  }
  return `${lines.join('\n')}\n`;
};

it('.env.example names every variable of the schema with its meaning and default', async () => {
  await expect(renderExample()).toMatchFileSnapshot('../.env.example');
});

it('every line of .env.example that shows a value is accepted when it is switched on', () => {
  const env: Record<string, string> = {};
  for (const line of readFileSync(new URL('../.env.example', import.meta.url), 'utf8').split('\n')) {
    const [, name, value] = /^#([A-Z_]+)=(.*)$/.exec(line) ?? [];
    if (name !== undefined && value) env[name] = value;
  }
  expect(Object.keys(env)).toContain('PORT');
  expect(parseConfig(env).PORT).toBe(3000);
});
