/**
 * What operations do to a roster, and who may ask for them (crypto.md §5.3).
 *
 * The actor's right is its role before the entry; what an operation meets (is this account in? which
 * generation has it?) is judged in order, so one entry can create and add. Owner stands above admin,
 * admin above member; nobody removes or changes one who is not below them.
 *
 * An add pins its account's log as the adder saw it: devices revoked before that never act here.
 */
import type { AccountId, ConversationId } from '#lib/protocol/ids.ts';
import { limits } from '#lib/protocol/limits.ts';
import { equalBytes } from '#lib/std/bytes.ts';
import { err, ok, type Result } from '#lib/std/result.ts';
import type { AccountState, UekRecord } from './account-state.ts';
import { directConversationId, isDerivedId, selfConversationId } from './conversation-id.ts';
import { expireCuts, mergeCuts } from './cuts.ts';
import { epochAfter, type NextEpoch } from './epoch-rule.ts';
import { sealedMetaSizeBytesMax } from './group-ops.ts';
import { isAdmin, type ConversationKind, type GroupLogFault, type GroupOp, type GroupState, type Member, type Pin, type Role, type RoleSpan } from './group-state.ts';
import type { AccountLookup } from './lookup.ts';

export interface OpsInput {
  readonly conversation: ConversationId;
  readonly height: number;
  readonly actor: AccountId;
  readonly authorHeight: number;
  readonly ops: readonly GroupOp[];
  readonly rt: number;
  readonly accountState: AccountLookup;
}

/** The state's parts once the operations are done. */
export interface Draft extends NextEpoch {
  readonly kind: ConversationKind;
  readonly members: Map<AccountId, Member>;
  readonly roles: Map<AccountId, readonly RoleSpan[]>;
  readonly pins: Map<AccountId, Pin>;
  readonly cuts: Map<string, number>;
  readonly meta: GroupState['meta'];
  readonly removes: boolean;
  readonly rotationDue: boolean;
  readonly added: readonly AccountId[];
}

export async function applyOps(state: GroupState | undefined, input: OpsInput): Promise<Result<Draft, GroupLogFault>> {
  const { ops, actor, height } = input;
  const misshapen = checkShape(state, input);
  if (misshapen) return err(misshapen);
  const next = epochAfter(state, ops);
  const work: Work = {
    kind: state?.kind ?? createdKind(ops),
    /** The actor's role before the entry; a creator owns what it creates. */
    role: state ? state.members.get(actor)!.role : 'owner',
    members: new Map(state?.members),
    roles: new Map(state?.roles),
    pins: new Map(state?.pins),
    cuts: new Map(state?.cuts),
    meta: state?.meta,
    added: [],
  };
  for (const op of ops) {
    const fault = await applyOp(work, op, input, next);
    if (fault) return err(fault);
  }
  const left = ops.some((op) => op.type === 'leave');
  return ok({
    ...next,
    ...work,
    removes: ops.some((op) => op.type === 'remove'),
    rotationDue: !next.makesEpoch && (left || state?.rotationDue === true) && work.members.size > 0,
    added: work.added.filter((account) => work.members.has(account)),
    meta: work.meta?.height === height ? { ...work.meta, epoch: next.epoch } : work.meta,
  });
}

/** What all operations of an entry must be together. */
function checkShape(state: GroupState | undefined, { ops, conversation, actor }: OpsInput): GroupLogFault | undefined {
  if (ops.length === 0) return 'no-ops';
  const has = (type: GroupOp['type']) => ops.some((op) => op.type === type);
  if (!state) {
    const [create, ...rest] = ops;
    if (create?.type !== 'create' || rest.some((op) => op.type !== 'add' && op.type !== 'meta')) return 'not-allowed';
    return checkKind(create.kind, conversation, actor, rest);
  }
  if (has('create')) return 'not-allowed';
  if (state.kind !== 'group' && (has('add') || has('remove') || has('leave') || has('role'))) return 'direct-is-two';
  const { makesEpoch } = epochAfter(state, ops);
  if (has('leave') && makesEpoch) return 'leaver-makes-epoch';
  if (has('leave') && ops.some((op) => op.type !== 'leave' && op.type !== 'role')) return 'not-allowed';
  if (state.rotationDue && !makesEpoch && ops.some((op) => op.type !== 'leave')) return 'rotation-due';
  return undefined;
}

/** The id of a conversation of two, or of one, follows from who is in it. */
function checkKind(kind: ConversationKind, conversation: ConversationId, actor: AccountId, rest: readonly GroupOp[]): GroupLogFault | undefined {
  const adds = rest.filter((op) => op.type === 'add');
  switch (kind) {
    case 'self':
      if (adds.length > 0) return 'direct-is-two';
      return conversation === selfConversationId(actor) ? undefined : 'wrong-conversation';
    case 'direct': {
      const [peer] = adds;
      if (adds.length !== 1 || peer!.role !== 'owner' || peer!.account === actor) return 'direct-is-two';
      return conversation === directConversationId(actor, peer!.account) ? undefined : 'wrong-conversation';
    }
    case 'group':
      return isDerivedId(conversation) ? 'wrong-conversation' : undefined;
  }
}

interface Work {
  readonly kind: ConversationKind;
  readonly role: Role;
  readonly members: Map<AccountId, Member>;
  readonly roles: Map<AccountId, readonly RoleSpan[]>;
  readonly pins: Map<AccountId, Pin>;
  readonly cuts: Map<string, number>;
  meta: GroupState['meta'];
  readonly added: AccountId[];
}

async function applyOp(work: Work, op: GroupOp, input: OpsInput, next: NextEpoch): Promise<GroupLogFault | undefined> {
  const { actor, height, accountState } = input;
  switch (op.type) {
    case 'create': {
      const account = await accountState(actor, { height: input.authorHeight, uekGen: op.uekGen });
      if (newestUekAt(account, input.authorHeight)?.gen !== op.uekGen) return 'wrong-generation';
      admit(work, input, actor, 'owner', op.uekGen);
      work.pins.set(actor, { accountHeight: input.authorHeight, accountHead: account!.heads[input.authorHeight]! });
      return undefined;
    }
    case 'add': {
      if (!isAdmin(work.role) || (work.role !== 'owner' && op.role !== 'member')) return 'not-allowed';
      if (work.members.has(op.account)) return 'member-exists';
      if (work.members.size >= limits.membersMax) return 'too-many-members';
      const account = await accountState(op.account, { height: op.accountHeight, uekGen: op.uekGen });
      const unpinned = pin(work, op, account);
      if (unpinned) return unpinned;
      if (newestUekAt(account, op.accountHeight)?.gen !== op.uekGen) return 'wrong-generation';
      expireCuts(work.cuts, account!.devices.keys(), height);
      admit(work, input, op.account, op.role, op.uekGen);
      work.added.push(op.account);
      return undefined;
    }
    case 'remove': {
      const target = work.members.get(op.account);
      if (!isAdmin(work.role) || op.account === actor) return 'not-allowed';
      if (!target) return 'member-unknown';
      if (!isBelow(target.role, work.role)) return 'not-allowed';
      const account = await accountState(op.account, { height: 0, uekGen: 0 });
      const devices = account?.devices;
      const fenced = mergeCuts(work.cuts, op.cuts, ({ device, lastCtr }, present) => devices?.has(device) === true && (present === undefined || lastCtr >= present));
      if (!fenced) return 'cut-not-allowed';
      dismiss(work, op.account, height);
      return undefined;
    }
    case 'leave':
      if (!work.members.has(actor)) return 'member-unknown';
      dismiss(work, actor, height);
      return undefined;
    case 'role': {
      const target = work.members.get(op.account);
      if (!target) return 'member-unknown';
      if (work.role !== 'owner' || (target.role === 'owner' && op.account !== actor)) return 'not-allowed';
      work.members.set(op.account, { ...target, role: op.role });
      setRole(work, op.account, height, op.role);
      return undefined;
    }
    case 'policy':
      return isAdmin(work.role) ? undefined : 'not-allowed';
    case 'rotate':
      for (const { account, uekGen } of op.gens) {
        const member = work.members.get(account);
        if (!member) return 'member-unknown';
        const known = await accountState(account, { height: 0, uekGen });
        if (uekGen <= member.uekGen || !known?.ueks.some(({ gen }) => gen === uekGen)) return 'wrong-generation';
        work.members.set(account, { ...member, uekGen });
      }
      return undefined;
    case 'pin': {
      if (!work.members.has(op.account)) return 'member-unknown';
      const account = await accountState(op.account, { height: op.accountHeight, uekGen: 0 });
      const unpinned = pin(work, op, account);
      if (unpinned) return unpinned;
      const fenced = mergeCuts(work.cuts, op.cuts, ({ device }, present) => {
        const revokedAt = account!.devices.get(device)?.revokedAt;
        return present === undefined && revokedAt !== undefined && revokedAt <= op.accountHeight;
      });
      return fenced ? undefined : 'cut-not-allowed';
    }
    case 'cut':
      if (!isAdmin(work.role)) return 'not-allowed';
      return mergeCuts(work.cuts, op.cuts, ({ lastCtr }, present) => present !== undefined && lastCtr > present) ? undefined : 'cut-not-allowed';
    case 'meta':
      if (!isAdmin(work.role)) return 'not-allowed';
      if (op.sealed.length > sealedMetaSizeBytesMax) return 'too-big';
      work.meta = { epoch: next.epoch, height, sealed: op.sealed };
      return undefined;
  }
}

/** Names a height and head of an account's log; never a lower one than before. */
function pin(work: Work, { account, accountHeight, accountHead }: { readonly account: AccountId } & Pin, known: AccountState | undefined): GroupLogFault | undefined {
  const head = known?.heads[accountHeight];
  if (!head) return 'pin-beyond-log';
  if (!equalBytes(head, accountHead)) return 'wrong-account-head';
  if (accountHeight < (work.pins.get(account)?.accountHeight ?? 0)) return 'pin-not-allowed';
  work.pins.set(account, { accountHeight, accountHead });
  return undefined;
}

/** The newest user encryption key an account had at a height of its log. */
export function newestUekAt(account: AccountState | undefined, height: number): UekRecord | undefined {
  return account?.ueks.findLast((uek) => uek.height <= height);
}

function admit(work: Work, { height, rt }: OpsInput, account: AccountId, role: Role, uekGen: number): void {
  work.members.set(account, { account, role, uekGen, joinedHeight: height, joinedRt: rt });
  setRole(work, account, height, role);
}

function dismiss(work: Work, account: AccountId, height: number): void {
  work.members.delete(account);
  setRole(work, account, height, undefined);
}

/** One span per height: what an entry does last counts. */
function setRole(work: Work, account: AccountId, height: number, role: Role | undefined): void {
  const spans = work.roles.get(account) ?? [];
  work.roles.set(account, [...spans.filter((span) => span.fromHeight !== height), { fromHeight: height, role }]);
}

const rank: Record<Role, number> = { owner: 2, admin: 1, member: 0 };

function isBelow(role: Role, than: Role): boolean {
  return rank[role] < rank[than];
}

function createdKind(ops: readonly GroupOp[]): ConversationKind {
  return ops[0]?.type === 'create' ? ops[0].kind : 'group';
}
