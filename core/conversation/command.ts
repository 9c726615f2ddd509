import type { CommandName, InboundEvent } from '../domain.ts';
import { isWish } from './settings-command.ts';

export type Command = { readonly name: CommandName; readonly text: string };

const codeForm = /^[A-Z0-9]{5}[- ]?[A-Z0-9]{5}$/i;

/**
 * The command that an event is: one of the platform's own, or a message to us that is nothing but its words. Only exact
 * forms count there: "help" is a command, "help me with my taxes" is a question.
 */
export const commandOf = (event: InboundEvent): Command | null => {
  if (event.kind === 'command') {
    const name = event.command?.name ?? 'ask';
    return name === 'ask' ? spelledOut(event) : { name, text: event.text.trim() };
  }
  const called = event.addressed === 'mention' || event.addressed === 'dm';
  return event.kind === 'message' && called && !event.author.isBot ? spelledOut(event) : null;
};

const spelledOut = ({ text, homes }: InboundEvent): Command | null => {
  const [first = '', ...others] = text.trim().replace(/\s+/g, ' ').split(' ');
  const rest = others.join(' ');
  switch (first.toLowerCase()) {
    case 'help':
    case 'connect':
    case 'check-up':
    case 'checkup':
      return rest === ''
        ? { name: first.toLowerCase() === 'checkup' ? 'check-up' : (first.toLowerCase() as CommandName), text: '' }
        : null;
    case 'settings':
      return rest === '' || isWish(rest) ? { name: 'settings', text: rest } : null;
    case 'link':
      return rest === '' || rest.toLowerCase() === 'off' || codeForm.test(rest) ? { name: 'link', text: rest } : null;
    case 'switch':
      // Elsewhere there is nothing to switch between, and the word may be somebody's question.
      return homes !== undefined && rest === '' ? { name: 'switch', text: '' } : null;
    case 'forget-me':
      return rest === '' || rest.toLowerCase() === 'yes' ? { name: 'forget-me', text: rest } : null;
    default:
      return null;
  }
};
