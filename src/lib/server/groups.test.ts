import { expect, test, vi } from 'vitest';
import { addDevice, revokeDevice } from '#lib/chains/fixtures/people.ts';
import { api } from '#lib/protocol/api.ts';
import { nackCodes } from '#lib/protocol/codes.ts';
import { bytesToId, type AccountId, type ConversationId } from '#lib/protocol/ids.ts';
import { limits } from '#lib/protocol/limits.ts';
import { concatBytes } from '#lib/std/bytes.ts';
import { channelsFor } from './fanout.ts';
import { act, add, buildEntry, create, makeWorld, postEntry, read, realRandom, remove, sealedEnvelope, settle, wrapsFor, type Resident, type TestChat, type World } from '../../../tests/support/server-world.ts';

const random = { ...realRandom, fraction: () => 0 };
const newChat = (): TestChat => ({ conversation: bytesToId<ConversationId>(realRandom.bytes(16)), state: undefined });
const logOf = (chat: TestChat) => `/api/conversations/${chat.conversation}/log`;

async function trio(): Promise<{ world: World; ada: Resident; bob: Resident; eve: Resident; chat: TestChat }> {
  const world = await makeWorld();
  const [ada, bob, eve] = [await settle(world, 'ada'), await settle(world, 'bob'), await settle(world, 'eve')];
  const chat = newChat();
  expect((await act(world, chat, ada, create, add(bob.person))).status).toBe(200);
  return { world, ada, bob, eve, chat };
}

test('[SV18] a group is made, grows and is read by its members', async () => {
  const { world, ada, bob, eve, chat } = await trio();
  expect((await act(world, chat, ada, add(eve.person))).status).toBe(200);
  const log = await eve.browser.get(`${logOf(chat)}?from=1`, api.groupLog);
  expect(log).toMatchObject({ from: 1, logHeight: 2 });
  expect(log.entries.length).toBe(2);
  expect((await bob.browser.get(`${logOf(chat)}?from=2`, api.groupLog)).entries.length).toBe(1);
  const mine = await bob.browser.get('/api/conversations', api.conversations);
  expect(mine).toEqual({ lineage: await world.store.lineage(), membershipVersion: 1, conversations: [{ conversation: chat.conversation, logHeight: 2 }] });
});

test('[SV17] to a stranger a conversation does not exist, also once they are removed from it', async () => {
  const { world, ada, bob, eve, chat } = await trio();
  const nowhere = newChat();
  expect((await eve.browser.send('GET', logOf(chat))).bytes).toEqual((await eve.browser.send('GET', logOf(nowhere))).bytes);
  expect((await eve.browser.send('GET', logOf(chat))).fault?.name).toBe('not-found');
  const intruder = await buildEntry(world, { ...chat, state: undefined }, eve.person, [create]);
  expect((await postEntry(eve.browser, chat.conversation, intruder)).fault?.name).toBe('not-found');
  expect((await act(world, chat, ada, remove(bob.person.account))).status).toBe(200);
  expect((await bob.browser.send('GET', logOf(chat))).fault?.name).toBe('not-found');
  expect((await bob.browser.get('/api/conversations', api.conversations)).conversations).toEqual([]);
});

test('[SV19] each member reads its own wrap', async () => {
  const { world, ada, bob, chat } = await trio();
  const rotation = await buildEntry(world, chat, ada.person, [{ type: 'rotate', gens: [] }]);
  const wraps = wrapsFor(rotation);
  expect((await postEntry(ada.browser, chat.conversation, rotation, wraps)).status).toBe(200);
  for (const { person, browser } of [ada, bob]) {
    const { wrap } = await browser.get(logOf(chat), api.groupLog);
    expect(wrap).toMatchObject({ epoch: 2, height: 2, uekGen: 1, wrap: wraps.find(({ account }) => account === person.account)!.wrap });
  }
});

test('[SV18] a race has one winner, the loser learns the height, and a repeated request succeeds', async () => {
  const { world, ada, bob, eve, chat } = await trio();
  await act(world, chat, ada, { type: 'role', account: bob.person.account, role: 'admin' });
  const byAda = await buildEntry(world, chat, ada.person, [add(eve.person)]);
  const byBob = await buildEntry(world, chat, bob.person, [add(eve.person)]);
  const race = await Promise.all([postEntry(ada.browser, chat.conversation, byAda), postEntry(bob.browser, chat.conversation, byBob)]);
  expect(race.map(({ status }) => status).sort()).toEqual([200, 409]);
  expect(race.find(({ status }) => status === 409)!.fault).toEqual({ name: 'conflict', detail: '', number: 3 });
  const [winner, resident] = race[0]!.status === 200 ? [byAda, ada] : [byBob, bob];
  const first = race.find(({ status }) => status === 200)!;
  const again = await postEntry(resident.browser, chat.conversation, winner);
  expect(read(api.appendGroupLog.answer, again)).toEqual(read(api.appendGroupLog.answer, first));
  expect((await ada.browser.get(logOf(chat), api.groupLog)).logHeight).toBe(3);
});

test('[SV18] one\'s own leave, sent again after its answer was lost, succeeds', async () => {
  const { world, bob, chat } = await trio();
  const leave = await buildEntry(world, chat, bob.person, [{ type: 'leave' }]);
  expect((await postEntry(bob.browser, chat.conversation, leave)).status).toBe(200);
  expect((await postEntry(bob.browser, chat.conversation, leave)).status).toBe(200);
});

test('[SV18] an entry of another account, another device or a revoked device is forbidden', async () => {
  const { world, ada, bob, eve, chat } = await trio();
  const byAda = await buildEntry(world, chat, ada.person, [add(eve.person)]);
  expect((await postEntry(bob.browser, chat.conversation, byAda)).fault).toMatchObject({ name: 'forbidden', detail: 'author' });

  const tablet = await addDevice(ada.person, random);
  await ada.browser.post('/api/account/log', api.appendAccountLog, { height: 1, entries: [ada.person.entries[1]!], uekWraps: [] });
  const byTablet = await buildEntry(world, chat, ada.person, [add(eve.person)], tablet);
  expect((await postEntry(ada.browser, chat.conversation, byTablet)).fault).toMatchObject({ name: 'forbidden', detail: 'author' });

  // Signed while the device was in use, sent after it was revoked: valid at the height it names, and still refused.
  const [session] = await world.store.sessionsOf(ada.person.account);
  await revokeDevice(ada.person, ada.person.devices[0]!);
  await world.server.accounts.appendLog({ account: ada.person.account, handle: 'ada' as never, device: undefined, sessionHash: '' }, 2, ada.person.entries.slice(2), []);
  await world.store.putSession(session!); // a session that outlived the revocation
  expect((await postEntry(ada.browser, chat.conversation, byAda)).fault).toMatchObject({ name: 'forbidden', detail: 'device' });
  expect((await world.store.groupLog(chat.conversation, 1, 9)).length).toBe(1);
});

test('[SV18] rights, wraps, signatures and place are judged; nothing refused is stored', async () => {
  const { world, ada, bob, eve, chat } = await trio();
  const post = async (resident: Resident, entry: Uint8Array, wraps: ReturnType<typeof wrapsFor>, to = chat) =>
    (await resident.browser.post(logOf(to), api.appendGroupLog, { entry: entry as never, wraps })).fault;
  const built = await buildEntry(world, chat, ada.person, [add(eve.person)]);
  const wraps = wrapsFor(built);
  const broken = Uint8Array.from(built.bytes);
  broken[broken.length - 1]! ^= 1;
  expect(await post(ada, broken, wraps)).toMatchObject({ name: 'refused', detail: 'wrong-signature' });
  expect(await post(ada, built.bytes.subarray(0, 90), wraps)).toMatchObject({ name: 'refused', detail: 'malformed' });
  expect(await post(ada, built.bytes, [])).toMatchObject({ name: 'refused', detail: 'wrong-wrap' });
  expect(await post(ada, built.bytes, [...wraps, ...wraps])).toMatchObject({ name: 'refused', detail: 'wrong-wrap' });
  expect(await post(ada, built.bytes, wraps, newChat())).toMatchObject({ name: 'conflict', number: 0 });
  expect((await post(ada, concatBytes(built.bytes, new Uint8Array(1)), wraps))?.name).toBe('refused');

  // A member who may not add anybody signs that all the same.
  const grabbed = { ...chat, state: { ...chat.state!, members: new Map([...chat.state!.members].map(([account, member]) => [account, { ...member, role: 'owner' as const }])) } };
  const byBob = await buildEntry(world, grabbed, bob.person, [add(eve.person)]);
  expect(await post(bob, byBob.bytes, wrapsFor(byBob))).toMatchObject({ name: 'refused', detail: 'not-allowed' });
  expect((await ada.browser.get(logOf(chat), api.groupLog)).logHeight).toBe(1);
});

test('[SV18] nobody is put into more conversations than an account may have', async () => {
  const { world, ada, eve, chat } = await trio();
  vi.spyOn(world.store.sync, 'crowded').mockImplementation((accounts, max) => (max === limits.conversationsPerAccountMax ? accounts : []));
  expect((await act(world, chat, ada, add(eve.person))).fault).toMatchObject({ name: 'refused', detail: 'too-many-conversations' });
});

test('[SV18] a node that did not see the log grow replays it from the store', async () => {
  const { world, ada, bob, eve, chat } = await trio();
  const { assemble } = await import('./open.ts');
  const other = await assemble({ ...world.server, secrets: { opaqueServerSetup: (await import('@serenity-kit/opaque')).server.createSetup(), syncTokenKey: await (await import('./identity/sync-token.ts')).makeSyncTokenKey() }, random });
  const by = (resident: Resident) => ({ account: resident.person.account, handle: resident.handle as never, device: resident.person.devices[0]!.id, sessionHash: '' });
  const first = await buildEntry(world, chat, ada.person, [{ type: 'role', account: bob.person.account, role: 'admin' }]);
  expect(await other.groups.append(by(ada), chat.conversation, first.bytes, [])).toMatchObject({ ok: true });
  chat.state = first.state;
  expect((await act(world, chat, bob, add(eve.person))).status).toBe(200);
  const third = await buildEntry(world, chat, ada.person, [remove(eve.person.account)]);
  expect(await other.groups.append(by(ada), chat.conversation, third.bytes, wrapsFor(third))).toMatchObject({ ok: true, value: { height: 4 } });
});

test('[SV12] group changes are limited per account, by how many accounts they name', async () => {
  const { world, ada, bob, chat } = await trio();
  await world.server.limits.take('groupAppend', ada.person.account, 238); // the creation took one
  expect((await act(world, chat, ada, { type: 'role', account: bob.person.account, role: 'admin' })).status).toBe(200);
  const refused = await act(world, chat, ada, { type: 'role', account: bob.person.account, role: 'member' });
  expect(refused.fault).toMatchObject({ name: 'too-many' });
  expect(refused.fault!.number).toBeGreaterThan(0);
  expect((await act(world, chat, bob, { type: 'leave' })).status).toBe(200); // another account has its own window
});

test('[SV24] up to 64 members are reached by their own channels, more by one of the conversation', () => {
  const { conversation } = newChat();
  const members = Array.from({ length: 65 }, () => bytesToId<AccountId>(realRandom.bytes(16)));
  expect(channelsFor(conversation, members.slice(0, 64))).toEqual(members.slice(0, 64).map((account) => `u:${account}`));
  expect(channelsFor(conversation, members)).toEqual([`c:${conversation}`]);
});

test('[SV24] a group change is announced to members, to those who left, and with each one\'s membership version', async () => {
  const { world, ada, bob, eve, chat } = await trio();
  await act(world, chat, ada, add(eve.person));
  await vi.waitUntil(() => world.published.filter(({ message }) => message.type === 'membership').length >= 3);
  world.published.length = 0;
  await act(world, chat, ada, remove(bob.person.account));
  await vi.waitUntil(() => world.published.length >= 2);
  const [group, membership] = world.published;
  expect(group!.message).toEqual({ type: 'group', conversation: chat.conversation, logHeight: 3 });
  for (const { person } of [ada, bob, eve]) expect(group!.channels).toContain(`u:${person.account}`);
  expect(membership).toEqual({ channels: [`u:${bob.person.account}`], message: { type: 'membership', account: bob.person.account, membershipVersion: 2 } });
  expect(await world.server.fanout.channelsOf(chat.conversation)).toHaveLength(2);
});

// ---- Entries -----------------------------------------------------------------------------------

async function putEntries(chat: TestChat, resident: Resident, slot: number, ctr0: number, ...envelopes: readonly Uint8Array[]) {
  return resident.browser.post(`/api/conversations/${chat.conversation}/entries`, api.putEntries, { slot, ctr0, envelopes: envelopes as never });
}

test('[SV25] entries are stored, answered and announced; a resend is answered and not announced again', async () => {
  const { world, ada, bob, chat } = await trio();
  const { slot } = (await world.store.slotOf(chat.conversation, ada.person.account, ada.person.devices[0]!.id))!;
  await vi.waitUntil(() => world.published.some(({ message }) => message.type === 'membership'));
  world.published.length = 0;
  const sent = read(api.putEntries.answer, await putEntries(chat, ada, slot, 0, sealedEnvelope(1), sealedEnvelope(2)));
  expect(sent).toEqual({ nack: 0, nextCtr: 2, firstSeq: 1, rt: expect.any(Number) });
  await vi.waitUntil(() => world.published.some(({ message }) => message.type === 'rows'));
  const { channels, message } = world.published.find(({ message }) => message.type === 'rows')!;
  expect([...channels].sort()).toEqual([`u:${ada.person.account}`, `u:${bob.person.account}`].sort());
  expect(message).toMatchObject({ head: 2, rows: [{ seq: 1, envelope: sealedEnvelope(1) }, { seq: 2 }] });

  const resent = read(api.putEntries.answer, await putEntries(chat, ada, slot, 0, sealedEnvelope(1), sealedEnvelope(2)));
  expect(resent).toEqual(sent);
  read(api.putEntries.answer, await putEntries(chat, ada, slot, 2, sealedEnvelope(3)));
  await vi.waitUntil(() => world.published.filter(({ message }) => message.type === 'rows').length >= 2);
  expect(world.published.filter(({ message }) => message.type === 'rows').map(({ message }) => 'head' in message && message.head)).toEqual([2, 3]);
});

test('[SV25] entries outside their shape or size, and strangers\', are refused with their code', async () => {
  const { world, ada, eve, chat } = await trio();
  const { slot } = (await world.store.slotOf(chat.conversation, ada.person.account, ada.person.devices[0]!.id))!;
  const nack = async (resident: Resident, ...envelopes: Uint8Array[]) => read(api.putEntries.answer, await putEntries(chat, resident, slot, 0, ...envelopes)).nack;
  const flags = Uint8Array.from(sealedEnvelope(1));
  flags[1] = 8;
  expect(await nack(ada, sealedEnvelope(1), flags)).toBe(nackCodes.SHAPE.code);
  expect(await nack(ada, new Uint8Array(100))).toBe(nackCodes.SHAPE.code);
  expect(await nack(ada, sealedEnvelope(1, 7))).toBe(nackCodes.EPOCH_STALE.code);
  expect(await nack(eve, sealedEnvelope(1))).toBe(nackCodes.NOT_MEMBER.code);
  const small = await world.server.entries.put({ account: ada.person.account, device: ada.person.devices[0]!.id, conversation: chat.conversation, slot, ctr0: 4, envelopes: [new Uint8Array(10)] });
  expect(small).toEqual({ ok: false, error: { nack: 'SIZE', nextCtr: 4 } });
  expect(await world.store.rowsAfter(chat.conversation, 0, 9, Infinity)).toEqual([]);
});

test('[SV12][SV25] an account that sends too much is told to wait, and its entries are not stored', async () => {
  const { world, ada, chat } = await trio();
  const { slot } = (await world.store.slotOf(chat.conversation, ada.person.account, ada.person.devices[0]!.id))!;
  const put = (ctr0: number) => world.server.entries.put({ account: ada.person.account, device: ada.person.devices[0]!.id, conversation: chat.conversation, slot, ctr0, envelopes: [sealedEnvelope(ctr0 % 250)] });
  await world.server.limits.take('send', ada.person.account, 5_998);
  expect(await put(0)).toMatchObject({ ok: true });
  expect(await put(1)).toMatchObject({ ok: true });
  expect(await put(2)).toEqual({ ok: false, error: { nack: 'RATE', nextCtr: 2 } });
  expect((await world.store.heads([chat.conversation]))[0]!.head).toBe(2);
});

test('[SV28] when the store cannot keep a write, the client hears `internal`, and the log hears why', async () => {
  const { world, ada, chat } = await trio();
  const { slot } = (await world.store.slotOf(chat.conversation, ada.person.account, ada.person.devices[0]!.id))!;
  const { StoreFault } = await import('./store/fault.ts');
  const planted = vi.spyOn(world.store.sync, 'append').mockImplementation(() => {
    throw new StoreFault('full', 'sqlite: database or disk is full');
  });
  const answered = await putEntries(chat, ada, slot, 0, sealedEnvelope(1));
  expect(answered).toMatchObject({ status: 500, fault: { name: 'internal' } });
  expect(world.published.filter(({ message }) => message.type === 'rows')).toEqual([]);
  expect(world.logLines.at(-1)).toContain('"reason":"full"');
  planted.mockRestore();
  expect(read(api.putEntries.answer, await putEntries(chat, ada, slot, 0, sealedEnvelope(1))).nack).toBe(0);

  vi.spyOn(world.store.sync, 'session').mockImplementation(() => {
    throw new StoreFault('io', 'sqlite: disk I/O error');
  });
  expect((await ada.browser.send('GET', '/api/session')).fault?.name).toBe('internal');
});
