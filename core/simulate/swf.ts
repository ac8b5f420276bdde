import type { Problem } from '../errors.ts';

/**
 * The Standard Workload Format, version 2.2, of the Parallel Workloads Archive: comments with `;`, of which those like
 * `; MaxProcs: 128` describe the machine, then a job a line in 18 fields, -1 where nothing is known.
 */
export interface Trace {
  /** Of the header, by name: `MaxProcs`. */
  readonly header: ReadonlyMap<string, string>;
  readonly jobs: readonly TraceJob[];
  /** Jobs that never ran or of which too little is known, by why. */
  readonly skipped: ReadonlyMap<string, number>;
  /** Lines that are no jobs. */
  readonly problems: readonly Problem[];
}

/** A job of a trace that did run. */
interface TraceJob {
  readonly number: number;
  readonly submitAtMs: number;
  readonly runMs: number;
  readonly cpus: number;
  /** What it asked for; undefined where the trace does not say. */
  readonly walltimeMs: number | undefined;
  /** Of all its processors together; undefined where the trace does not say. */
  readonly memoryBytes: number | undefined;
  readonly user: number;
  readonly group: number;
}

const FIELDS = [
  'job number',
  'submit time',
  'wait time',
  'run time',
  'processors',
  'average CPU time',
  'used memory',
  'requested processors',
  'requested time',
  'requested memory',
  'status',
  'user',
  'group',
  'executable',
  'queue',
  'partition',
  'preceding job',
  'think time',
] as const;

/** Reading ends at so many bad lines: it is another kind of file then. */
const MAX_PROBLEMS = 20;

/** The lines of a trace; `name` is what problems call the file. */
export function parseSwf(text: string, name: string): Trace {
  const header = new Map<string, string>();
  const jobs: TraceJob[] = [];
  const skipped = new Map<string, number>();
  const problems: Problem[] = [];
  for (const [index, line] of text.split('\n').entries()) {
    const trimmed = line.trim();
    if (trimmed === '') continue;
    if (trimmed.startsWith(';')) {
      const [, key, value] = /^;+\s*([A-Za-z]\w*):\s*(.*)$/.exec(trimmed) ?? [];
      if (key !== undefined && !header.has(key)) header.set(key, value ?? '');
      continue;
    }
    const read = readLine(trimmed);
    if (typeof read === 'object') jobs.push(read);
    else if (read.startsWith('skip ')) count(skipped, read.slice('skip '.length));
    else if (problems.push({ where: `${name}:${index + 1}`, message: read }) >= MAX_PROBLEMS) break;
  }
  return { header, jobs, skipped, problems };
}

const count = (counts: Map<string, number>, what: string): void =>
  void counts.set(what, (counts.get(what) ?? 0) + 1);

/** A job, `skip` with why it is left out, or what is wrong with the line. */
function readLine(line: string): TraceJob | string {
  const words = line.split(/\s+/);
  if (words.length !== FIELDS.length)
    return `a job has ${FIELDS.length} fields, this line has ${words.length}`;
  const values = words.map(Number);
  const bad = words.findIndex((word) => !/^[+-]?\d+(?:\.\d*)?$/.test(word));
  if (bad !== -1)
    return `field ${bad + 1} (${FIELDS[bad] ?? ''}) '${shown(words[bad])}' is no number`;
  const at = (field: (typeof FIELDS)[number]): number => values[FIELDS.indexOf(field)] ?? -1;
  if (at('submit time') < 0) return `field 2 (submit time) '${words[1] ?? ''}' is negative`;
  return jobOf(at);
}

const shown = (word = ''): string => (word.length > 20 ? `${word.slice(0, 20)}…` : word);

function jobOf(at: (field: (typeof FIELDS)[number]) => number): TraceJob | string {
  // 2, 3 and 4 are parts of a job that has a line of its own for the whole.
  if ([2, 3, 4].includes(at('status'))) return 'skip parts of jobs that were checkpointed';
  if (at('run time') <= 0)
    return at('status') === 5 ? 'skip cancelled before they ran' : 'skip without a run time';
  const cpus = at('requested processors') > 0 ? at('requested processors') : at('processors');
  if (cpus <= 0) return 'skip without processors';
  const kib = at('requested memory') > 0 ? at('requested memory') : undefined;
  return {
    number: at('job number'),
    submitAtMs: at('submit time') * 1_000,
    runMs: at('run time') * 1_000,
    cpus,
    walltimeMs: at('requested time') > 0 ? at('requested time') * 1_000 : undefined,
    memoryBytes: kib === undefined ? undefined : kib * 1_024 * cpus,
    user: at('user'),
    group: at('group'),
  };
}
