/** Sizes and durations as people write them, to bytes and milliseconds and back. */

const SIZE_FACTORS: Readonly<Record<string, number>> = {
  '': 1,
  B: 1,
  K: 2 ** 10,
  M: 2 ** 20,
  G: 2 ** 30,
  T: 2 ** 40,
  KI: 2 ** 10,
  MI: 2 ** 20,
  GI: 2 ** 30,
  TI: 2 ** 40,
  KIB: 2 ** 10,
  MIB: 2 ** 20,
  GIB: 2 ** 30,
  TIB: 2 ** 40,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
};

/** `512M`, `4 GiB`, `1.5G`, `2GB` -> bytes (K, M, G, T are binary; KB, MB, GB, TB decimal); undefined if unclear. */
export function parseBytes(text: string): number | undefined {
  const parts = /^(\d+(?:\.\d+)?)\s*([A-Za-z]*)$/.exec(text.trim());
  const factor = SIZE_FACTORS[(parts?.[2] ?? '?').toUpperCase()];
  if (parts === null || factor === undefined) return undefined;
  const bytes = Math.round(Number(parts[1]) * factor);
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

const DURATION_FACTORS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** The longest time that anything may be asked to last: a hundred years. */
export const LONGEST_MS = 36_500 * 86_400_000;

/** What is wrong with a duration of more than that, as the end of a sentence. */
export const TOO_LONG = `is too long: at most ${LONGEST_MS / 86_400_000}d`;

/**
 * `90s`, `30m`, `1h30m`, `2d`, `01:30:00` (h:m:s) -> milliseconds; undefined if unclear (a bare number is). However long it is:
 * who needs a number that can be reckoned with refuses more than LONGEST_MS.
 */
export function parseDuration(text: string): number | undefined {
  const trimmed = text.trim();
  const clock = /^(\d+):([0-5]?\d):([0-5]?\d)$/.exec(trimmed);
  if (clock !== null) {
    const [hours, minutes, seconds] = clock.slice(1).map(Number) as [number, number, number];
    return ((hours * 60 + minutes) * 60 + seconds) * 1_000;
  }
  if (!/^(?:\d+(?:\.\d+)?(?:ms|[smhd])\s*)+$/.test(trimmed)) return undefined;
  let total = 0;
  for (const [, amount, unit] of trimmed.matchAll(/(\d+(?:\.\d+)?)(ms|[smhd])/g)) {
    total += Number(amount) * (DURATION_FACTORS[unit ?? ''] ?? Number.NaN);
  }
  return Math.round(total);
}

/** Bytes for people: `1.5 GiB`, `640 KiB`, `12 B`. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes;
  let unit = 0;
  while (Math.abs(value) >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  const digits = unit === 0 || value >= 100 || Number.isInteger(value) ? 0 : 1;
  return `${value.toFixed(digits)} ${units[unit]}`;
}

/** Milliseconds for people: `85 ms`, `4.2 s`, `3m 05s`, `2h 10m`, `3d 4h`. */
export function formatDuration(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1_000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1_000);
  if (seconds < 3_600) return `${Math.floor(seconds / 60)}m ${two(seconds % 60)}s`;
  if (seconds < 86_400)
    return `${Math.floor(seconds / 3_600)}h ${two(Math.floor(seconds / 60) % 60)}m`;
  return `${Math.floor(seconds / 86_400)}d ${Math.floor(seconds / 3_600) % 24}h`;
}

/** The same in whole seconds, for what is counted in them: `37 s`, `3m 05s`. */
export const formatSeconds = (ms: number): string =>
  ms < 60_000 ? `${Math.round(ms / 1_000)} s` : formatDuration(ms);

/** Bytes for people beside others that they fall short of: exact (`2000M`) where both would read the same (`2 GiB`). */
export function formatBytesBeside(bytes: number, other: number): string {
  const text = formatBytes(bytes);
  const isAlike = text.replace('.0 ', ' ') === formatBytes(other).replace('.0 ', ' ');
  return isAlike && bytes !== other ? writeBytes(bytes) : text;
}

/** `1 file`, `2 files`. */
export const counted = (count: number, what: string): string =>
  `${count} ${what}${count === 1 ? '' : 's'}`;

/** `1 is free`, `2 are free`. */
export const countedFree = (count: number): string => `${count} ${count === 1 ? 'is' : 'are'} free`;

/** Bytes as `parseBytes` reads them back, exact: `1500M`. */
export function writeBytes(bytes: number): string {
  const units = ['B', 'K', 'M', 'G', 'T'];
  let value = bytes;
  let unit = 0;
  while (value % 1024 === 0 && value > 0 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${value}${units[unit]}`;
}

/** Milliseconds as `parseDuration` reads them back, exact: `1h30m`. */
export function writeDuration(ms: number): string {
  const parts: readonly (readonly [number, string])[] = [
    [86_400_000, 'd'],
    [3_600_000, 'h'],
    [60_000, 'm'],
    [1_000, 's'],
    [1, 'ms'],
  ];
  let rest = ms;
  let text = '';
  for (const [size, unit] of parts) {
    const count = Math.floor(rest / size);
    if (count > 0) text += `${count}${unit}`;
    rest -= count * size;
  }
  return text;
}

const two = (value: number): string => String(value).padStart(2, '0');

/** ms since the epoch -> `2026-11-23T09:16:05Z` (whole seconds, UTC). */
export function formatInstant(ms: number): string {
  const seconds = Math.floor(ms / 1_000);
  const day = Math.floor(seconds / 86_400);
  // Days to a date of the Gregorian calendar, by eras of 400 years that begin on 1 March.
  const shifted = day + 719_468;
  const era = Math.floor(shifted / 146_097);
  const ofEra = shifted - era * 146_097;
  const yearOfEra = Math.floor(
    (ofEra - Math.floor(ofEra / 1_460) + Math.floor(ofEra / 36_524) - Math.floor(ofEra / 146_096)) /
      365,
  );
  const ofYear =
    ofEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const fromMarch = Math.floor((5 * ofYear + 2) / 153);
  const date = ofYear - Math.floor((153 * fromMarch + 2) / 5) + 1;
  const month = fromMarch < 10 ? fromMarch + 3 : fromMarch - 9;
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0);
  const rest = seconds - day * 86_400;
  const clock = [Math.floor(rest / 3_600), Math.floor(rest / 60) % 60, rest % 60]
    .map(two)
    .join(':');
  return `${String(year).padStart(4, '0')}-${two(month)}-${two(date)}T${clock}Z`;
}
