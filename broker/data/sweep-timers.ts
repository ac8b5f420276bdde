import { background } from '../../service/background.ts';
import type { Log } from '../../service/log.ts';
import type { Book } from '../book.ts';
import type { LiveChunks } from './live-chunks.ts';

/** Of live outputs; longer than a gateway needs to send the next state or the results. */
export const BRIEF_MS = 3_600_000;
/** After a start. */
const FIRST_MS = 600_000;

interface TimesOfSweeps {
  readonly book: Pick<Book, 'log'>;
  readonly vos: readonly string[];
  readonly everyMs: number;
}

/** Passes over all stores, and between them over those with many live outputs; to be cleared. */
export function openTimers(
  { book, vos, everyMs }: TimesOfSweeps,
  stores: ReadonlyMap<string, { readonly vo: string; readonly live: LiveChunks }>,
  sweep: (vo: string) => Promise<unknown>,
): readonly NodeJS.Timeout[] {
  // A store that cannot be swept keeps no other one from it.
  const sweepEach = async (some: Iterable<string>): Promise<void> => {
    for (const vo of some)
      await sweep(vo).catch((error: unknown) =>
        book.log.error({ err: error, vo }, 'the store could not be swept'),
      );
  };
  const sweepAll = (): Promise<void> => sweepEach(vos);
  const sweepLive = (): Promise<void> =>
    sweepEach([...stores.values()].filter(({ live }) => live.isMuch()).map(({ vo }) => vo));
  return [
    setTimeout(
      () => background('sweep the stores', sweepAll(), book.log),
      Math.min(everyMs, FIRST_MS),
    ).unref(),
    often('sweep the stores', sweepAll, everyMs, book.log),
    often('sweep live outputs', sweepLive, Math.min(everyMs, BRIEF_MS / 2), book.log),
  ];
}

const often = (what: string, work: () => Promise<void>, ms: number, log: Log): NodeJS.Timeout =>
  setInterval(() => background(what, work(), log), ms).unref();
