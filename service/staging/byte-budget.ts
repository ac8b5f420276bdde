/** Bounds what is in memory or in flight. Whoever asks first is served first. */
export interface ByteBudget {
  /** Waits until `bytes` fit; more than the whole budget counts as the whole budget. */
  take(bytes: number): Promise<void>;
  give(bytes: number): void;
}

export function openByteBudget(totalBytes: number): ByteBudget {
  let free = totalBytes;
  const waiting: { readonly bytes: number; readonly resume: () => void }[] = [];
  const capped = (bytes: number): number => Math.min(bytes, totalBytes);
  return {
    take: (bytes) => {
      const wanted = capped(bytes);
      if (waiting.length === 0 && wanted <= free) {
        free -= wanted;
        return Promise.resolve();
      }
      return new Promise((resume) => waiting.push({ bytes: wanted, resume }));
    },
    give: (bytes) => {
      free += capped(bytes);
      for (let next = waiting[0]; next !== undefined && next.bytes <= free; next = waiting[0]) {
        waiting.shift();
        free -= next.bytes;
        next.resume();
      }
    },
  };
}
