import { z } from 'zod';
import type { SourceDriver } from '../../ports/source.ts';

/** Filled from outside: whoever holds an `ingest` key puts documents and takes them away. */
export const pushSource: SourceDriver = {
  kind: 'push',
  label: 'Pushed by a program (API)',
  settings: z.strictObject({}),
};
