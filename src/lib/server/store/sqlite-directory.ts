/** The directory half of the SQLite store, as statements; each runs inside its caller's transaction. */
import type { DatabaseSync } from 'node:sqlite';
import type { AccountId, DeviceId } from '#lib/protocol/ids.ts';
import type { Bytes } from '#lib/std/bytes.ts';
import { err, ok } from '#lib/std/result.ts';
import type { AccountRow, DirectoryStore, SessionRow, UekWrapRow } from './port.ts';
import type { SyncStore } from './sync-port.ts';

export function sqliteDirectory(db: DatabaseSync): Pick<SyncStore, keyof DirectoryStore> {
  const sql = statements(db);

  function putWraps(account: AccountId, wraps: readonly UekWrapRow[]): void {
    for (const { device, gen, wrap } of wraps) sql.putUekWrap.run(account, device, gen, wrap);
  }

  return {
    createAccount(input) {
      if (sql.byHandle.get(input.handle)) return err('handle-taken');
      if (sql.byId.get(input.account)) return err('account-exists');
      sql.insertAccount.run(input.account, input.handle, input.registrationRecord, input.recoveryProofHash, input.vault, input.now);
      sql.insertEntry.run(input.account, 0, input.now, input.genesis);
      putWraps(input.account, input.uekWraps);
      return ok(undefined);
    },
    accountByHandle: (handle) => copy<AccountRow>(sql.byHandle.get(handle)),
    accountById: (account) => copy<AccountRow>(sql.byId.get(account)),

    changePassword(account, record, version, vault) {
      const put = this.putVault(account, version, vault);
      if (put.ok) sql.setRecord.run(record, account);
      return put;
    },

    appendAccountEntries(account, height, entries, uekWraps, now) {
      const here = sql.byId.get(account) as AccountRow | undefined;
      if (!here || height !== here.logHeight + 1) return err({ height: here?.logHeight ?? 0 });
      entries.forEach((entry, i) => sql.insertEntry.run(account, height + i, now, entry));
      sql.setHeight.run(height + entries.length - 1, account);
      putWraps(account, uekWraps);
      return ok(undefined);
    },
    accountLog: (account, from) => (sql.log.all(account, from) as { entry: Bytes }[]).map(({ entry }) => entry),
    uekWraps: (account, device) => (sql.uekWraps.all(account, device) as unknown as UekWrapRow[]).map((row) => ({ ...row })),

    vault: (account) => copy(sql.vault.get(account)),
    putVault(account, version, vault) {
      if (sql.putVault.run(version, vault, account, version - 1).changes === 1) return ok(undefined);
      return err({ version: (sql.vault.get(account) as { version: number } | undefined)?.version ?? 0 });
    },

    profile: (account) => copy(sql.profile.get(account)),
    putProfile: (account, version, sealed) => sql.putProfile.run(version, sealed, account, version).changes === 1,
    companions: (account, count) => (sql.companions.all(account, account, count) as { account: AccountId }[]).map((row) => row.account),

    putSession: ({ idHash, account, device, expiresAt, createdAt }) => void sql.putSession.run(idHash, account, device ?? null, expiresAt, createdAt),
    session: (idHash) => toSession(sql.session.get(idHash)),
    sessionsOf: (account) => sql.sessionsOf.all(account).map((raw) => toSession(raw)!),
    bindSession: (idHash, device) => void sql.bindSession.run(device, idHash),
    extendSession: (idHash, expiresAt) => void sql.extendSession.run(expiresAt, idHash),
    deleteSession: (idHash) => void sql.deleteSession.run(idHash),
    deleteSessionsOf: (account) => void sql.deleteSessionsOf.run(account),
    deleteExpiredSessions: (now) => Number(sql.deleteExpired.run(now).changes),
  };
}

/** SQLite's rows have no prototype and no `undefined`; ours are plain objects. */
function copy<T>(raw: unknown): T | undefined {
  return raw === undefined ? undefined : { ...(raw as T) };
}

function toSession(raw: unknown): SessionRow | undefined {
  const found = raw as (Omit<SessionRow, 'device'> & { readonly device: DeviceId | null }) | undefined;
  return found && { ...found, device: found.device ?? undefined };
}

function statements(db: DatabaseSync) {
  const accountColumns = 'account, handle, record AS registrationRecord, recovery_hash AS recoveryProofHash, log_height AS logHeight';
  const sessionColumns = 'id_hash AS idHash, account, device, expires_at AS expiresAt, created_at AS createdAt';
  return {
    byHandle: db.prepare(`SELECT ${accountColumns} FROM account WHERE handle = ?`),
    byId: db.prepare(`SELECT ${accountColumns} FROM account WHERE account = ?`),
    insertAccount: db.prepare('INSERT INTO account(account, handle, record, recovery_hash, log_height, vault_version, vault, created_at) VALUES(?, ?, ?, ?, 0, 1, ?, ?)'),
    setRecord: db.prepare('UPDATE account SET record = ? WHERE account = ?'),
    setHeight: db.prepare('UPDATE account SET log_height = ? WHERE account = ?'),
    insertEntry: db.prepare('INSERT INTO account_entry(account, height, rt, entry) VALUES(?, ?, ?, ?)'),
    log: db.prepare('SELECT entry FROM account_entry WHERE account = ? AND height >= ? ORDER BY height'),
    putUekWrap: db.prepare('INSERT INTO uek_wrap(account, device, gen, wrap) VALUES(?, ?, ?, ?) ON CONFLICT(account, device, gen) DO UPDATE SET wrap = excluded.wrap'),
    uekWraps: db.prepare('SELECT device, gen, wrap FROM uek_wrap WHERE account = ? AND device = ? ORDER BY gen'),
    vault: db.prepare('SELECT vault_version AS version, vault FROM account WHERE account = ?'),
    putVault: db.prepare('UPDATE account SET vault_version = ?, vault = ? WHERE account = ? AND vault_version = ?'),
    profile: db.prepare('SELECT profile_version AS version, profile AS sealed FROM account WHERE account = ? AND profile IS NOT NULL'),
    putProfile: db.prepare('UPDATE account SET profile_version = ?, profile = ? WHERE account = ? AND (profile_version IS NULL OR profile_version < ?)'),
    companions: db.prepare('SELECT DISTINCT b.account AS account FROM member a JOIN member b ON b.cid = a.cid WHERE a.account = ? AND b.account <> ? LIMIT ?'),
    putSession: db.prepare('INSERT INTO session(id_hash, account, device, expires_at, created_at) VALUES(?, ?, ?, ?, ?)'),
    session: db.prepare(`SELECT ${sessionColumns} FROM session WHERE id_hash = ?`),
    sessionsOf: db.prepare(`SELECT ${sessionColumns} FROM session WHERE account = ? ORDER BY created_at, id_hash`),
    bindSession: db.prepare('UPDATE session SET device = ? WHERE id_hash = ?'),
    extendSession: db.prepare('UPDATE session SET expires_at = ? WHERE id_hash = ?'),
    deleteSession: db.prepare('DELETE FROM session WHERE id_hash = ?'),
    deleteSessionsOf: db.prepare('DELETE FROM session WHERE account = ?'),
    deleteExpired: db.prepare('DELETE FROM session WHERE expires_at <= ?'),
  };
}

