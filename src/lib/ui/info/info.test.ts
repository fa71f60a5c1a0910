import { expect, test } from 'vitest';
import type { MemberInfo } from '#lib/app/engine-api.ts';
import { compareNumber } from './compare.ts';
import { mayManage, mayRemove, sortMembers } from './roles.ts';

const groups = Array.from({ length: 12 }, (_, i) => String(10_000 + i * 1_111));

test('[UI12] a pasted safety number is compared by its digits, and one wrong digit is told at once', () => {
  expect(compareNumber('', groups)).toBe('empty');
  expect(compareNumber(' - ', groups)).toBe('empty');
  expect(compareNumber(groups.slice(0, 3).join(' '), groups)).toBe('short');
  expect(compareNumber(groups.join('\n'), groups)).toBe('same');
  expect(compareNumber('9', groups)).toBe('different');
  expect(compareNumber(`${groups.join(' ')} 1`, groups)).toBe('different');
});

test('[UI13] a screen offers what the role allows, and nothing the log of the group would refuse', () => {
  expect([mayManage('owner'), mayManage('admin'), mayManage('member'), mayManage(undefined)]).toEqual([true, true, false, false]);
  expect([mayRemove('owner', 'admin'), mayRemove('owner', 'member'), mayRemove('admin', 'member')]).toEqual([true, true, true]);
  expect([mayRemove('admin', 'owner'), mayRemove('admin', 'admin'), mayRemove('member', 'member'), mayRemove(undefined, 'member'), mayRemove('owner', 'owner')]).toEqual([false, false, false, false, false]);
});

test('[UI13] members stand by role and then by name', () => {
  const member = (account: string, role: MemberInfo['role']): MemberInfo => ({ account: account as MemberInfo['account'], role, me: false });
  const list = [member('zoe', 'member'), member('bo', 'admin'), member('al', 'member'), member('yo', 'owner')];
  expect(sortMembers(list, (account) => account).map((one) => one.account)).toEqual(['yo', 'bo', 'al', 'zoe']);
});
