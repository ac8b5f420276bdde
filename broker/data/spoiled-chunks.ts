import { GridError } from '../../core/errors.ts';
import type { OpenKeeper } from './staging-accounts.ts';

/** A store some of whose chunks may not be what their names say. */
export interface Doubted {
  readonly keeper: Pick<OpenKeeper, 'store'>;
  /** Digests of trees that are taken to be all there: another set once a chunk of any may not be. */
  whole: ReadonlySet<string>;
  /** Ends when chunks that were doubted have been read; one call after the other. */
  healing: Promise<unknown>;
}

/** What a look at chunks has found. */
export interface Healed {
  /** Those that were taken out. */
  readonly spoiled: readonly string[];
  /** How many were as they should be; the others are not there. */
  readonly sound: number;
  /** Why one of the others could not be looked at, where that is so. */
  readonly unread?: unknown;
}

/** Throws where one could not be looked at: STAGING_UNAVAILABLE. */
export function allRead(healed: Healed): Healed {
  if (healed.unread !== undefined) throw healed.unread;
  return healed;
}

/** Reads chunks and has those taken out that are not what their name says. */
export function heal(
  store: Doubted,
  digests: readonly string[],
  takeOut: (digest: string) => Promise<void>,
): Promise<Healed> {
  // Whoever asks has seen one that is not right, and who sends its files again must be asked for it.
  store.whole = new Set();
  // Two at once could both find a chunk spoiled, and the later one take out what was sent again meanwhile.
  const healed = store.healing.then(() => takeOutSpoiled(store, digests, takeOut));
  store.healing = healed.catch(() => undefined);
  return healed;
}

async function takeOutSpoiled(
  store: Doubted,
  digests: readonly string[],
  takeOut: (digest: string) => Promise<void>,
): Promise<Healed> {
  const spoiled: string[] = [];
  let sound = 0;
  let unread: unknown;
  for (const digest of new Set(digests)) {
    const failure: unknown = await store.keeper.store.get(digest).then(
      () => undefined,
      (error: unknown) => error,
    );
    const code = failure instanceof GridError ? failure.code : undefined;
    if (code === 'CHUNK_CORRUPT') {
      // Trees that were named while it was read may have it.
      store.whole = new Set();
      await takeOut(digest);
      spoiled.push(digest);
    } else if (failure === undefined) sound += 1;
    else if (code !== 'CHUNK_MISSING') unread ??= failure;
  }
  return unread === undefined ? { spoiled, sound } : { spoiled, sound, unread };
}
