import type { ConversationParts } from '../../../core/conversation/conversation.ts';
import type { Homes } from '../../../core/core.ts';
import { AppError } from '../../../core/errors.ts';
import { attachedSourceId } from '../../../core/ids.ts';
import type { Runtime } from '../../../core/ports/runtime.ts';
import type { StateStore } from '../../../core/ports/state.ts';
import { createSealer } from '../../../core/security/seal.ts';
import { createConnections } from '../../../core/tenancy/connections.ts';
import { createHomes } from '../../../core/tenancy/homes.ts';
import { createPeople } from '../../../core/tenancy/people.ts';
import { createOwnerOf } from '../../../core/tenancy/resolve-tenant.ts';

/** The parts of a conversation that every world has alike, over its own store. */
export const doorsOf = (
  state: StateStore,
  runtime: Runtime,
): Pick<ConversationParts, 'workspaces' | 'people' | 'readFile' | 'sources'> & { readonly homes: Homes } => {
  const connections = createConnections({ state, sealer: createSealer(Buffer.alloc(32, 1)), runtime });
  return {
    sources: (tenant) => state.sources.list(tenant.id),
    workspaces: connections,
    people: createPeople({ state, runtime }),
    homes: createHomes({ state, ownerOf: createOwnerOf({ state, connections, runtime }) }),
    // Every file is one passage of its words; a real parser is the document path's.
    readFile: async ({ name, bytes }) => {
      const text = new TextDecoder().decode(bytes);
      if (text.includes('\0')) throw new AppError('unreadable-document', 'This kind of file cannot be read.');
      return [
        {
          documentId: `d_${name}`,
          externalId: name,
          chunkId: `c_${name}`,
          sourceId: attachedSourceId,
          title: name,
          headingPath: [],
          text,
          score: 0,
        },
      ];
    },
  };
};
