/**
 * What a person sees of one item, from its registers: a pure function, computed when somebody looks.
 */
import { compareOrder, isLate, orderText, type OrderKey } from '#lib/conversation/clock.ts';
import type { AccountId } from '#lib/protocol/ids.ts';
import { assert } from '#lib/std/assert.ts';
import { entryText, type PollView, type ReactionView, type TimelineEntry } from './item.ts';
import { copyRegisters, emptyRegisters, isDeleted, note, type Item, type Registers, type Said } from './registers.ts';

export function showItem(item: Item, me: AccountId): TimelineEntry {
  const said = item.said ?? item.waitingSaid;
  const author = said?.account ?? item.purged?.account;
  assert(author !== undefined && item.place, 'what is shown has an author and a place');
  const registers = withWaiting(item);
  const deleted = isDeleted(registers, author);
  const row = item.said ?? item.purged;
  const base = {
    slot: item.slot, ctr: item.ctr, id: entryText(item), author, mine: author === me, order: orderText(item.place), at: item.place.eff,
    rt: row?.rt, seq: item.said?.seq ?? item.purged?.seq ?? item.waitingSaid?.seq,
    waiting: item.said || !item.waitingSaid?.waiting ? undefined
      : { acknowledgedSeq: item.waitingSaid.waiting.acknowledgedSeq, refused: item.waitingSaid.waiting.refused },
  };
  if (deleted || !said) {
    return { ...base, kind: 'message', text: '', edited: false, deleted: true, pinned: false, replyTo: undefined, reactions: [], poll: undefined, late: false };
  }
  const { event } = said;
  const edit = event.kind === 'message' ? registers.edits.get(author) : undefined;
  return {
    ...base,
    kind: event.kind,
    text: event.kind === 'poll' ? event.question : edit?.value ?? event.text,
    edited: edit !== undefined,
    deleted: false,
    pinned: registers.pin?.value ?? false,
    replyTo: event.kind === 'message' ? event.replyTo : undefined,
    reactions: showReactions(registers),
    poll: event.kind === 'poll' ? showPoll(event, registers, author) : undefined,
    late: said.rt !== undefined && isLate({ t: event.t, rt: said.rt }),
  };
}

function withWaiting({ registers, waiting }: Item): Registers {
  if (!waiting || waiting.size === 0) return registers ?? emptyRegisters();
  const over = registers ? copyRegisters(registers) : emptyRegisters();
  for (const deed of waiting.values()) note(over, deed);
  return over;
}

/** Emoji by when the first of those who still hold it reacted; people likewise. */
function showReactions({ reactions }: Registers): readonly ReactionView[] {
  const out: { readonly emoji: string; readonly accounts: readonly AccountId[]; readonly first: OrderKey }[] = [];
  for (const [emoji, by] of reactions) {
    const on = [...by].filter(([, { value }]) => value).sort(([, a], [, b]) => compareOrder(a.order, b.order));
    const first = on[0];
    if (first) out.push({ emoji, accounts: on.map(([account]) => account), first: first[1].order });
  }
  return out.sort((a, b) => compareOrder(a.first, b.first)).map(({ emoji, accounts }) => ({ emoji, accounts }));
}

function showPoll({ question, options }: Extract<Said['event'], { kind: 'poll' }>, { votes, closes }: Registers, author: AccountId): PollView {
  const closed = closes.get(author);
  const counted: { readonly account: AccountId; readonly order: OrderKey; readonly choices: readonly number[] }[] = [];
  for (const [account, all] of votes) {
    let newest: (typeof all)[number] | undefined;
    for (const vote of all) if ((!closed || compareOrder(vote.order, closed) < 0) && (!newest || compareOrder(vote.order, newest.order) > 0)) newest = vote;
    if (newest) counted.push({ account, ...newest });
  }
  counted.sort((a, b) => compareOrder(a.order, b.order));
  return { question, options, votes: options.map((_, option) => counted.filter(({ choices }) => choices.includes(option)).map(({ account }) => account)), closed: closed !== undefined };
}
