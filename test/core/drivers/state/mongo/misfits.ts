import { type Db, Long } from 'mongodb';
import { validators } from '../../../../../core/drivers/state/mongo/validators.ts';

type Schema = {
  readonly required: readonly string[];
  readonly properties: Readonly<Record<string, { readonly bsonType: string | readonly string[] }>>;
};

const kindOf = (value: unknown): string => {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  if (value instanceof Date) return 'date';
  if (value instanceof Long || typeof value === 'number' || typeof value === 'bigint') return 'number';
  if (typeof value === 'boolean') return 'bool';
  if (typeof value === 'object' && '_bsontype' in value) return value._bsontype === 'Binary' ? 'binData' : 'other';
  return typeof value;
};

/**
 * What stands in the database and would be refused by its validators. Servers that know none accept everything; so the
 * documents are held against them here, by the few words of JSON Schema that ours use.
 */
export const misfitsIn = async (database: Db): Promise<readonly string[]> => {
  const misfits: string[] = [];
  for (const [name, { $jsonSchema }] of validators) {
    const { required, properties } = $jsonSchema as Schema;
    for (const document of await database.collection(name).find().toArray()) {
      for (const field of required) if (!(field in document)) misfits.push(`${name}.${field} is missing`);
      for (const [field, { bsonType }] of Object.entries(properties))
        if (field in document && ![bsonType].flat().includes(kindOf(document[field])))
          misfits.push(`${name}.${field} is ${kindOf(document[field])}`);
    }
  }
  return [...new Set(misfits)];
};
