import stringWidth from 'string-width';
import { isFinal, type JobState } from '../core/job/state.ts';
import type { TaskCounts } from '../core/job/summary.ts';
import { formatDuration } from '../core/units.ts';
import type { Palette } from './palette.ts';

/** A narrower terminal breaks lines that tables of ours have; programs that read one never see so few. */
const NARROW = 80;

/**
 * Lines without frames: columns two spaces apart, headings in dim capitals; long cells of the last column stay whole. Where a
 * narrow terminal of so many `columns` would break them, each row is a paragraph: its first cell, the others below it by name.
 */
export function table(
  headings: readonly string[],
  rows: readonly (readonly string[])[],
  colours: Palette,
  columns = NARROW,
): string {
  const lines = drawn(headings, rows, colours);
  const width = widest(lines.split('\n').map((line) => stringWidth(line)));
  if (columns >= NARROW || width <= columns) return lines;
  return rows
    .map(([title = '', ...cells]) => {
      const named = cells.map((cell, at) => [headings[at + 1] ?? '', cell] as const);
      return [title, ...facts(named, colours).split('\n')].join('\n  ').trimEnd();
    })
    .join('\n');
}

function drawn(
  headings: readonly string[],
  rows: readonly (readonly string[])[],
  colours: Palette,
): string {
  const head = headings.map((heading) => colours.dim(heading.toUpperCase()));
  const lines = [head, ...rows].flatMap(linesOf);
  const widths = headings.map((_, at) =>
    widest(lines.map((cells) => stringWidth(cells[at] ?? ''))),
  );
  const padded = (cell: string, at: number): string =>
    cell + ' '.repeat((widths[at] ?? 0) - stringWidth(cell));
  return lines.map((cells) => cells.map(padded).join('  ').trimEnd()).join('\n');
}

/** A row whose cells have several lines, as rows. */
function linesOf(row: readonly string[]): readonly (readonly string[])[] {
  const cells = row.map((cell) => cell.split('\n'));
  const height = widest(cells.map(({ length }) => length));
  return Array.from({ length: height }, (_, at) => cells.map((lines) => lines[at] ?? ''));
}

/** There may be more than a call takes arguments. */
const widest = (widths: readonly number[]): number =>
  widths.reduce((most, width) => Math.max(most, width), 0);

/** `name: value` lines with the values below one another; empty values are left out. */
export function facts(pairs: readonly (readonly [string, string])[], colours: Palette): string {
  const given = pairs.filter(([, value]) => value !== '');
  const width = Math.max(0, ...given.map(([name]) => name.length));
  return given
    .map(([name, value]) => {
      const [first = '', ...more] = value.split('\n');
      const indent = ' '.repeat(width + 2);
      return [
        `${colours.dim(name.padEnd(width))}  ${first}`,
        ...more.map((line) => indent + line),
      ].join('\n');
    })
    .join('\n');
}

/** A state in the colour of its news. */
export function stateText(state: JobState, colours: Palette): string {
  if (state === 'done') return colours.good(state);
  if (state === 'failed') return colours.bad(state);
  if (state === 'held' || state === 'suspended') return colours.warn(state);
  return isFinal(state) || state === 'queued' ? colours.dim(state) : colours.strong(state);
}

/** `18/24 done`, with what else there is: `18/24 done, 2 failed`. */
export function countsText(counts: TaskCounts, tasks: number): string {
  const more = [
    [counts.active, 'active'],
    [counts.failed, 'failed'],
    [counts.held, 'held'],
    [counts.cancelled, 'cancelled'],
  ] as const;
  const parts = more.filter(([count]) => count > 0).map(([count, word]) => `${count} ${word}`);
  return [`${counts.done}/${tasks} done`, ...parts].join(', ');
}

/** How long ago, or nothing for never. */
export const agoText = (atMs: number, nowMs: number): string =>
  atMs === 0 ? '' : `${formatDuration(Math.max(0, nowMs - atMs))} ago`;

const two = (value: number): string => String(value).padStart(2, '0');

/** An instant in the reader's own time zone: `2026-11-23 09:15:02`. */
export function instantText(atMs: number): string {
  if (atMs === 0) return '';
  const at = new Date(atMs);
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return `${day} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}

/** `████████──` for a share from 0 to 1. */
export function bar(share: number, width: number): string {
  const full = Math.round(Math.min(1, Math.max(0, share)) * width);
  return '█'.repeat(full) + '─'.repeat(width - full);
}

/** Breaks lines between words; a word that is longer stays whole. */
export function wrap(text: string, width: number): string {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const last = lines.at(-1);
    if (last === undefined || last.length + 1 + word.length > width) lines.push(word);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines.join('\n');
}

/** Cuts at the end, with `…`. */
export const shorten = (text: string, length: number): string =>
  text.length <= length ? text : `${text.slice(0, Math.max(0, length - 1))}…`;
