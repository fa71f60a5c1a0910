import { expect, test } from 'vitest';
import type { AccountId, ConversationId } from '#lib/protocol/ids.ts';
import { bytesToHex, type Bytes } from '#lib/std/bytes.ts';
import { unwrap } from '#lib/std/result.ts';
import { accountChainHash, decodeAccountEntry, encodeAccountCore, encodeAccountEntry, replayAccountLog } from './account-log.ts';
import type { AccountState } from './account-state.ts';
import { directConversationId, selfConversationId } from './conversation-id.ts';
import { isCut } from './cuts.ts';
import vectors from './fixtures/logs-v1.json' with { type: 'json' };
import { decodeGroupEntry, encodeGroupCore, encodeGroupEntry } from './group-entry.ts';
import { verifyGroupEntry } from './group-log.ts';
import type { GroupState } from './group-state.ts';
import { safetyDigits } from './safety-number.ts';

const fromHex = (hex: string): Bytes => Uint8Array.from(hex.match(/../g)!, (byte) => Number.parseInt(byte, 16));

async function replayAccounts(): Promise<Map<string, AccountState>> {
  const states = new Map<string, AccountState>();
  for (const { account, entries } of vectors.accounts) states.set(account, unwrap(await replayAccountLog(account as AccountId, entries.map(fromHex)), 'replays'));
  return states;
}

test('[CH21] account logs of the first version still decode, hash, verify and encode to the same bytes', async () => {
  for (const { account, entries, chain } of vectors.accounts) {
    for (const [height, hex] of entries.entries()) {
      const entry = unwrap(decodeAccountEntry(fromHex(hex)), 'decodes');
      expect(entry).toMatchObject({ account, height });
      expect(bytesToHex(accountChainHash(entry.core))).toBe(chain[height]);
      expect(bytesToHex(encodeAccountEntry(encodeAccountCore(entry.account, entry.height, entry.prev, entry.body), entry.signatures))).toBe(hex);
    }
  }
  const kinds = vectors.accounts.flatMap(({ entries }) => entries.map((hex) => unwrap(decodeAccountEntry(fromHex(hex)), 'decodes').body.kind));
  expect(new Set(kinds)).toEqual(new Set(['genesis', 'add_device', 'revoke_device', 'rotate_uek', 'set_recovery', 'pin_vault']));
  expect((await replayAccounts()).size).toBe(3);
});

test('[CH21] a group log of the first version still decodes, hashes, verifies and encodes to the same bytes', async () => {
  const states = await replayAccounts();
  let state: GroupState | undefined;
  for (const { entry: hex, rt, commitment, head, rosterHash } of vectors.group) {
    const entry = unwrap(decodeGroupEntry(fromHex(hex)), 'decodes');
    expect(bytesToHex(entry.commitment)).toBe(commitment);
    expect(bytesToHex(entry.head)).toBe(head);
    expect(bytesToHex(entry.rosterHash)).toBe(rosterHash);
    expect(bytesToHex(encodeGroupEntry(encodeGroupCore(entry), entry.tag, entry.signature))).toBe(hex);
    const verified = await verifyGroupEntry(state, fromHex(hex), { rt, conversation: vectors.conversation as ConversationId, accountState: (account) => states.get(account) });
    ({ state } = unwrap(verified, 'verifies'));
  }
  const ops = vectors.group.flatMap(({ entry }) => unwrap(decodeGroupEntry(fromHex(entry)), 'decodes').ops.map(({ type }) => type));
  expect(new Set(ops)).toEqual(new Set(['create', 'add', 'remove', 'leave', 'role', 'policy', 'rotate', 'pin', 'cut', 'meta']));
  expect(state).toMatchObject({ height: 6, epoch: 3, rotationDue: true, sharesHistory: false });
  const lost = [...states.get(vectors.accounts[1]!.account)!.devices.values()].find(({ revokedAt }) => revokedAt !== undefined)!;
  expect([6, 7].map((ctr) => isCut(state!, { device: lost.id, slot: 3, ctr, logHeight: 1 }))).toEqual([false, true]);
});

test('[CH21] derived ids and safety digits are what they were', async () => {
  const [alice, bob] = vectors.accounts.map(({ account }) => account as AccountId) as [AccountId, AccountId];
  expect(directConversationId(alice, bob)).toBe(vectors.direct);
  expect(selfConversationId(alice)).toBe(vectors.self);
  const states = await replayAccounts();
  expect(await safetyDigits(states.get(bob)!, states.get(alice)!)).toEqual(vectors.safety);
});
