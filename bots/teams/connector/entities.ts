import { createRequire } from 'node:module';

/** The module instances that botbuilder itself uses, wherever npm has put them. */
const besideBotbuilder = createRequire(createRequire(import.meta.url).resolve('botbuilder'));

/**
 * botbuilder 4.23.3 sends of an entity only `type`, `text` and `mentioned`: the stream marks, the AI label and the
 * citations never leave. Its mapper of the class has no `additionalProperties`; with them set here, before the first
 * send, everything passes. A test reads the JSON on the wire, so that another version of the SDK is noticed.
 * https://github.com/microsoft/botbuilder-js/issues/4902
 */
export const letEntitiesThrough = (): void => {
  const mappers = besideBotbuilder('botframework-connector/lib/connectorApi/models/mappers.js') as {
    readonly Entity: { readonly type: { additionalProperties?: unknown } };
  };
  mappers.Entity.type.additionalProperties ??= { type: { name: 'any' } };
};

type TeamsOperations = {
  fetchChannelList(
    teamId: string,
    options: { readonly abortSignal: AbortSignal },
  ): Promise<{ readonly conversations?: readonly { readonly id?: string; readonly name?: string }[] }>;
};

/** What only Teams has, over the client that those conversations go by: the SDK's own way takes another HTTP client. */
export const teamsOf = (conversations: object): TeamsOperations => {
  const { Teams } = besideBotbuilder('botframework-connector/lib/teams/operations/teams.js') as {
    readonly Teams: new (client: unknown) => TeamsOperations;
  };
  return new Teams((conversations as { readonly client: unknown }).client);
};
