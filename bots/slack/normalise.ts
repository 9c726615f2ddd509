import { normaliseCommand, workspaceOfCommand } from './commands.ts';
import { normaliseEvent, workspaceOfEvent } from './events.ts';
import type { NormaliseContext, Normalised } from './handle.ts';
import { normaliseInteraction, workspaceOfInteraction } from './interactions.ts';

type Kind = 'event' | 'command' | 'interaction';

/** Decided once and for all that follows: who it comes from and what it means must not be read from different shapes. */
const kindOf = (payload: unknown): Kind => {
  if (typeof payload !== 'object' || payload === null) return 'event';
  if ('command' in payload && !('type' in payload)) return 'command';
  return 'type' in payload && payload.type === 'event_callback' ? 'event' : 'interaction';
};

/** The workspace that a payload claims to come from; null when it names none. */
export const workspaceOf = (payload: unknown): string | null => {
  const kind = kindOf(payload);
  if (kind === 'command') return workspaceOfCommand(payload);
  return kind === 'event' ? workspaceOfEvent(payload) : workspaceOfInteraction(payload);
};

/** Whatever Slack posts, in our words. Never throws; what cannot be read is ignored with its reason. */
export const normalise = (payload: unknown, context: NormaliseContext): Normalised => {
  const kind = kindOf(payload);
  if (kind === 'command') return normaliseCommand(payload, context);
  return kind === 'event' ? normaliseEvent(payload, context) : normaliseInteraction(payload, context);
};
