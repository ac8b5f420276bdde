const UNITS = 'KMGTP';

/**
 * `1234kb`, `1.5 Gbytes`, `12M`, `64Mn`, `4096` -> bytes, all units binary as batch systems have them; 0 where it is no size.
 * `bare` is the unit of a number that has none, bytes for ''.
 */
export function parseMemory(text: string, bare = ''): number {
  const words = /^([\d.]+)\s*([kmgtp])?i?b?(?:ytes)?[+nc]?$/i;
  const [, number = '0', unit = bare] = words.exec(text) ?? [];
  const bytes = Number(number) * 1_024 ** (unit === '' ? 0 : UNITS.indexOf(unit.toUpperCase()) + 1);
  return Number.isFinite(bytes) ? Math.round(bytes) : 0;
}
