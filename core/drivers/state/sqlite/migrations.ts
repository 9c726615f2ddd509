/**
 * Ordered steps; a step is never changed after a release, only followed by another. The file is shared with the sign-in
 * library, whose tables are called user, session, account, verification and the like: do not use those names.
 */
export type Migration = {
  readonly step: number;
  readonly name: string;
  readonly sql: string;
  /**
   * The oldest step whose programs can still work with the file: during a deploy two versions share it, and going back is
   * possible. Absent: any; the step only adds.
   */
  readonly oldest?: number;
};

/** Adds lines to the sums of step 13, or takes them out. The columns are named: a newer version may have added one. */
const sumUp = (sign: '+' | '-', where: string): string => `
  INSERT INTO ledger_months (tenant_id, field, month, key, currency, lines, questions, prompt, completion, embedding, cost, unpriced)
    SELECT tenant_id, field, month, key, currency, ${sign}1, ${sign}questions, ${sign}prompt, ${sign}completion, ${sign}embedding,
      ${sign}cost, ${sign}unpriced
    FROM ledger_parts WHERE ${where}
  ON CONFLICT DO UPDATE SET
    lines = lines + excluded.lines, questions = questions + excluded.questions, prompt = prompt + excluded.prompt,
    completion = completion + excluded.completion, embedding = embedding + excluded.embedding, cost = cost + excluded.cost,
    unpriced = unpriced + excluded.unpriced;`;

export const migrations: readonly Migration[] = [
  {
    step: 1,
    name: 'first light',
    sql: `
CREATE TABLE health (id INTEGER PRIMARY KEY CHECK (id = 1), checks INTEGER NOT NULL);
INSERT INTO health VALUES (1, 0);

CREATE TABLE tenants (
  id TEXT PRIMARY KEY, slug TEXT NOT NULL UNIQUE, name TEXT NOT NULL, created_at INTEGER NOT NULL, settings TEXT NOT NULL,
  active_generation INTEGER NOT NULL, content_revision INTEGER NOT NULL, rev INTEGER NOT NULL,
  deleted_at INTEGER, erased INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX tenants_deleted ON tenants (deleted_at) WHERE deleted_at IS NOT NULL AND erased = 0;

CREATE TABLE api_keys (id TEXT PRIMARY KEY, tenant_id TEXT NOT NULL, hash TEXT NOT NULL UNIQUE, created_at INTEGER NOT NULL, record TEXT NOT NULL) STRICT;
CREATE INDEX api_keys_tenant ON api_keys (tenant_id, created_at, id);

CREATE TABLE memberships (
  user_id TEXT NOT NULL, tenant_id TEXT NOT NULL, role TEXT NOT NULL, created_at INTEGER NOT NULL,
  PRIMARY KEY (user_id, tenant_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX memberships_tenant ON memberships (tenant_id, user_id);

CREATE TABLE sources (id TEXT PRIMARY KEY, tenant_id TEXT NOT NULL, rev INTEGER NOT NULL, created_at INTEGER NOT NULL, next_run_at INTEGER, record TEXT NOT NULL) STRICT;
CREATE INDEX sources_tenant ON sources (tenant_id, created_at, id);
CREATE INDEX sources_due ON sources (next_run_at) WHERE next_run_at IS NOT NULL;

CREATE TABLE documents (
  seq INTEGER PRIMARY KEY, tenant_id TEXT NOT NULL, id TEXT NOT NULL, source_id TEXT NOT NULL, seen_in TEXT, record TEXT NOT NULL,
  UNIQUE (tenant_id, id)
) STRICT;
CREATE INDEX documents_source ON documents (tenant_id, source_id, id);

CREATE TABLE jobs (
  id TEXT PRIMARY KEY, tenant_id TEXT NOT NULL, kind TEXT NOT NULL, source_id TEXT NOT NULL, state TEXT NOT NULL,
  created_at INTEGER NOT NULL, owner TEXT NOT NULL DEFAULT '', fence INTEGER NOT NULL DEFAULT 0, lease_until INTEGER NOT NULL DEFAULT 0,
  finished_at INTEGER, record TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX jobs_queued ON jobs (tenant_id, kind, source_id) WHERE state = 'queued';
CREATE INDEX jobs_open ON jobs (created_at, id) WHERE state IN ('queued', 'running');
CREATE INDEX jobs_running ON jobs (tenant_id, source_id) WHERE state = 'running';
CREATE INDEX jobs_tenant ON jobs (tenant_id, created_at, id);

CREATE TABLE inbox (
  seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, thread_key TEXT NOT NULL, order_key TEXT NOT NULL, state TEXT NOT NULL,
  attempts INTEGER NOT NULL, received_at INTEGER NOT NULL, platform TEXT NOT NULL, workspace_id TEXT NOT NULL,
  channel_id TEXT NOT NULL, about_id TEXT NOT NULL, author_id TEXT NOT NULL, event TEXT NOT NULL,
  tenant_id TEXT, reason TEXT, answer_id TEXT, settled_at INTEGER, stripped INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX inbox_ready ON inbox (thread_key, order_key, id) WHERE state = 'ready';
CREATE INDEX inbox_waiting ON inbox (received_at) WHERE state = 'ready';
CREATE INDEX inbox_about ON inbox (about_id, channel_id);
CREATE INDEX inbox_settled ON inbox (settled_at) WHERE state = 'settled';
CREATE INDEX inbox_with_text ON inbox (settled_at) WHERE state = 'settled' AND stripped = 0;
CREATE INDEX inbox_author ON inbox (tenant_id, author_id) WHERE tenant_id IS NOT NULL;
CREATE TABLE inbox_keys (dedupe_key TEXT PRIMARY KEY, row_id TEXT NOT NULL, seen_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX inbox_keys_seen ON inbox_keys (seen_at);

CREATE TABLE threads (
  key TEXT PRIMARY KEY, ready INTEGER NOT NULL, owner TEXT NOT NULL DEFAULT '', fence INTEGER NOT NULL DEFAULT 0,
  lease_until INTEGER NOT NULL DEFAULT 0, served_at INTEGER NOT NULL, not_before INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE INDEX threads_waiting ON threads (served_at, key) WHERE ready > 0;
CREATE INDEX threads_idle ON threads (served_at) WHERE ready = 0;

CREATE TABLE outbox (
  seq INTEGER PRIMARY KEY, tenant_id TEXT NOT NULL, id TEXT NOT NULL, answer_id TEXT NOT NULL, state TEXT NOT NULL,
  attempts INTEGER NOT NULL, opened_at INTEGER NOT NULL, sent_at INTEGER, member_id TEXT, final TEXT, UNIQUE (tenant_id, id)
) STRICT;
CREATE INDEX outbox_opened ON outbox (opened_at);
CREATE INDEX outbox_with_text ON outbox (sent_at) WHERE sent_at IS NOT NULL AND final IS NOT NULL;
CREATE INDEX outbox_member ON outbox (tenant_id, member_id) WHERE member_id IS NOT NULL;
CREATE TABLE outbox_posted (
  seq INTEGER PRIMARY KEY, tenant_id TEXT NOT NULL, outbox_id TEXT NOT NULL, message_id TEXT NOT NULL,
  UNIQUE (tenant_id, outbox_id, message_id)
) STRICT;
CREATE INDEX outbox_posted_message ON outbox_posted (tenant_id, message_id);

CREATE TABLE turns (
  seq INTEGER PRIMARY KEY, tenant_id TEXT NOT NULL, conversation_id TEXT NOT NULL, pair_id TEXT NOT NULL,
  at INTEGER NOT NULL, answer_id TEXT, record TEXT NOT NULL, UNIQUE (tenant_id, conversation_id, pair_id)
) STRICT;
CREATE INDEX turns_newest ON turns (tenant_id, conversation_id, at, seq);
CREATE INDEX turns_answer ON turns (tenant_id, answer_id) WHERE answer_id IS NOT NULL;
CREATE INDEX turns_old ON turns (tenant_id, at);

CREATE TABLE receipts (
  seq INTEGER PRIMARY KEY, tenant_id TEXT NOT NULL, answer_id TEXT NOT NULL, at INTEGER NOT NULL, kind TEXT NOT NULL,
  reason_code TEXT NOT NULL, member_id TEXT, record TEXT NOT NULL, UNIQUE (tenant_id, answer_id)
) STRICT;
CREATE INDEX receipts_newest ON receipts (tenant_id, at, answer_id);
CREATE INDEX receipts_member ON receipts (tenant_id, member_id) WHERE member_id IS NOT NULL;
-- Trigrams find parts of words in every script; the text itself stays in the record.
CREATE VIRTUAL TABLE receipts_text USING fts5 (question, answer, content = '', contentless_delete = 1, tokenize = 'trigram remove_diacritics 1');
CREATE TRIGGER receipts_inserted AFTER INSERT ON receipts BEGIN
  INSERT INTO receipts_text (rowid, question, answer) VALUES (new.seq, new.record ->> '$.question', new.record ->> '$.answer');
END;
CREATE TRIGGER receipts_updated AFTER UPDATE OF record ON receipts BEGIN
  UPDATE receipts_text SET question = new.record ->> '$.question', answer = new.record ->> '$.answer' WHERE rowid = new.seq;
END;
CREATE TRIGGER receipts_deleted AFTER DELETE ON receipts BEGIN
  DELETE FROM receipts_text WHERE rowid = old.seq;
END;

CREATE TABLE answer_cache (
  tenant_id TEXT NOT NULL, key TEXT NOT NULL, expires_at INTEGER NOT NULL, member_id TEXT, record TEXT NOT NULL, PRIMARY KEY (tenant_id, key)
) STRICT;
CREATE INDEX answer_cache_expiry ON answer_cache (expires_at);

CREATE TABLE counters (
  tenant_id TEXT NOT NULL, id TEXT NOT NULL, used INTEGER NOT NULL, expires_at INTEGER NOT NULL, PRIMARY KEY (tenant_id, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX counters_expiry ON counters (expires_at);
-- A settled reservation stays as a mark, so that it cannot be charged again.
CREATE TABLE holds (
  tenant_id TEXT NOT NULL, counter_id TEXT NOT NULL, reservation_id TEXT NOT NULL, amount INTEGER NOT NULL, hold_until INTEGER NOT NULL,
  settled INTEGER NOT NULL DEFAULT 0, expires_at INTEGER NOT NULL, PRIMARY KEY (tenant_id, counter_id, reservation_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX holds_live ON holds (tenant_id, counter_id, hold_until, amount) WHERE settled = 0;
CREATE INDEX holds_open ON holds (hold_until) WHERE settled = 0;
CREATE INDEX holds_expiry ON holds (expires_at);
CREATE TABLE quota_limits (tenant_id TEXT PRIMARY KEY, record TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE windows (key TEXT NOT NULL, start INTEGER NOT NULL, hits INTEGER NOT NULL, expires_at INTEGER NOT NULL, PRIMARY KEY (key, start)) STRICT, WITHOUT ROWID;
CREATE INDEX windows_expiry ON windows (expires_at);

CREATE TABLE ledger (
  seq INTEGER PRIMARY KEY, tenant_id TEXT NOT NULL, id TEXT NOT NULL, at INTEGER NOT NULL, kind TEXT NOT NULL, platform TEXT NOT NULL,
  model TEXT, channel_id TEXT, member_id TEXT, source_id TEXT, prompt_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL,
  embedding_tokens INTEGER NOT NULL, cost_nanos INTEGER, currency TEXT, record TEXT NOT NULL, UNIQUE (tenant_id, id)
) STRICT;
CREATE INDEX ledger_time ON ledger (tenant_id, at, id);
CREATE INDEX ledger_member ON ledger (tenant_id, member_id) WHERE member_id IS NOT NULL;

CREATE TABLE channels (tenant_id TEXT NOT NULL, platform TEXT NOT NULL, channel_id TEXT NOT NULL, record TEXT NOT NULL, PRIMARY KEY (tenant_id, platform, channel_id)) STRICT;

CREATE TABLE connections (
  id TEXT PRIMARY KEY, tenant_id TEXT NOT NULL, platform TEXT NOT NULL, workspace_id TEXT NOT NULL, created_at INTEGER NOT NULL,
  record TEXT NOT NULL, UNIQUE (platform, workspace_id)
) STRICT;
CREATE INDEX connections_tenant ON connections (tenant_id, created_at, id);
CREATE TABLE connection_codes (hash TEXT PRIMARY KEY, platform TEXT NOT NULL, workspace_id TEXT NOT NULL, expires_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE leases (key TEXT PRIMARY KEY, owner TEXT NOT NULL, fence INTEGER NOT NULL, lease_until INTEGER NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE audit (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, tenant_id TEXT NOT NULL, at INTEGER NOT NULL, record TEXT NOT NULL) STRICT;
CREATE INDEX audit_newest ON audit (tenant_id, at, id);
`,
  },
  {
    step: 2,
    name: 'contents of documents, generations of the index',
    // Contents apart from the rows, which are listed and compared far more often than a text is read again.
    sql: `
CREATE TABLE contents (
  seq INTEGER PRIMARY KEY, tenant_id TEXT NOT NULL, document_id TEXT NOT NULL, stamp TEXT NOT NULL, data BLOB NOT NULL,
  UNIQUE (tenant_id, document_id)
) STRICT;

CREATE TABLE built (
  tenant_id TEXT NOT NULL, document_id TEXT NOT NULL, generation INTEGER NOT NULL, stamp TEXT NOT NULL, chunks INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, document_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE generations (
  tenant_id TEXT NOT NULL, number INTEGER NOT NULL, sweep_at INTEGER, record TEXT NOT NULL, PRIMARY KEY (tenant_id, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX generations_due ON generations (sweep_at) WHERE sweep_at IS NOT NULL;
`,
  },
  {
    step: 3,
    name: 'notes on leases',
    sql: 'ALTER TABLE leases ADD COLUMN note TEXT;',
  },
  {
    step: 4,
    name: 'installations, people',
    sql: `
CREATE TABLE installations (platform TEXT NOT NULL, workspace_id TEXT NOT NULL, record TEXT NOT NULL, PRIMARY KEY (platform, workspace_id)) STRICT;

CREATE TABLE people (tenant_id TEXT NOT NULL, member_id TEXT NOT NULL, person_id TEXT NOT NULL, PRIMARY KEY (tenant_id, member_id)) STRICT, WITHOUT ROWID;
CREATE INDEX people_person ON people (tenant_id, person_id, member_id);
CREATE TABLE person_codes (hash TEXT PRIMARY KEY, tenant_id TEXT NOT NULL, member_id TEXT NOT NULL, expires_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
`,
  },
  { step: 5, name: 'stopped deliveries', sql: 'ALTER TABLE outbox ADD COLUMN stopped INTEGER NOT NULL DEFAULT 0;' },
  {
    step: 6,
    name: 'counting, filtering and gaps of receipts',
    // Computed from the record, and kept in the indexes alone: counting a day opens no record.
    sql: `
ALTER TABLE receipts ADD COLUMN total_ms REAL GENERATED ALWAYS AS (record ->> '$.timingsMs.total') VIRTUAL;
ALTER TABLE receipts ADD COLUMN channel_id TEXT GENERATED ALWAYS AS (record ->> '$.channelId') VIRTUAL;
ALTER TABLE receipts ADD COLUMN is_gap INTEGER GENERATED ALWAYS AS (
  (record -> '$.gap') IS NULL AND (
    kind = 'not-found'
    OR (kind = 'answered' AND json_array_length(record, '$.citations') = 0)
    OR instr(record ->> '$.feedback', '"rating":"down"') > 0
  )
) VIRTUAL;
CREATE INDEX receipts_tally ON receipts (tenant_id, at, kind, reason_code, total_ms);
CREATE INDEX receipts_channel ON receipts (tenant_id, channel_id, at, answer_id) WHERE channel_id IS NOT NULL;
CREATE INDEX receipts_gaps ON receipts (tenant_id, at, answer_id) WHERE is_gap = 1;
`,
  },
  {
    step: 7,
    name: 'sizes and sums of tenants, jobs of all tenants',
    // As above: what a page adds up over a tenant stands in an index, and no record is opened for it.
    sql: `
ALTER TABLE documents ADD COLUMN bytes INTEGER GENERATED ALWAYS AS (record ->> '$.bytes') VIRTUAL;
ALTER TABLE documents ADD COLUMN chunks INTEGER GENERATED ALWAYS AS (record ->> '$.chunkCount') VIRTUAL;
CREATE INDEX documents_size ON documents (tenant_id, bytes, chunks);
ALTER TABLE ledger ADD COLUMN unpriced INTEGER GENERATED ALWAYS AS (
  cost_nanos IS NULL AND prompt_tokens + completion_tokens + embedding_tokens > 0
) VIRTUAL;
CREATE INDEX ledger_sums ON ledger (tenant_id, at, kind, currency, cost_nanos, unpriced);
CREATE INDEX jobs_newest ON jobs (created_at, id);
CREATE INDEX jobs_state ON jobs (state, created_at, id);
`,
  },
  {
    step: 8,
    name: 'webhooks, notices, record of retention',
    sql: `
CREATE TABLE webhooks (id TEXT PRIMARY KEY, tenant_id TEXT NOT NULL, rev INTEGER NOT NULL, created_at INTEGER NOT NULL, record TEXT NOT NULL) STRICT;
CREATE INDEX webhooks_tenant ON webhooks (tenant_id, created_at, id);

CREATE TABLE notices (
  seq INTEGER PRIMARY KEY, tenant_id TEXT NOT NULL, id TEXT NOT NULL, receiver TEXT NOT NULL, state TEXT NOT NULL,
  attempts INTEGER NOT NULL, created_at INTEGER NOT NULL, next_at INTEGER NOT NULL, member_id TEXT, record TEXT NOT NULL,
  UNIQUE (tenant_id, id)
) STRICT;
CREATE INDEX notices_due ON notices (next_at, seq) WHERE state = 'waiting';
CREATE INDEX notices_receiver ON notices (tenant_id, receiver, created_at, id);
CREATE INDEX notices_member ON notices (tenant_id, member_id) WHERE member_id IS NOT NULL;
CREATE INDEX notices_old ON notices (created_at);

CREATE TABLE retention_runs (
  tenant_id TEXT NOT NULL, day TEXT NOT NULL, at INTEGER NOT NULL, receipts INTEGER NOT NULL, turns INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, day)
) STRICT, WITHOUT ROWID;
`,
  },
  {
    step: 9,
    name: 'what sweeping and forgetting look for',
    // Each was looked for among all rows of a tenant, on the one thread that writes.
    sql: `
CREATE INDEX receipts_judged ON receipts (tenant_id, at, answer_id) WHERE json_array_length(record, '$.feedback') > 0;
CREATE INDEX inbox_text_of ON inbox (tenant_id) WHERE state = 'settled' AND stripped = 0;
CREATE INDEX jobs_finished ON jobs (finished_at) WHERE finished_at IS NOT NULL;
`,
  },
  {
    step: 10,
    name: 'homes of direct messages',
    sql: 'CREATE TABLE homes (platform TEXT NOT NULL, user_id TEXT NOT NULL, workspace_id TEXT NOT NULL, PRIMARY KEY (platform, user_id)) STRICT, WITHOUT ROWID;',
  },
  {
    step: 11,
    name: 'trigrams of receipts are written later',
    // They cost an answer as much as all else that is stored of it. Words that go, go at once.
    sql: `
CREATE TABLE receipts_unindexed (seq INTEGER PRIMARY KEY) STRICT;
DROP TRIGGER receipts_inserted;
DROP TRIGGER receipts_updated;
DROP TRIGGER receipts_deleted;
CREATE TRIGGER receipts_inserted AFTER INSERT ON receipts BEGIN
  INSERT INTO receipts_unindexed (seq) VALUES (new.seq);
END;
CREATE TRIGGER receipts_updated AFTER UPDATE OF record ON receipts
WHEN old.record ->> '$.question' IS NOT new.record ->> '$.question' OR old.record ->> '$.answer' IS NOT new.record ->> '$.answer'
BEGIN
  DELETE FROM receipts_text WHERE rowid = new.seq;
  INSERT INTO receipts_unindexed (seq) SELECT new.seq WHERE NOT EXISTS (SELECT 1 FROM receipts_unindexed WHERE seq = new.seq);
END;
CREATE TRIGGER receipts_deleted AFTER DELETE ON receipts BEGIN
  DELETE FROM receipts_text WHERE rowid = old.seq;
  DELETE FROM receipts_unindexed WHERE seq = old.seq;
END;
`,
  },
  {
    step: 12,
    name: 'sums of days beside the ledger',
    // Kept by the ledger's own insert, in its transaction: a month of a busy tenant is thirty rows and not a hundred thousand.
    // The trigger names its columns: a newer version may have added one.
    sql: `
CREATE TABLE ledger_days (
  tenant_id TEXT NOT NULL, day INTEGER NOT NULL, currency TEXT NOT NULL, questions INTEGER NOT NULL, prompt INTEGER NOT NULL,
  completion INTEGER NOT NULL, embedding INTEGER NOT NULL, cost INTEGER NOT NULL, unpriced INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, day, currency)
) STRICT, WITHOUT ROWID;
INSERT INTO ledger_days (tenant_id, day, currency, questions, prompt, completion, embedding, cost, unpriced)
  SELECT tenant_id, at / 86400000, coalesce(currency, ''), sum(kind = 'question'), sum(prompt_tokens), sum(completion_tokens),
    sum(embedding_tokens), coalesce(sum(cost_nanos), 0), max(unpriced)
  FROM ledger GROUP BY 1, 2, 3;
CREATE TRIGGER ledger_inserted AFTER INSERT ON ledger BEGIN
  INSERT INTO ledger_days (tenant_id, day, currency, questions, prompt, completion, embedding, cost, unpriced) VALUES (
    new.tenant_id, new.at / 86400000, coalesce(new.currency, ''), new.kind = 'question', new.prompt_tokens, new.completion_tokens,
    new.embedding_tokens, coalesce(new.cost_nanos, 0),
    new.cost_nanos IS NULL AND new.prompt_tokens + new.completion_tokens + new.embedding_tokens > 0
  ) ON CONFLICT DO UPDATE SET
    questions = questions + excluded.questions, prompt = prompt + excluded.prompt, completion = completion + excluded.completion,
    embedding = embedding + excluded.embedding, cost = cost + excluded.cost, unpriced = max(unpriced, excluded.unpriced);
END;
DROP INDEX ledger_sums;
`,
  },
  {
    step: 13,
    name: 'sums of months by member, channel, platform, model and source',
    // As above, for the other tables of the usage. What a line adds is taken back when the line goes over to a pseudonym, and
    // a sum of no lines goes with its key: nobody who was forgotten stays in it.
    sql: `
CREATE TABLE ledger_months (
  tenant_id TEXT NOT NULL, field TEXT NOT NULL, month TEXT NOT NULL, key TEXT NOT NULL, currency TEXT NOT NULL,
  lines INTEGER NOT NULL, questions INTEGER NOT NULL, prompt INTEGER NOT NULL, completion INTEGER NOT NULL,
  embedding INTEGER NOT NULL, cost INTEGER NOT NULL, unpriced INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, field, month, key, currency)
) STRICT, WITHOUT ROWID;
-- What each line adds, once for every field that it is counted by.
CREATE VIEW ledger_parts (line, tenant_id, field, month, key, currency, questions, prompt, completion, embedding, cost, unpriced) AS
  SELECT seq, tenant_id, field, strftime('%Y-%m', at / 1000, 'unixepoch'),
    coalesce(CASE field WHEN 'member' THEN member_id WHEN 'channel' THEN channel_id WHEN 'platform' THEN platform
      WHEN 'model' THEN model ELSE source_id END, ''),
    coalesce(currency, ''), kind = 'question', prompt_tokens, completion_tokens, embedding_tokens, coalesce(cost_nanos, 0),
    cost_nanos IS NULL AND prompt_tokens + completion_tokens + embedding_tokens > 0
  FROM ledger CROSS JOIN (
    SELECT 'member' AS field UNION ALL SELECT 'channel' UNION ALL SELECT 'platform' UNION ALL SELECT 'model' UNION ALL SELECT 'source'
  );
INSERT INTO ledger_months (tenant_id, field, month, key, currency, lines, questions, prompt, completion, embedding, cost, unpriced)
  SELECT tenant_id, field, month, key, currency, count(*), sum(questions), sum(prompt), sum(completion), sum(embedding), sum(cost),
    sum(unpriced)
  FROM ledger_parts GROUP BY 1, 2, 3, 4, 5;
CREATE TRIGGER ledger_line_added AFTER INSERT ON ledger BEGIN ${sumUp('+', 'line = new.seq')} END;
CREATE TRIGGER ledger_leaves_member BEFORE UPDATE OF member_id ON ledger WHEN old.member_id IS NOT new.member_id BEGIN
  ${sumUp('-', "line = old.seq AND field = 'member'")}
  DELETE FROM ledger_months
  WHERE tenant_id = old.tenant_id AND field = 'member' AND month = strftime('%Y-%m', old.at / 1000, 'unixepoch')
    AND key = coalesce(old.member_id, '') AND lines = 0;
END;
CREATE TRIGGER ledger_joins_member AFTER UPDATE OF member_id ON ledger WHEN old.member_id IS NOT new.member_id BEGIN
  ${sumUp('+', "line = new.seq AND field = 'member'")}
END;
-- With the time, a page of one person's answers is read in its order and sorts nothing.
DROP INDEX receipts_member;
CREATE INDEX receipts_member ON receipts (tenant_id, member_id, at, answer_id) WHERE member_id IS NOT NULL;
`,
  },
  {
    step: 14,
    name: 'open questions and places of receipts stand in their indexes',
    // Computed from the record, as before: what goes from it goes from here. SQLite opens no record for a virtual column only
    // when every column of the statement stands in the index, so the condition itself does as well.
    sql: `
ALTER TABLE receipts ADD COLUMN asked TEXT GENERATED ALWAYS AS (coalesce(record ->> '$.condensedQuestion', record ->> '$.question')) VIRTUAL;
ALTER TABLE receipts ADD COLUMN is_down INTEGER GENERATED ALWAYS AS (
  coalesce(instr(record ->> '$.feedback', '"rating":"down"'), 0) > 0
) VIRTUAL;
ALTER TABLE receipts ADD COLUMN platform TEXT GENERATED ALWAYS AS (record ->> '$.platform') VIRTUAL;
CREATE INDEX receipts_open ON receipts (tenant_id, at, answer_id, kind, is_down, member_id, asked, is_gap) WHERE is_gap = 1;
DROP INDEX receipts_gaps;
CREATE INDEX receipts_platform ON receipts (tenant_id, platform, at, answer_id, channel_id);
`,
  },
  {
    step: 15,
    name: 'who was forgotten, for what is still being written of them',
    sql: `
CREATE TABLE forgotten (
  tenant_id TEXT NOT NULL, person TEXT NOT NULL, pseudonym TEXT NOT NULL, at INTEGER NOT NULL, expires_at INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, person)
) STRICT, WITHOUT ROWID;
`,
  },
];
