/** Runs pieces of work one after another, in the order in which they came; a failed one does not stop the next. */
export type WorkQueue = <T>(work: () => Promise<T>) => Promise<T>;

export function openWorkQueue(): WorkQueue {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const result = last.then(work, work);
    last = result;
    return result;
  };
}
