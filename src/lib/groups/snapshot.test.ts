import fc from 'fast-check';
import { expect, test } from 'vitest';
import { unwrap } from '#lib/std/result.ts';
import { makeGroup } from './fixtures/world.ts';
import { decodeGroupState, encodeGroupState } from './snapshot.ts';

test('[GR9] a snapshot gives back the state it was made of, and anything else gives nothing', async () => {
  const { clients: [alice, bob, carol], conversation } = await makeGroup(60, 3);
  alice.seen.set(carol.person.account, [{ device: carol.device.id, slot: 2, lastCtr: 7 }, { device: carol.device.id, slot: 0, lastCtr: -1 }]);
  unwrap(await alice.groups.removeMember(conversation, carol.person.account), 'removed');
  unwrap(await alice.groups.addMembers(conversation, [carol.person.account]), 'added again');
  unwrap(await bob.groups.sync(conversation), 'syncs');
  unwrap(await bob.groups.leave(conversation), 'left');
  const state = (await bob.groups.state(conversation))!;
  const bytes = encodeGroupState(state);
  expect(decodeGroupState(bytes)).toEqual(state);
  for (let size = 0; size < bytes.length; size++) expect(decodeGroupState(bytes.slice(0, size))).toBeUndefined();
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (other) => {
    expect(decodeGroupState(other)).toBeUndefined();
  }));
});
