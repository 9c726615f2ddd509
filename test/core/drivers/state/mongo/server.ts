import { randomBytes } from 'node:crypto';
import { MongoClient } from 'mongodb';
import { databaseOf } from '../../../../../core/drivers/state/mongo/connect.ts';

/** The server that the tests may use; absent, they are not run. Databases are made and dropped, and no other is touched. */
export const mongodbUri = process.env.MONGODB_URI;

/** The same server, another database. */
export const freshDatabase = (uri: string): string => {
  const [address = '', parameters] = uri.split('?', 2);
  const [, scheme = '', authority = ''] = /^(mongodb(?:\+srv)?:\/\/)([^/]+)/.exec(address) ?? [];
  const name = `footnote-test-${randomBytes(6).toString('hex')}`;
  return `${scheme}${authority}/${name}${parameters === undefined ? '' : `?${parameters}`}`;
};

export const dropDatabase = async (uri: string): Promise<void> => {
  const client = new MongoClient(uri, { serverSelectionTimeoutMS: 5_000 });
  try {
    await client.db(databaseOf(uri)).dropDatabase();
  } finally {
    await client.close();
  }
};

/** Host and port, when the URI names one host. */
export const addressOf = (uri: string): { readonly host: string; readonly port: number } | null => {
  const match = /^mongodb:\/\/(?:[^@/]*@)?([^:/,]+)(?::(\d+))?(?:[/?]|$)/.exec(uri);
  return match === null ? null : { host: match[1] ?? '', port: Number(match[2] ?? 27017) };
};

/** The URI by way of a local port; directly, or a replica set would tell its own address. */
export const through = (uri: string, port: number): string =>
  `${uri
    .replace(/^(mongodb:\/\/(?:[^@/]*@)?)[^/?]+/, `$1127.0.0.1:${port}`)
    .replace(/([?&])replicaSet=[^&]*&?/, '$1')
    .replace(/[?&]$/, '')}${uri.includes('?') ? '&' : '?'}directConnection=true`.replace('?&', '?');
