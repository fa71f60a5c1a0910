/**
 * Ticks: how far others have received and read, from the mark registers of their devices.
 *
 * Per account the greatest mark of its devices counts, so marks may come in any order.
 */
import type { AccountId } from '#lib/protocol/ids.ts';

export type ReceiptTick = 'sent' | 'delivered' | 'read';

export interface SlotMark {
  readonly account: AccountId;
  readonly deliveredSeq: number;
  readonly readSeq: number;
}

export interface Receipts {
  /** Answers the range of seqs whose tick may have changed, `from` exclusive; undefined when none. */
  readonly apply: (mark: SlotMark) => { readonly from: number; readonly to: number } | undefined;
  /** Of an own message the server has. In a group, read means by anyone. */
  readonly tick: (seq: number) => ReceiptTick;
  readonly seenBy: (seq: number) => readonly { readonly account: AccountId; readonly delivered: boolean; readonly read: boolean }[];
  /** How far this account has read, on whichever of its devices went furthest. */
  readonly ownReadSeq: () => number;
}

export function createReceipts({ me }: { readonly me: AccountId }): Receipts {
  const byAccount = new Map<AccountId, { readonly deliveredSeq: number; readonly readSeq: number }>();
  let delivered = 0;
  let read = 0;
  return {
    apply({ account, deliveredSeq, readSeq }) {
      const before = byAccount.get(account) ?? { deliveredSeq: 0, readSeq: 0 };
      // Who read something has received it.
      const after = { deliveredSeq: Math.max(before.deliveredSeq, deliveredSeq, readSeq), readSeq: Math.max(before.readSeq, readSeq) };
      byAccount.set(account, after);
      if (account === me) return undefined;
      const ranges = [[delivered, after.deliveredSeq], [read, after.readSeq]].filter(([from, to]) => to! > from!);
      delivered = Math.max(delivered, after.deliveredSeq);
      read = Math.max(read, after.readSeq);
      return ranges.length === 0 ? undefined : { from: Math.min(...ranges.map(([from]) => from!)), to: Math.max(...ranges.map(([, to]) => to!)) };
    },
    tick: (seq) => (seq <= read ? 'read' : seq <= delivered ? 'delivered' : 'sent'),
    seenBy: (seq) => [...byAccount].filter(([account]) => account !== me)
      .map(([account, mark]) => ({ account, delivered: seq <= mark.deliveredSeq, read: seq <= mark.readSeq })),
    ownReadSeq: () => byAccount.get(me)?.readSeq ?? 0,
  };
}
