/** Bounds what is in memory or in flight. Whoever asks first is served first. */
export interface ByteBudget {
  /** Waits until `bytes` fit; more than the whole budget has it to itself. */
  take(bytes: number): Promise<void>;
  give(bytes: number): void;
}

/** `totalBytes` is looked at whenever bytes are taken or given, and may change in between. */
export function openByteBudget(totalBytes: () => number): ByteBudget {
  let taken = 0;
  const waiting: { readonly bytes: number; readonly resume: () => void }[] = [];
  const fits = (bytes: number): boolean => taken === 0 || taken + bytes <= totalBytes();
  return {
    take: (bytes) => {
      if (waiting.length === 0 && fits(bytes)) {
        taken += bytes;
        return Promise.resolve();
      }
      return new Promise((resume) => waiting.push({ bytes, resume }));
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
