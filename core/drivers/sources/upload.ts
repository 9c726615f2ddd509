import { z } from 'zod';
import type { SourceDriver } from '../../ports/source.ts';

/** Files that people upload by hand. */
export const uploadSource: SourceDriver = {
  kind: 'upload',
  label: 'Uploaded files',
  settings: z.strictObject({}),
};
