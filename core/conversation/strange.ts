import type { ActionName, CommandName, InboundEvent, InboundKind } from '../domain.ts';
import { AppError } from '../errors.ts';
import type { InboxRow } from '../ports/state.ts';
import type { Handled } from './handling.ts';

/**
 * During a deploy two versions, or two configurations, share the inbox: it may hold what only the other one can handle. Such a
 * row is left to it for some three minutes.
 */
const mostClaims = 40;

/** The compiler sees to it that no name is left out. */
const names = <Name extends string>(all: Readonly<Record<Name, true>>): ReadonlySet<string> =>
  new Set(Object.keys(all));
const kinds = names<InboundKind>({
  message: true,
  edit: true,
  delete: true,
  command: true,
  action: true,
  feedback: true,
  install: true,
  uninstall: true,
});
const commands = names<CommandName>({
  ask: true,
  help: true,
  settings: true,
  connect: true,
  'check-up': true,
  link: true,
  switch: true,
  'forget-me': true,
});
const actions = names<ActionName>({ stop: true, publish: true, solved: true, human: true, choose: true });

export const isKnown = ({ kind, command, action }: InboundEvent): boolean =>
  kinds.has(kind) &&
  (command === undefined || commands.has(command.name)) &&
  (action === undefined || actions.has(action.name));

/** For an instance of a newer version, or one that has this platform; null: nobody came for it. */
export const leave = ({ attempts }: InboxRow): Handled | null =>
  attempts >= mostClaims
    ? null
    : {
        outcome: 'later',
        afterMs: Math.min(5_000, 250 * 2 ** attempts),
        error: new AppError('not-found', 'This instance does not know what to do with that event.', {
          retryable: true,
        }),
      };
