import { type Ask, formatAsk, parseAsk } from '../../core/match/ask.ts';
import type { ShareTree } from '../../core/share/share-tree.ts';
import type { ChangeSet } from '../jobs/change-set.ts';
import type { AskClass } from './ask-class.ts';

/** The ask classes of the ledger. */
export interface AskClasses {
  /** The class of an ask; a new one is written with the change. */
  of(set: ChangeSet, ask: Ask): AskClass;
  /** A class that the ledger refers to. */
  get(askId: number): AskClass;
  /** Begins a period anew, of which `forget` speaks. */
  beginPeriod(): void;
  /** Forgets classes that the ledger refers to no more, but for those that were asked for in this period; gives which. */
  forget(askIds: readonly number[]): readonly number[];
}

export function openAskClasses(
  rows: readonly { readonly id: number; readonly ask: string }[],
  shares: ShareTree,
): AskClasses {
  const classOf = (askId: number, ask: Ask): AskClass => ({
    askId,
    ask,
    share: shares.leafOf(ask),
  });
  const byId = new Map(rows.map(({ id, ask }) => [id, classOf(id, parseAsk(ask))]));
  const byText = new Map([...byId.values()].map((known) => [formatAsk(known.ask), known]));
  const wanted = new Set<number>();
  let lastId = rows.reduce((last, { id }) => Math.max(last, id), 0);
  return {
    of: (set, ask) => {
      const text = formatAsk(ask);
      const known = byText.get(text);
      if (known !== undefined) {
        wanted.add(known.askId);
        return known;
      }
      lastId += 1;
      wanted.add(lastId);
      const fresh = classOf(lastId, ask);
      byId.set(lastId, fresh);
      byText.set(text, fresh);
      set.touchAsk({ id: lastId, ask: text });
      return fresh;
    },
    get: (askId) => {
      const known = byId.get(askId);
      if (known === undefined) throw new TypeError(`the ledger has no ask ${askId}`);
      return known;
    },
    beginPeriod: () => wanted.clear(),
    forget: (askIds) => {
      const gone = askIds.filter((id) => !wanted.has(id));
      for (const id of gone) {
        const known = byId.get(id);
        const text = known === undefined ? '' : formatAsk(known.ask);
        byId.delete(id);
        // Of two rows that ask for the same the other one may be known by it.
        if (byText.get(text) === known) byText.delete(text);
      }
      return gone;
    },
  };
}
