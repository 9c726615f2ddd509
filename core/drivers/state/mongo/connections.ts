import type { AuditEntry, ChannelRules, Connection, Installation } from '../../../domain.ts';
import type { AuditStore, ChannelStore, ConnectionStore, LeaseStore } from '../../../ports/state.ts';
import { type AuditDoc, type Collections, type ConnectionDoc, keyOf } from './collections.ts';
import { all, beyond, inserted, pageOf, parsed, present, twice, within } from './queries.ts';
import { deadAmong } from './tenants.ts';

export const channelVerbs = ({ channels }: Collections): ChannelStore => ({
  get: async (tenantId, platform, channelId) => {
    const doc = await channels.findOne({ _id: keyOf(tenantId, platform, channelId) }, within);
    return doc === null ? null : parsed<ChannelRules>(doc.record);
  },
  put: async (tenantId, platform, channelId, rules, expected) => {
    const _id = keyOf(tenantId, platform, channelId);
    const replacement = { tenantId, platform, channelId, record: JSON.stringify(rules) };
    if (expected === undefined) {
      await twice(() => channels.replaceOne({ _id }, replacement, { upsert: true }));
      return true;
    }
    // Compared as the text that it is kept as: reading and writing it again changes nothing.
    const before = JSON.stringify(expected);
    if ((await channels.replaceOne({ _id, record: before }, replacement)).matchedCount === 1) return true;
    return before === '{}' && inserted(() => channels.insertOne({ _id, ...replacement }));
  },
  list: async (tenantId) =>
    (await channels.find({ tenantId }, within).sort({ platform: 1, channelId: 1 }).toArray()).map(
      ({ platform, channelId, record }) => ({ platform, channelId, rules: parsed<ChannelRules>(record) }),
    ),
});

const connectionOf = ({ _id, workspace: _, ...doc }: ConnectionDoc): Connection =>
  present<Connection>({ id: _id, ...doc } as Connection);

export const connectionVerbs = (collections: Collections): ConnectionStore => {
  const { connections, codes, installations, homes } = collections;
  /** Connections of deleted tenants are dead. */
  const living = async (doc: ConnectionDoc | null): Promise<Connection | null> =>
    doc === null || (await deadAmong(collections, [doc.tenantId])).size > 0 ? null : connectionOf(doc);
  const change = async (tenantId: string, connectionId: string, patch: Partial<ConnectionDoc>): Promise<boolean> =>
    (await connections.updateOne({ _id: connectionId, tenantId }, { $set: patch })).matchedCount === 1;
  return {
    create: async (connection) => {
      const workspace = keyOf(connection.platform, connection.workspaceId);
      const doc: ConnectionDoc = {
        _id: connection.id,
        tenantId: connection.tenantId,
        platform: connection.platform,
        workspaceId: connection.workspaceId,
        workspace,
        createdAt: connection.createdAt,
        sealedCredentials: connection.sealedCredentials ?? null,
        ...(connection.info === undefined ? {} : { info: connection.info }),
        lastEventAt: connection.lastEventAt ?? null,
        lastError: connection.lastError ?? null,
        lastErrorAt: connection.lastErrorAt ?? null,
      };
      if (await inserted(() => connections.insertOne(doc))) return 'created';
      const holder = await connections.findOne({ workspace }, within);
      if (holder === null || (await deadAmong(collections, [holder.tenantId])).size === 0) return 'taken';
      await connections.deleteOne({ _id: holder._id, tenantId: holder.tenantId });
      return (await inserted(() => connections.insertOne(doc))) ? 'created' : 'taken';
    },
    get: async (tenantId, connectionId) => {
      const doc = await connections.findOne({ _id: connectionId, tenantId }, within);
      return doc === null ? null : connectionOf(doc);
    },
    byId: async (connectionId) => living(await connections.findOne({ _id: connectionId }, within)),
    byWorkspace: async (platform, workspaceId) =>
      living(await connections.findOne({ workspace: keyOf(platform, workspaceId) }, within)),
    list: async (tenantId) =>
      (await connections.find({ tenantId }, within).sort({ createdAt: 1, _id: 1 }).toArray()).map(connectionOf),
    ofPlatform: async (platform) => {
      const docs = await connections.find({ platform }, within).sort({ _id: 1 }).limit(5_000).toArray();
      const dead = await deadAmong(
        collections,
        docs.map((doc) => doc.tenantId),
      );
      return docs.filter((doc) => !dead.has(doc.tenantId)).map(connectionOf);
    },
    setCredentials: (tenantId, connectionId, sealed) => change(tenantId, connectionId, { sealedCredentials: sealed }),
    remove: async (tenantId, connectionId) =>
      (await connections.deleteOne({ _id: connectionId, tenantId })).deletedCount === 1,
    touch: async (tenantId, connectionId, patch) => {
      await change(tenantId, connectionId, {
        ...(patch.lastEventAt === undefined ? {} : { lastEventAt: patch.lastEventAt }),
        ...(patch.lastError === undefined ? {} : { lastError: patch.lastError }),
        ...(patch.lastErrorAt === undefined ? {} : { lastErrorAt: patch.lastErrorAt }),
        ...Object.fromEntries(Object.entries(patch.info ?? {}).map(([name, value]) => [`info.${name}`, value])),
      });
    },
    offerCode: async (hash, platform, workspaceId, expiresAt) => {
      await twice(() =>
        codes.updateOne(
          { _id: hash },
          { $set: { expiresAt, expireAt: new Date(expiresAt) }, $setOnInsert: { platform, workspaceId } },
          { upsert: true },
        ),
      );
    },
    takeCode: async (hash, now, platform) => {
      const doc = await codes.findOneAndDelete({
        _id: hash,
        expiresAt: { $gt: now },
        ...(platform === undefined ? {} : { platform }),
      });
      return doc === null ? null : { platform: doc.platform as Connection['platform'], workspaceId: doc.workspaceId };
    },
    putInstallation: async (installation) => {
      const _id = keyOf(installation.platform, installation.workspaceId);
      await twice(() => installations.replaceOne({ _id }, { record: JSON.stringify(installation) }, { upsert: true }));
    },
    getInstallation: async (platform, workspaceId) => {
      const doc = await installations.findOne({ _id: keyOf(platform, workspaceId) }, within);
      return doc === null ? null : parsed<Installation>(doc.record);
    },
    removeInstallation: async (platform, workspaceId) =>
      (await installations.deleteOne({ _id: keyOf(platform, workspaceId) })).deletedCount === 1,
    chooseHome: async (platform, userId, workspaceId) => {
      const _id = keyOf(platform, userId);
      if (workspaceId === null) await homes.deleteOne({ _id });
      else await twice(() => homes.replaceOne({ _id }, { workspaceId }, { upsert: true }));
    },
    chosenHome: async (platform, userId) =>
      (await homes.findOne({ _id: keyOf(platform, userId) }, within))?.workspaceId ?? null,
  };
};

export const leaseVerbs = ({ leases }: Collections): LeaseStore => ({
  acquire: async (key, owner, now, forMs) => {
    // The document outlives its lease, so that the fence only ever grows.
    const doc = await leases.findOneAndUpdate(
      { _id: key, $or: [{ leaseUntil: { $lte: now } }, { owner }] },
      { $set: { owner, leaseUntil: now + forMs }, $inc: { fence: 1 } },
      { returnDocument: 'after' },
    );
    if (doc !== null) return { key, owner, fence: doc.fence, ...(doc.note ? { note: doc.note } : {}) };
    const first = await inserted(() => leases.insertOne({ _id: key, owner, fence: 1, leaseUntil: now + forMs }));
    return first ? { key, owner, fence: 1 } : null;
  },
  renew: async (lease, now, forMs, note) =>
    (
      await leases.updateOne(
        { _id: lease.key, owner: lease.owner, fence: lease.fence },
        { $set: { leaseUntil: now + forMs, ...(note === undefined ? {} : { note }) } },
      )
    ).matchedCount === 1,
  release: async (lease) => {
    await leases.updateOne(
      { _id: lease.key, owner: lease.owner, fence: lease.fence },
      { $set: { owner: '', leaseUntil: 0 } },
    );
  },
  seen: async (prefix) =>
    (
      await leases
        .find({ _id: { $gte: prefix, $lt: `${prefix}\uffff` }, leaseUntil: { $gt: 0 } }, within)
        .sort({ _id: 1 })
        .limit(1_000)
        .toArray()
    ).map(({ _id, owner, leaseUntil, note }) => ({ key: _id, owner, leaseUntil, ...(note ? { note } : {}) })),
});

/** The words inside one of the values of a record, which is kept as JSON. */
const inValues = (q: string): string =>
  `"(actor|action|subject)":"([^"\\\\]|\\\\.)*${JSON.stringify(q)
    .slice(1, -1)
    .replaceAll(/[.*+?^${}()|[\]\\/]/g, '\\$&')}`;

export const auditVerbs = ({ audit }: Collections): AuditStore => ({
  append: async (entry) => {
    await inserted(() =>
      audit.insertOne({
        _id: entry.id,
        tenantId: entry.tenantId ?? '',
        at: entry.at,
        record: JSON.stringify(entry),
      }),
    );
  },
  list: (tenantId, { q }, page) =>
    pageOf(
      page,
      'time',
      (after, limit) =>
        audit
          .find(
            all<AuditDoc>([
              { tenantId: tenantId ?? '' },
              ...(q === undefined ? [] : [{ record: { $regex: inValues(q), $options: 'i' } }]),
              ...beyond(after, ['at', '_id'], '$lt'),
            ]),
            within,
          )
          .sort({ at: -1, _id: -1 })
          .limit(limit)
          .toArray(),
      (doc) => [doc.at, doc._id],
      (doc) => parsed<AuditEntry>(doc.record),
    ),
});
