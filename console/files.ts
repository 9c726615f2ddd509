import type { Context } from 'hono';
import type { Core } from '../core/core.ts';
import type { Source } from '../core/domain.ts';
import { AppError, isAppError } from '../core/errors.ts';

export const maxFiles = 100;
const faultsOfTheFile: readonly AppError['code'][] = ['unreadable-document', 'too-large', 'invalid'];

export type Uploaded = {
  readonly upserted: number;
  readonly unchanged: number;
  readonly failed: readonly { readonly id: string; readonly problem: string }[];
};

export const formOf = async (c: Context): Promise<FormData> => {
  try {
    return await c.req.formData();
  } catch (error) {
    if (isAppError(error)) throw error;
    throw new AppError('malformed', 'The form cannot be read.', { cause: error });
  }
};

/** The files of a form into a source of uploads, each by its name. One that cannot be read never stops the others. */
export const putFiles = async (
  { documents }: Pick<Core, 'documents'>,
  source: Source,
  form: FormData,
  signal: AbortSignal,
): Promise<Uploaded> => {
  if (source.kind !== 'upload')
    throw new AppError(
      'invalid',
      `Files can be uploaded to sources of the kind "upload"; this one is "${source.kind}".`,
    );
  // A browser in which nothing was chosen sends one file without name or content.
  const files = [...form.values()]
    .filter((value) => typeof value !== 'string')
    .filter(({ name, size }) => name !== '' || size > 0);
  if (files.length === 0) throw new AppError('invalid', 'Send at least one file.', { at: 'file' });
  if (files.length > maxFiles) throw new AppError('too-large', `At most ${maxFiles} files at once.`);
  const failed: { id: string; problem: string }[] = [];
  let upserted = 0;
  let unchanged = 0;
  for (const file of files) {
    const id = file.name.split(/[\\/]/).at(-1)?.trim() || 'file';
    try {
      const content = new Uint8Array(await file.arrayBuffer());
      const { outcome } = await documents.put(
        source.tenantId,
        source.id,
        { externalId: id, content, ...(file.type === '' ? {} : { mediaType: file.type }) },
        signal,
      );
      if (outcome === 'unchanged') unchanged++;
      else upserted++;
    } catch (error) {
      if (!isAppError(error) || !faultsOfTheFile.includes(error.code)) throw error;
      failed.push({ id, problem: error.message });
    }
  }
  return { upserted, unchanged, failed };
};
