import type { TeamsApi } from './api.ts';
import type { OutgoingActivity, Place } from './connector/connector.ts';

/**
 * The words and the entities that notify exactly these people. Teams notifies by the entity only, and takes none for
 * whom it does not know in that conversation: they are left out.
 */
export const mentionPeople = async (
  api: TeamsApi,
  place: Place,
  people: readonly string[],
  signal: AbortSignal,
): Promise<{ readonly text: string; readonly entities: readonly OutgoingActivity[] }> => {
  const members = await Promise.all(
    [...new Set(people)].slice(0, 20).map((person) => api.member(place, person, signal)),
  );
  const entities = members
    .filter((member) => member !== null)
    .map(({ id, name }) => {
      const shown = (name ?? 'colleague').replace(/[<>&]/g, '').trim() || 'colleague';
      return { type: 'mention', text: `<at>${shown}</at>`, mentioned: { id, name: shown } };
    });
  const text = entities.map((entity) => entity.text).join(' ');
  return { text: text === '' ? '' : `${text} `, entities };
};
