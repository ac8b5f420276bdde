import { type Ask, formatAsk, parseAsk } from '../core/match/ask.ts';
import type { ShareRecord, ShareTree } from '../core/share/share-tree.ts';
import type { ChangeSet } from './change-set.ts';

/** All that ask for the same: matched once, filled one by one. */
export interface AskClass {
  readonly askId: number;
  readonly ask: Ask;
  /** Who is charged. */
  readonly share: ShareRecord;
}

/** The ask classes of the ledger. */
export interface AskClasses {
  /** The class of an ask; a new one is written with the change. */
  of(set: ChangeSet, ask: Ask): AskClass;
  /** A class that the ledger refers to. */
  get(askId: number): AskClass;
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
  let lastId = rows.reduce((last, { id }) => Math.max(last, id), 0);
  return {
    of: (set, ask) => {
      const text = formatAsk(ask);
      const known = byText.get(text);
      if (known !== undefined) return known;
      lastId += 1;
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
  };
}
