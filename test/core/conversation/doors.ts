import type { ConversationParts } from '../../../core/conversation/conversation.ts';
import type { Runtime } from '../../../core/ports/runtime.ts';
import type { StateStore } from '../../../core/ports/state.ts';
import { createSealer } from '../../../core/security/seal.ts';
import { createConnections } from '../../../core/tenancy/connections.ts';
import { createPeople } from '../../../core/tenancy/people.ts';

/** The parts of a conversation that every world has alike, over its own store. */
export const doorsOf = (state: StateStore, runtime: Runtime): Pick<ConversationParts, 'workspaces' | 'people'> => ({
  workspaces: createConnections({ state, sealer: createSealer(Buffer.alloc(32, 1)), runtime }),
  people: createPeople({ state, runtime }),
});
