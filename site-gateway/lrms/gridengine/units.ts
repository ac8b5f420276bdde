/** Numbers as Grid Engine writes them. */

const BINARY = 'KMGTPE';
const DECIMAL = 'kmgtpe';

/** `20.987G`, `64M` (of 1024), `5k` (of 1000), `4`, `4.000` -> whole bytes; infinity for `infinity`, undefined for anything else. */
export function parseBytes(text: string): number | undefined {
  if (/^infinity$/i.test(text)) return Number.POSITIVE_INFINITY;
  const [, number, unit = ''] = /^(\d+(?:\.\d+)?)([A-Za-z]?)$/.exec(text) ?? [];
  if (number === undefined) return undefined;
  if (unit === '') return Math.floor(Number(number));
  const [base, units] = BINARY.includes(unit) ? [1_024, BINARY] : [1_000, DECIMAL];
  // Halves of bytes come of `1.953G`, and no offer can say them.
  return units.includes(unit)
    ? Math.floor(Number(number) * base ** (units.indexOf(unit) + 1))
    : undefined;
}

/** `1:00:00`, `90` (seconds) or `infinity` -> ms; infinity for no limit. */
export function parseTime(text: string): number {
  if (!/^\d+(?::\d+){0,2}$/.test(text)) return Number.POSITIVE_INFINITY;
  return text.split(':').reduce((sum, part) => sum * 60 + Number(part), 0) * 1_000;
}
