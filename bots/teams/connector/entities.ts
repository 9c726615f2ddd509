import { createRequire } from 'node:module';

/**
 * botbuilder 4.23.3 sends of an entity only `type`, `text` and `mentioned`: the stream marks, the AI label and the
 * citations never leave. Its mapper of the class has no `additionalProperties`; with them set here, before the first
 * send, everything passes. A test reads the JSON on the wire, so that another version of the SDK is noticed.
 * https://github.com/microsoft/botbuilder-js/issues/4902
 */
export const letEntitiesThrough = (): void => {
  // The module instance that botbuilder itself uses, wherever npm has put it.
  const besideBotbuilder = createRequire(createRequire(import.meta.url).resolve('botbuilder'));
  const mappers = besideBotbuilder('botframework-connector/lib/connectorApi/models/mappers.js') as {
    readonly Entity: { readonly type: { additionalProperties?: unknown } };
  };
  mappers.Entity.type.additionalProperties ??= { type: { name: 'any' } };
};
