/** What a role lets a screen offer. The group's log decides in the end; this only hides what it would refuse. */
import type { MemberInfo } from '#lib/app/engine-api.ts';

type Role = MemberInfo['role'];

const rank: Record<Role, number> = { owner: 0, admin: 1, member: 2 };

/** Edit, add, name admins. */
export function mayManage(mine: Role | undefined): boolean {
  return mine === 'owner' || mine === 'admin';
}

/** An owner removes anybody else, an admin plain members. */
export function mayRemove(mine: Role | undefined, theirs: Role): boolean {
  return mine !== undefined && mine !== 'member' && rank[mine] < rank[theirs];
}

/** Owners, admins, then the rest, each by name. */
export function sortMembers(members: readonly MemberInfo[], nameOf: (account: MemberInfo['account']) => string): readonly MemberInfo[] {
  return members
    .map((member) => ({ member, name: nameOf(member.account) }))
    .sort((a, b) => rank[a.member.role] - rank[b.member.role] || a.name.localeCompare(b.name))
    .map(({ member }) => member);
}
