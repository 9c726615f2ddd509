import type { TenantSettingsPatch } from '../core.ts';
import type { MessageName, QuotaWarnings } from '../domain.ts';
import { AppError } from '../errors.ts';
import { messageNames, problemOfMessage } from '../text/messages.ts';

/**
 * Throws AppError `invalid`, with the field's name, for settings that could not be kept to. Bounds that the doors' own
 * schemas check are not repeated; the answering path brings values within them in any case.
 */
export const checkSettings = (patch: TenantSettingsPatch, chatModels: readonly string[]): void => {
  if (typeof patch.chatModel === 'string' && !chatModels.includes(patch.chatModel))
    throw new AppError(
      'invalid',
      chatModels.length === 0
        ? 'This deployment has no language model to choose from.'
        : `This deployment does not offer that model. It offers: ${chatModels.join(', ')}.`,
      { at: 'chatModel' },
    );
  checkMessages(patch.messages ?? {});
  if (patch.quotaWarnings != null) checkWarnings(patch.quotaWarnings);
};

const checkMessages = (messages: NonNullable<TenantSettingsPatch['messages']>): void => {
  for (const texts of Object.values(messages)) {
    for (const [name, text] of Object.entries(texts)) {
      if (!messageNames.includes(name as MessageName))
        throw new AppError('invalid', `There is no message called ${name}. There are: ${messageNames.join(', ')}.`, {
          at: name,
        });
      const problem = problemOfMessage(name as MessageName, text ?? '');
      if (problem !== null) throw new AppError('invalid', problem, { at: name });
    }
  }
};

const checkWarnings = ({ to }: QuotaWarnings): void => {
  if (to.some(({ channelId, userId }) => (channelId === undefined) === (userId === undefined)))
    throw new AppError('invalid', 'Whoever is warned is either a channel or a person.', { at: 'to' });
};
