/** Work with one key is done one after the other. */
export function openTurns(): <T>(key: string, work: () => Promise<T>) => Promise<T> {
  const underway = new Map<string, Promise<unknown>>();
  return async (key, work) => {
    while (underway.has(key)) await underway.get(key)?.catch(() => undefined);
    const running = work();
    underway.set(key, running);
    try {
      return await running;
    } finally {
      underway.delete(key);
    }
  };
}
