/**
 * Changes of a conversation, each planned against the state that is there, built, and offered to the
 * server by compare-and-set. When somebody was faster, what they did is taken in first and the plan
 * made again: it may still be wanted, be done already, or no longer be allowed [GR5].
 */
import { newestUek, type AccountState } from '#lib/chains/account-state.ts';
import { directConversationId, groupConversationId, selfConversationId } from '#lib/chains/conversation-id.ts';
import { epochAfter } from '#lib/chains/epoch-rule.ts';
import { isAdmin, type GroupLogFault, type GroupOp, type GroupState, type Role } from '#lib/chains/group-state.ts';
import type { AccountId, ConversationId } from '#lib/protocol/ids.ts';
import { limits } from '#lib/protocol/limits.ts';
import type { Bytes } from '#lib/std/bytes.ts';
import { err, ok, type Result } from '#lib/std/result.ts';
import { compose, type Plan } from './compose.ts';
import type { Logs } from './logs.ts';
import { inBatches } from './lookup.ts';
import { checkMeta, type GroupMeta } from './meta.ts';
import type { GroupsDeps } from './ports.ts';
import type { SyncError } from './receive.ts';
import { removalCuts, withRenewal } from './renew.ts';

/** Assignable to `GroupError` of app/engine-api.ts. */
export type GroupsError =
  | { readonly type: 'offline' | 'not-allowed' | 'full' | 'name-invalid' | 'picture-too-big' | 'unknown-chat' | 'last-owner' }
  | { readonly type: 'failed'; readonly detail: string };

export interface GroupActions {
  /** Answers the existing conversation when there is one already. */
  readonly createDirect: (peer: AccountId) => Promise<Result<ConversationId, GroupsError>>;
  readonly createSelf: () => Promise<Result<ConversationId, GroupsError>>;
  readonly createGroup: (input: { meta: GroupMeta; members: readonly AccountId[]; sharesHistory?: boolean }) => Promise<Result<ConversationId, GroupsError>>;
  readonly addMembers: (conversation: ConversationId, accounts: readonly AccountId[]) => Promise<Result<void, GroupsError>>;
  readonly removeMember: (conversation: ConversationId, account: AccountId) => Promise<Result<void, GroupsError>>;
  /** The last owner of a group with other members names who owns it next, else `last-owner`. */
  readonly leave: (conversation: ConversationId, options?: { successor?: AccountId }) => Promise<Result<void, GroupsError>>;
  readonly setRole: (conversation: ConversationId, account: AccountId, role: Role) => Promise<Result<void, GroupsError>>;
  /** What is undefined stays as it is; a picture of null goes away. */
  readonly setMeta: (conversation: ConversationId, change: { name?: string; description?: string; picture?: Bytes | null }) => Promise<Result<void, GroupsError>>;
  /** A new epoch, with the newest user encryption keys, and pins and cuts for revoked devices. */
  readonly rotate: (conversation: ConversationId) => Promise<Result<void, GroupsError>>;
}

/** Lost races before giving up: each loss means somebody else's change went in. */
const triesMax = 8;
const accountsAtOnceMax = 16;

/** Something newer may be there: take it in and plan again. */
interface Again {
  readonly type: 'again';
  readonly detail: string;
}

type Planned = Result<Plan | 'done', GroupsError>;
type Planner = (state: GroupState) => Planned | Promise<Planned>;

const done: Planned = ok('done');
const notAllowed: { readonly ok: false; readonly error: GroupsError } = err({ type: 'not-allowed' });

export function createActions(deps: GroupsDeps, logs: Logs): GroupActions {
  const { me, accounts, transport } = deps;

  /** Changes a conversation that exists. */
  function act(conversation: ConversationId, planner: Planner): Promise<Result<void, GroupsError>> {
    return logs.alone(conversation, () => actInside(conversation, planner));
  }

  async function actInside(conversation: ConversationId, planner: Planner): Promise<Result<void, GroupsError>> {
    let state = await logs.state(conversation);
    let fresh = false;
    if (!state?.members.has(me.account)) { // not known here, or out as far as is known: it may have moved on
      const synced = await logs.syncInside(conversation);
      if (!synced.ok) return err(explainSync(synced.error));
      state = synced.value;
      fresh = true;
    }
    for (let tries = 0; tries < triesMax; tries++) {
      const outcome = await attempt(conversation, state, planner);
      if (outcome.ok && outcome.value === 'taken') return ok(undefined);
      const refusal = outcome.ok ? undefined : outcome.error;
      const again = refusal?.type === 'again' ? refusal : undefined;
      const answer: Result<void, GroupsError> = refusal === undefined ? ok(undefined) : refusal.type === 'again' ? failed(refusal.detail) : err(refusal);
      // "Done" and "no" by what is known here may be old news: the server is asked before they are said.
      if (!again && (fresh || refusal?.type === 'offline')) return answer;
      const synced = await logs.syncInside(conversation);
      if (!synced.ok) return refusal && !again ? answer : err(explainSync(synced.error));
      if (synced.value.height === state.height) return answer;
      state = synced.value;
      fresh = true;
    }
    return failed('others were faster each time');
  }

  async function attempt(conversation: ConversationId, state: GroupState, planner: Planner): Promise<Result<'taken' | 'done', GroupsError | Again>> {
    if (!state.members.has(me.account)) return notAllowed;
    const planned = await planner(state);
    if (!planned.ok) return planned;
    if (planned.value === 'done') return ok('done');
    const offered = await offer(conversation, state, await renewed(state, planned.value));
    return offered.ok ? ok('taken') : offered;
  }

  /** The plan with what a new epoch carries along. */
  async function renewed(state: GroupState, plan: Plan): Promise<Plan> {
    const ops = await withRenewal(deps, state, plan.ops);
    const next = epochAfter(state, ops);
    // Newcomers cannot read what was sealed before them, so the name is sealed again with their epoch.
    const hidden = next.makesEpoch && !next.sharesHistory && isAdmin(state.members.get(me.account)?.role);
    const meta = plan.meta ?? (hidden ? await logs.meta(state.conversation) : undefined);
    return { ops, ...(meta && { meta }) };
  }

  async function offer(conversation: ConversationId, state: GroupState | undefined, plan: Plan): Promise<Result<void, GroupsError | Again>> {
    const composed = await compose(deps, conversation, state, plan, (epoch) => logs.secret(conversation, epoch));
    if (!composed.ok) return err(explainFault(composed.error));
    const { built, wraps } = composed.value;
    const answer = await transport.appendGroupLog(conversation, built.bytes, wraps);
    if (answer.ok) {
      if (answer.value.height !== built.entry.height) return failed('the server put the entry elsewhere');
      await logs.settle(composed.value, answer.value.rt);
      return ok(undefined);
    }
    switch (answer.error.type) {
      case 'conflict': return err({ type: 'again', detail: 'conflict' });
      case 'refused': return err({ type: 'again', detail: answer.error.detail });
      case 'offline': return err({ type: 'offline' });
      case 'not-member': return err({ type: 'unknown-chat' });
      case 'failed': return err(answer.error);
    }
  }

  /** Makes a conversation whose id is fixed, or finds that it is there. */
  async function create(conversation: ConversationId, plan: () => Promise<Result<Plan, GroupsError>>): Promise<Result<ConversationId, GroupsError>> {
    return logs.alone(conversation, async () => {
      if (await logs.state(conversation)) return ok(conversation);
      const planned = await plan();
      if (!planned.ok) return planned;
      const offered = await offer(conversation, undefined, planned.value);
      if (offered.ok) return ok(conversation);
      if (offered.error.type !== 'again') return err(offered.error);
      const synced = await logs.syncInside(conversation);
      return synced.ok ? ok(conversation) : err(explainSync(synced.error));
    });
  }

  async function createOp(kind: 'self' | 'direct' | 'group', sharesHistory: boolean): Promise<Result<GroupOp, GroupsError>> {
    const mine = await accounts.refresh(me.account);
    return mine ? ok({ type: 'create', kind, sharesHistory, uekGen: newestUek(mine).gen }) : failed('own account log missing');
  }

  async function addOps(members: readonly AccountId[], role: Role): Promise<Result<readonly GroupOp[], GroupsError>> {
    const known = await inBatches(members, accountsAtOnceMax, (account) => accounts.refresh(account));
    if (known.some((state) => state === undefined)) return failed('unknown account');
    return ok((known as readonly AccountState[]).map((state) => ({
      type: 'add', account: state.account, role, uekGen: newestUek(state).gen, accountHeight: state.height, accountHead: state.head,
    })));
  }

  async function createWith(conversation: ConversationId, kind: 'self' | 'direct' | 'group', members: readonly AccountId[], role: Role, sharesHistory: boolean, meta?: GroupMeta): Promise<Result<ConversationId, GroupsError>> {
    return create(conversation, async () => {
      const first = await createOp(kind, sharesHistory);
      if (!first.ok) return first;
      const adds = await addOps(members, role);
      return adds.ok ? ok({ ops: [first.value, ...adds.value], ...(meta && { meta }) }) : adds;
    });
  }

  async function createGroup({ meta, members, sharesHistory = true }: Parameters<GroupActions['createGroup']>[0]): Promise<Result<ConversationId, GroupsError>> {
    const checked = tidyMeta(meta);
    if (!checked.ok) return checked;
    const others = [...new Set(members)].filter((account) => account !== me.account);
    if (others.length >= limits.membersMax) return err({ type: 'full' });
    return createWith(groupConversationId(deps.random), 'group', others, 'member', sharesHistory, checked.value);
  }

  return {
    createSelf: () => createWith(selfConversationId(me.account), 'self', [], 'member', true),
    createDirect: (peer) => (peer === me.account
      ? createWith(selfConversationId(me.account), 'self', [], 'member', true)
      : createWith(directConversationId(me.account, peer), 'direct', [peer], 'owner', true)),
    createGroup,

    addMembers: (conversation, wanted) => act(conversation, async (state) => {
      const others = [...new Set(wanted)].filter((account) => !state.members.has(account));
      if (others.length === 0) return done;
      if (state.members.size + others.length > limits.membersMax) return err({ type: 'full' });
      const adds = await addOps(others, 'member');
      return adds.ok ? ok({ ops: adds.value }) : adds;
    }),

    removeMember: (conversation, account) => act(conversation, async (state) => {
      if (account === me.account || state.kind !== 'group') return notAllowed;
      if (!state.members.has(account)) return done;
      const known = await accounts.refresh(account);
      return ok({ ops: [{ type: 'remove', account, cuts: known ? await removalCuts(deps, state, known) : [] }] });
    }),

    async leave(conversation, { successor } = {}) {
      const left = await act(conversation, async (state) => {
        if (state.kind !== 'group') return notAllowed;
        const ops: GroupOp[] = [];
        if (isLastOwner(state, me.account) && state.members.size > 1) {
          if (!successor || successor === me.account || !state.members.has(successor)) return err({ type: 'last-owner' });
          // Nothing but a leave may stand beside one that makes the next key due.
          if (state.rotationDue) return ok({ ops: [{ type: 'role', account: successor, role: 'owner' }] });
          ops.push({ type: 'role', account: successor, role: 'owner' });
        }
        return ok({ ops: [...ops, { type: 'leave' }] });
      });
      const now = left.ok ? await logs.state(conversation) : undefined;
      if (!now?.members.has(me.account)) return left;
      return act(conversation, () => ok({ ops: [{ type: 'leave' }] }));
    },

    setRole: (conversation, account, role) => act(conversation, (state) => {
      const member = state.members.get(account);
      if (!member) return notAllowed;
      if (role !== 'owner' && account === me.account && isLastOwner(state, account)) return err({ type: 'last-owner' });
      return member.role === role ? done : ok({ ops: [{ type: 'role', account, role }] });
    }),

    setMeta: (conversation, change) => act(conversation, async (state) => {
      if (state.kind === 'group' && !isAdmin(state.members.get(me.account)?.role)) return notAllowed;
      const present = await logs.meta(conversation);
      if (state.meta && !present) return failed('keys-missing');
      const checked = tidyMeta({
        name: change.name ?? present?.name ?? '',
        description: change.description ?? present?.description ?? '',
        picture: change.picture === null ? undefined : change.picture ?? present?.picture,
      });
      return checked.ok ? ok({ ops: [], meta: checked.value }) : checked;
    }),

    rotate(conversation) {
      let asked: number | undefined;
      return act(conversation, async ({ epoch, rotationDue }) => {
        await accounts.refresh(me.account); // it may be our own lost device that asks for it
        asked ??= epoch;
        // Somebody else's rotation serves as well as ours.
        return epoch > asked && !rotationDue ? done : ok({ ops: [{ type: 'rotate', gens: [] }] });
      });
    },
  };
}

function isLastOwner(state: GroupState, account: AccountId): boolean {
  const owners = [...state.members.values()].filter(({ role }) => role === 'owner');
  return owners.length === 1 && owners[0]!.account === account;
}

function tidyMeta(meta: GroupMeta): Result<GroupMeta, GroupsError> {
  const checked = checkMeta(meta);
  if (checked.ok) return checked;
  return checked.error === 'description-too-long' ? failed(checked.error) : err({ type: checked.error });
}

function explainSync(error: SyncError): GroupsError {
  switch (error.type) {
    case 'offline': return { type: 'offline' };
    case 'not-member': return { type: 'unknown-chat' };
    case 'alarm': return { type: 'failed', detail: `alarm: ${error.fault} at height ${error.height}` };
    case 'failed': return error;
  }
}

function explainFault(fault: GroupLogFault | 'keys-missing'): GroupsError {
  switch (fault) {
    case 'not-allowed':
    case 'not-member':
    case 'direct-is-two': return { type: 'not-allowed' };
    case 'too-many-members': return { type: 'full' };
    default: return { type: 'failed', detail: fault };
  }
}

function failed(detail: string): { readonly ok: false; readonly error: GroupsError } {
  return err({ type: 'failed', detail });
}
