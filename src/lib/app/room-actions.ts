/** People, groups and this device: what needs the network and changes more than one chat's text. */
import { safetyDigits } from '#lib/chains/safety-number.ts';
import { encodeInvite } from '#lib/identity/invite.ts';
import { checkProfile } from '#lib/identity/profile.ts';
import type { AccountsFault, InviteFault, KnownAccount } from '#lib/identity/accounts.ts';
import { forgetWords } from '#lib/identity/records.ts';
import type { ConversationId, DeviceId } from '#lib/protocol/ids.ts';
import { limits } from '#lib/protocol/limits.ts';
import type { Bytes } from '#lib/std/bytes.ts';
import { err, ok, type Result } from '#lib/std/result.ts';
import type { Desk } from './desk.ts';
import { toEntryError } from './entry-error.ts';
import type { ChatInfo, EngineApi, GroupError, PeopleError, Person } from './engine-api.ts';
import { pictureAddress } from './people.ts';

export type RoomApi = Pick<EngineApi, 'findPerson' | 'acceptInvite' | 'inviteLink' | 'safetyNumber' | 'setVerified' | 'acceptIdentity' | 'setProfile'
  | 'startDirect' | 'createGroup' | 'chatInfo' | 'setGroupMeta' | 'addMembers' | 'removeMember' | 'setRole' | 'leave' | 'setChatFlags'
  | 'devices' | 'revokeDevice' | 'confirmWords' | 'renewSession'>;

export function roomApi(desk: Desk): RoomApi {
  const { accounts, groups, core, people, me } = desk;

  async function known(found: Result<KnownAccount, AccountsFault | InviteFault>): Promise<Result<Person, PeopleError>> {
    if (!found.ok) return err(toPeopleError(found.error));
    const { account, handle, state } = found.value;
    if (account === me) return err({ type: 'is-yourself' });
    if (!core.view().contacts.get(account)?.genesisHash) await core.set({ type: 'contact', account, handle, genesisHash: state.genesisHash });
    await people.ensure([account]);
    return ok(people.now(account));
  }

  async function changed<T>(conversation: ConversationId, result: Promise<Result<T, GroupError>>): Promise<Result<T, GroupError>> {
    const done = await result;
    if (done.ok) {
      desk.sync.groupRefreshed(conversation);
      desk.book.touch(conversation);
      await desk.chats.repaint(conversation);
    }
    return done;
  }

  async function started(result: Promise<Result<ConversationId, GroupError>>): Promise<Result<ConversationId, GroupError>> {
    const made = await result;
    if (!made.ok) return made;
    await desk.membership.added(made.value);
    desk.sendMark(made.value);
    await desk.book.idle();
    return made;
  }

  return {
    async findPerson(handle) {
      return known(await accounts.findByHandle(handle));
    },
    async acceptInvite(fragment) {
      return known(await accounts.acceptInvite(fragment));
    },
    async inviteLink() {
      const state = await accounts.get(me);
      const { handle } = desk.loaded.identity;
      return `${desk.platform.origin}/invite#${encodeInvite(handle, state?.genesisHash ?? desk.loaded.identity.genesisHash)}`;
    },
    async safetyNumber(account) {
      const [mine, theirs] = await Promise.all([accounts.get(me), accounts.get(account)]);
      if (!mine || !theirs) return { groups: [], qr: '', verified: false };
      const digits = await safetyDigits(mine, theirs);
      return { ...digits, verified: core.view().contacts.get(account)?.verified ?? false };
    },
    async setVerified(account, verified) {
      const state = await accounts.get(account);
      if (state) await core.set({ type: 'contact', account, genesisHash: state.genesisHash, verified });
      await people.refresh(account);
    },
    async acceptIdentity(account) {
      const accepted = await accounts.acceptIdentity(account);
      if (!accepted.ok) return;
      await core.set({ type: 'contact', account: accepted.value.account, genesisHash: accepted.value.state.genesisHash, verified: false });
      desk.notices.withdraw('identity-changed');
      await people.refresh(account);
    },
    async setProfile({ displayName, picture }) {
      const before = core.view().profile;
      const checked = checkProfile({
        displayName: displayName ?? before.displayName ?? desk.loaded.identity.handle,
        picture: picture === undefined ? before.picture : picture === null ? undefined : picture as Bytes,
      });
      if (!checked.ok) return err(checked.error);
      await core.set({ type: 'profile', displayName: checked.value.displayName, ...(picture !== undefined && { picture: picture as Bytes | null }) });
      await people.refresh(me);
      void people.publishOwn();
      return ok(undefined);
    },

    startDirect: (account) => started(groups.createDirect(account)),
    async createGroup({ name, picture, members }) {
      const trimmed = name.trim();
      if (trimmed === '' || [...trimmed].length > limits.groupNameLengthMax) return err({ type: 'name-invalid' });
      if (picture && picture.length > limits.pictureSizeBytesMax) return err({ type: 'picture-too-big' });
      return started(groups.createGroup({ meta: { name: trimmed, description: '', picture: picture as Bytes | undefined }, members }));
    },
    chatInfo: (conversation) => chatInfo(desk, conversation),
    async setGroupMeta(conversation, { name, picture, description }) {
      return changed(conversation, groups.setMeta(conversation, {
        ...(name !== undefined && { name }),
        ...(description !== undefined && { description }),
        ...(picture !== undefined && { picture: picture as Bytes | null }),
      }));
    },
    addMembers: (conversation, list) => changed(conversation, groups.addMembers(conversation, list)),
    removeMember: (conversation, account) => changed(conversation, groups.removeMember(conversation, account)),
    setRole: (conversation, account, role) => changed(conversation, groups.setRole(conversation, account, role)),
    async leave(conversation) {
      const group = await groups.state(conversation);
      // The last owner hands the group on: to an admin if there is one, else to whoever joined first.
      const others = [...(group?.members.values() ?? [])].filter((member) => member.account !== me);
      const owners = others.some((member) => member.role === 'owner');
      const heir = [...others].sort((a, b) => Number(b.role === 'admin') - Number(a.role === 'admin') || a.joinedHeight - b.joinedHeight)[0];
      const mine = group?.members.get(me)?.role === 'owner';
      const left = await groups.leave(conversation, mine && !owners && heir ? { successor: heir.account } : {});
      if (left.ok) await desk.membership.notMember(conversation);
      return left;
    },
    async setChatFlags(conversation, flags) {
      await core.set({ type: 'chat', conversation, ...flags });
    },

    async devices() {
      const names = core.view().deviceNames;
      return (await desk.account.devices()).map((device) => ({
        id: device.id, name: names.get(device.id) ?? 'Browser', addedAt: undefined, current: device.current, revoked: device.revokedAt !== undefined,
      }));
    },
    async revokeDevice(device) {
      const revoked = await desk.account.revokeDevice(device as DeviceId);
      return revoked.ok ? revoked : err(toEntryError(revoked.error));
    },
    async confirmWords() {
      await core.set({ type: 'words-confirmed' });
      await forgetWords(desk.database);
    },
    async renewSession({ password }) {
      const renewed = await desk.account.renewSession({ password });
      if (!renewed.ok) return err(toEntryError(renewed.error));
      desk.sync.poke();
      return renewed;
    },
  };
}

async function chatInfo(desk: Desk, conversation: ConversationId): Promise<ChatInfo | undefined> {
  const group = await desk.groups.state(conversation);
  const facts = desk.book.all().find((chat) => chat.conversation === conversation);
  if (!group || !facts) return undefined;
  const meta = group.kind === 'group' ? await desk.groups.meta(conversation) : undefined;
  await desk.people.ensure([...group.members.keys()]);
  const order = ['owner', 'admin', 'member'];
  return {
    conversation, kind: group.kind, title: facts.title,
    picture: meta?.picture ? pictureAddress(meta.picture) : facts.picture,
    description: meta?.description ?? '',
    members: [...group.members.values()]
      .map((member) => ({ account: member.account, role: member.role, me: member.account === desk.me }))
      .sort((a, b) => order.indexOf(a.role) - order.indexOf(b.role) || desk.people.nameOf(a.account).localeCompare(desk.people.nameOf(b.account))),
    myRole: group.members.get(desk.me)?.role,
    epoch: group.epoch,
  };
}

function toPeopleError(fault: AccountsFault | InviteFault): PeopleError {
  switch (fault.type) {
    case 'offline':
    case 'not-found':
    case 'handle-invalid':
      return { type: fault.type };
    case 'too-many':
      return fault;
    case 'identity-changed':
      return { type: 'failed', detail: `identity-changed ${fault.change}` };
    case 'log-refused':
      return { type: 'failed', detail: `log-refused ${fault.fault}` };
    case 'failed':
      return fault;
    case 'invite-invalid':
    case 'invite-mismatch':
      return { type: 'failed', detail: fault.type };
  }
}
