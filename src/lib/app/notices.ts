/** What the person should know and has not put away. In memory: what still holds is found again at the next start. */
import type { Notice } from './engine-api.ts';

export interface Notices {
  readonly add: (notice: Omit<Notice, 'id'>) => void;
  /** What it warned of is over. */
  readonly withdraw: (type: Notice['type']) => void;
  readonly dismiss: (id: string) => void;
  readonly all: () => readonly Notice[];
}

/** More at once is no information any more; the oldest go. */
const noticesMax = 20;

export function createNotices(tell: (notices: readonly Notice[]) => void): Notices {
  let held: readonly Notice[] = [];
  const put = (next: readonly Notice[]) => {
    held = next.slice(-noticesMax);
    tell(held);
  };
  return {
    add(notice) {
      const id = [notice.type, notice.conversation, notice.account, notice.detail].join('/');
      if (!held.some((one) => one.id === id)) put([...held, { ...notice, id }]);
    },
    withdraw(type) {
      if (held.some((one) => one.type === type)) put(held.filter((one) => one.type !== type));
    },
    dismiss: (id) => put(held.filter((one) => one.id !== id)),
    all: () => held,
  };
}
