import { BatchSilence, type CommandResult } from '../batch/batch-command.ts';
import type { Field, Listing } from './template.ts';

/** A job as the batch system lists it; '' for what it does not say. */
export interface Row extends Readonly<Record<Field, string>> {
  /** All that was printed about it. */
  readonly text: string;
}

/**
 * Jobs in what a command printed, in the order in which they stand there. Throws BatchSilence where it failed and did not
 * say that there is nothing, and where something was printed that the template does not know: half a line, another
 * language, a page of a proxy.
 */
export function readListing(
  listing: Listing,
  { ok, stdout, stderr }: CommandResult,
  program: string,
): readonly Row[] {
  if (!ok && listing.none?.test(stderr) !== true)
    throw new BatchSilence(
      lastLine(stderr) || lastLine(stdout) || `${program} failed without a word`,
    );
  const text = listing.unfold ? stdout.replaceAll('\n\t', '') : stdout;
  if (text !== '' && !text.endsWith('\n')) throw unreadable(program, text.slice(-80));
  const pieces = piecesOf(listing, text).filter((piece) => piece.trim() !== '');
  return pieces
    .filter((piece) => listing.ignore?.test(piece) !== true)
    .map((piece) => rowOf(listing, piece, program));
}

/** Lines, or the lines from one beginning to the next. */
function piecesOf({ record }: Listing, text: string): readonly string[] {
  const lines = text.split('\n');
  if (record === undefined) return lines;
  const pieces: string[] = [];
  for (const line of lines) {
    const before = pieces.at(-1);
    if (before === undefined || record.test(line)) pieces.push(line);
    else pieces[pieces.length - 1] = `${before}\n${line}`;
  }
  return pieces;
}

function rowOf({ line, record, fields = {} }: Listing, piece: string, program: string): Row {
  const groups = line?.exec(piece)?.groups;
  const field = (name: Field): string =>
    (groups === undefined ? fields[name]?.exec(piece)?.[1] : groups[name])?.trim() ?? '';
  const isRow = record === undefined ? groups !== undefined : record.test(piece);
  const row = {
    job: field('job'),
    name: field('name'),
    state: field('state'),
    index: field('index'),
    reason: field('reason'),
    cputime: field('cputime'),
    walltime: field('walltime'),
    peak: field('peak'),
    text: piece,
  };
  if (!isRow || row.job === '' || row.state === '') throw unreadable(program, piece);
  return row;
}

/** `1-02:03:04`, `02:03:04.5`, `03:04` or `184.5` seconds -> ms; 0 where it is nothing of these. */
export function parseClock(text: string): number {
  const [, days = '0', clock = ''] = /^(?:(\d+)-)?([\d:.]+)/.exec(text) ?? [];
  const time = clock.split(':').reduce((sum, part) => sum * 60 + Number(part), 0);
  const seconds = Number(days) * 86_400 + time;
  return Number.isFinite(seconds) ? Math.round(seconds * 1_000) : 0;
}

export const lastLine = (text: string): string => text.trim().split('\n').at(-1) ?? '';

export const unreadable = (program: string, text: string): BatchSilence =>
  new BatchSilence(`${program} said what cannot be understood: '${text.slice(0, 80)}'`);
