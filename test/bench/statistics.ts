/** The value below which `share` (0 to 1) of the values lie; values need not be sorted. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}

export const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

/** Two or three digits that matter, which is what such measurements carry. */
export const rounded = (value: number): number => Number(value.toPrecision(3));

/** Does `work` so many times, at most `inFlight` at a time. */
export async function manyTimes(
  inFlight: number,
  times: number,
  work: () => Promise<void>,
): Promise<void> {
  let begun = 0;
  const worker = async (): Promise<void> => {
    while (begun < times) {
      begun += 1;
      await work();
    }
  };
  await Promise.all(Array.from({ length: inFlight }, worker));
}

/** `part` of `whole` in percent. */
export const percent = (part: number, whole: number): number => rounded((100 * part) / whole);
