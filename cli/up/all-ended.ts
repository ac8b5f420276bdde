/** Like Promise.all, but waits for every start to end: what still starts when one has failed would be left behind. */
export async function allEnded(starts: readonly Promise<void>[]): Promise<void> {
  const ends = await Promise.allSettled(starts);
  const failed = ends.find((end) => end.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}
