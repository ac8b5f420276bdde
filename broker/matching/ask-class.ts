import type { Ask } from '../../core/match/ask.ts';
import type { ShareRecord } from '../../core/share/share-tree.ts';

/** All that ask for the same: matched once, filled one by one. */
export interface AskClass {
  readonly askId: number;
  readonly ask: Ask;
  /** Who is charged. */
  readonly share: ShareRecord;
}
