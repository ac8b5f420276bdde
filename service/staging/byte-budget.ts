/** Bounds what is in memory or in flight. Whoever asks first is served first. */
export interface ByteBudget {
  /** Waits until `bytes` fit; more than the whole budget has it to itself. Whoever had them before asks `first`. */
  take(bytes: number, place?: 'first' | 'last'): Promise<void>;
  give(bytes: number): void;
}

/** `totalBytes` is looked at whenever bytes are taken or given, and may change in between. */
export function openByteBudget(totalBytes: () => number): ByteBudget {
  let taken = 0;
  const waiting: { readonly bytes: number; readonly resume: () => void }[] = [];
  const fits = (bytes: number): boolean => taken === 0 || taken + bytes <= totalBytes();
  return {
    take: (bytes, place = 'last') => {
      if (waiting.length === 0 && fits(bytes)) {
        taken += bytes;
        return Promise.resolve();
      }
      const { promise, resolve: resume } = Promise.withResolvers<void>();
      if (place === 'first') waiting.unshift({ bytes, resume });
      else waiting.push({ bytes, resume });
      return promise;
    },
    give: (bytes) => {
      taken -= bytes;
      for (let next = waiting[0]; next !== undefined && fits(next.bytes); next = waiting[0]) {
        waiting.shift();
        taken += next.bytes;
        next.resume();
      }
    },
  };
}
