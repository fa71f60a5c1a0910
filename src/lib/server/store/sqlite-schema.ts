/**
 * The tables of the SQLite store and how they came to be: one step per schema version, run in order.
 *
 * `entry.k` is `(cid << 32) | seq`, so one conversation's rows lie side by side (infra.md §2.2: a
 * catch-up of 100 reads 53 times faster than in order of arrival). The packing stays inside SQL; no
 * JavaScript number has to hold it.
 */
import type { DatabaseSync } from 'node:sqlite';
import { bytesToId, type Lineage } from '#lib/protocol/ids.ts';
import type { Random } from '#lib/std/random.ts';
import { StoreFault } from './fault.ts';

const steps: readonly string[] = [
  `
  CREATE TABLE store_meta(one INTEGER PRIMARY KEY CHECK(one = 1), lineage TEXT NOT NULL, slot_base INTEGER NOT NULL) STRICT;
  CREATE TABLE conversation(
    cid INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE,
    head INTEGER NOT NULL, open_seg INTEGER NOT NULL, open_count INTEGER NOT NULL, open_bytes INTEGER NOT NULL,
    next_slot INTEGER NOT NULL, last_rt INTEGER NOT NULL, last_mark_rt INTEGER NOT NULL DEFAULT 0,
    log_height INTEGER NOT NULL, epoch INTEGER NOT NULL, grace_until INTEGER NOT NULL, rotation_due INTEGER NOT NULL) STRICT;
  CREATE TABLE entry(
    k INTEGER PRIMARY KEY, seg INTEGER NOT NULL, slot INTEGER NOT NULL, clock INTEGER NOT NULL, ctr INTEGER NOT NULL, rt INTEGER NOT NULL,
    request_seq INTEGER, hash BLOB, envelope BLOB) STRICT;
  CREATE INDEX entry_purged ON entry(k) WHERE envelope IS NULL;
  CREATE TABLE entry_id(cid INTEGER NOT NULL, slot INTEGER NOT NULL, ctr INTEGER NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY(cid, slot, ctr)) STRICT, WITHOUT ROWID;
  CREATE TABLE segment(cid INTEGER NOT NULL, seg INTEGER NOT NULL, first_seq INTEGER NOT NULL, generation INTEGER NOT NULL, PRIMARY KEY(cid, seg)) STRICT, WITHOUT ROWID;
  CREATE TABLE slot(
    cid INTEGER NOT NULL, slot INTEGER NOT NULL, account TEXT NOT NULL, device TEXT NOT NULL, live INTEGER NOT NULL,
    next_ctr INTEGER NOT NULL, seg INTEGER NOT NULL, next_clock INTEGER NOT NULL, PRIMARY KEY(cid, slot)) STRICT, WITHOUT ROWID;
  CREATE UNIQUE INDEX slot_live ON slot(cid, account, device) WHERE live = 1;
  CREATE INDEX slot_device ON slot(cid, account, device);
  CREATE TABLE mark(cid INTEGER NOT NULL, slot INTEGER NOT NULL, mark_ctr INTEGER NOT NULL, rt INTEGER NOT NULL, sealed BLOB NOT NULL, PRIMARY KEY(cid, slot)) STRICT, WITHOUT ROWID;
  CREATE TABLE group_entry(cid INTEGER NOT NULL, height INTEGER NOT NULL, rt INTEGER NOT NULL, entry BLOB NOT NULL, PRIMARY KEY(cid, height)) STRICT;
  CREATE TABLE member(account TEXT NOT NULL, cid INTEGER NOT NULL, role TEXT NOT NULL, PRIMARY KEY(account, cid)) STRICT, WITHOUT ROWID;
  CREATE INDEX member_of ON member(cid, account, role);
  CREATE TABLE epoch_wrap(cid INTEGER NOT NULL, account TEXT NOT NULL, epoch INTEGER NOT NULL, height INTEGER NOT NULL, uek_gen INTEGER NOT NULL, wrap BLOB NOT NULL, PRIMARY KEY(cid, account)) STRICT, WITHOUT ROWID;
  CREATE TABLE membership(account TEXT PRIMARY KEY, version INTEGER NOT NULL) STRICT, WITHOUT ROWID;

  CREATE TABLE account(
    account TEXT PRIMARY KEY, handle TEXT NOT NULL UNIQUE, record TEXT NOT NULL, recovery_hash BLOB NOT NULL, log_height INTEGER NOT NULL,
    vault_version INTEGER NOT NULL, vault BLOB NOT NULL, profile_version INTEGER, profile BLOB, created_at INTEGER NOT NULL) STRICT;
  CREATE TABLE account_entry(account TEXT NOT NULL, height INTEGER NOT NULL, rt INTEGER NOT NULL, entry BLOB NOT NULL, PRIMARY KEY(account, height)) STRICT, WITHOUT ROWID;
  CREATE TABLE uek_wrap(account TEXT NOT NULL, device TEXT NOT NULL, gen INTEGER NOT NULL, wrap BLOB NOT NULL, PRIMARY KEY(account, device, gen)) STRICT, WITHOUT ROWID;
  CREATE TABLE session(id_hash TEXT PRIMARY KEY, account TEXT NOT NULL, device TEXT, expires_at INTEGER NOT NULL, created_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  CREATE INDEX session_account ON session(account);
  CREATE INDEX session_expiry ON session(expires_at);
  `,
];

export const schemaVersion = steps.length;

/** Brings an older file up to date, in one transaction; refuses a newer one. */
export function migrate(db: DatabaseSync, random: Pick<Random, 'bytes'>): void {
  const { user_version: found } = db.prepare('PRAGMA user_version').get() as { user_version: number };
  if (found > schemaVersion) throw new StoreFault('newer-schema', `the data was written by a newer Godwit (schema ${found}, this one knows ${schemaVersion})`);
  if (found === schemaVersion) return;
  db.exec('BEGIN IMMEDIATE');
  for (const step of steps.slice(found)) db.exec(step);
  if (found === 0) db.prepare('INSERT INTO store_meta(one, lineage, slot_base) VALUES(1, ?, 0)').run(newLineage(random));
  db.exec(`PRAGMA user_version = ${schemaVersion}`);
  db.exec('COMMIT');
}

export function newLineage(random: Pick<Random, 'bytes'>): Lineage {
  return bytesToId<Lineage>(random.bytes(16));
}
