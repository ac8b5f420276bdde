import { open } from 'node:fs/promises';
import {
  type BatchEnd,
  type JobOwners,
  keyOf,
  type MissingElement,
} from '../batch/batch-system.ts';
import { jobName } from '../batch/job-name.ts';
import { parseTime } from './units.ts';

/** The accounting file of a cell: a line for each job that has ended, the last ones at its end; see accounting(5). */

/** As much of it as is read: some 100,000 jobs. */
const TAIL_BYTES = 32 * 2 ** 20;

/** What it says of these elements, by `keyOf`; undefined where there is none that can be read. */
export async function readAccounting(
  file: string,
  elements: readonly MissingElement[],
  owners: Pick<JobOwners, 'isOwn'>,
): Promise<ReadonlyMap<string, BatchEnd> | undefined> {
  const text = await tailOf(file);
  return text === undefined ? undefined : parseAccounting(text, elements, owners);
}

async function tailOf(file: string): Promise<string | undefined> {
  try {
    await using handle = await open(file);
    const { size } = await handle.stat();
    const length = Math.min(size, TAIL_BYTES);
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, size - length);
    return buffer.toString('utf8', 0, bytesRead);
  } catch {
    return undefined;
  }
}

/**
 * A request may hold ends of lines, and so whole lines that whoever made it has thought of: they look like any other. Where an
 * element has several ends that differ, and was not put back, none of them is believed.
 */
export function parseAccounting(
  text: string,
  elements: readonly MissingElement[],
  owners: Pick<JobOwners, 'isOwn'>,
): ReadonlyMap<string, BatchEnd> {
  const tokens = new Map(elements.map(({ token }) => [jobName(token), token]));
  const asked = new Map(elements.map((element) => [keyOf(element), element]));
  const lines = new Map<string, Set<string>>();
  for (const line of text.split('\n')) {
    const fields = line.split(':');
    const token = tokens.get(fields[4] ?? '');
    if (token === undefined || !isOfJob(fields)) continue;
    // Of an array the number of the task is the first that follows the slots.
    const element = asked.get(keyOf({ token, index: Number(fields[35]) || 1 }));
    const isOwn = owners.isOwn(token, { name: fields[3] ?? '' });
    if (element === undefined || !isOwn || !hasNumber(element, fields[5])) continue;
    const key = keyOf(element);
    lines.set(key, (lines.get(key) ?? new Set()).add(line));
  }
  return new Map([...lines].flatMap(([key, some]) => believed(key, [...some].map(endOf))));
}

/** Of a line that is not cut short; a request may hold more separators. */
const FIELDS = 45;

/** Whether it is whole, and of no slave of a parallel job: that has a name after its task's number. */
const isOfJob = (fields: readonly string[]): boolean =>
  fields.length >= FIELDS && fields.at(-4) === 'NONE';

/** Whether it is the job of the element, as far as that is known. */
const hasNumber = ({ job }: MissingElement, number: string | undefined): boolean =>
  job === '' || job.split('.')[0] === number;

/** What was started again after it was put back did nothing. */
function believed(
  key: string,
  ends: readonly BatchEnd[],
): readonly (readonly [string, BatchEnd])[] {
  const end = ends.find(({ kind }) => kind === 'requeued') ?? ends[0];
  const isDoubtful = ends.length > 1 && end?.kind !== 'requeued';
  return end === undefined || isDoubtful ? [] : [[key, end]];
}

/** Codes of `failed`: it was put back; it was ended for a limit; it was ended by a signal. Others: it never began. */
const PUT_BACK = [24, 25];
const OVER_LIMIT = 37;
const AFTER_JOB = 100;
const KILLED = [137, 143];

function endOf(line: string): BatchEnd {
  const fields = line.split(':');
  const number = (at: number): number => Number(fields[at]);
  const [failed, exitStatus, wallSeconds] = [number(11), number(12), number(13)];
  const cpuMs = Math.round((number(14) + number(15)) * 1_000);
  const usage = {
    cpuMs: Math.max(cpuMs, Math.round(number(36) * 1_000) || 0),
    wallMs: wallSeconds * 1_000,
    peakMemoryBytes: number(16) * 1_024,
  };
  const host = fields[1] ?? '';
  const words = failed === 0 ? `exit ${exitStatus} on ${host}` : `failed ${failed} on ${host}`;
  const kind = kindOf({ failed, exitStatus, wallMs: usage.wallMs, request: requestOf(fields) });
  return { kind, words, usage };
}

/** The job's request as it was made; it may hold the separator. */
const requestOf = (fields: readonly string[]): string => fields.slice(39, -5).join(':');

interface Ended {
  readonly failed: number;
  readonly exitStatus: number;
  readonly wallMs: number;
  readonly request: string;
}

function kindOf({ failed, exitStatus, wallMs, request }: Ended): BatchEnd['kind'] {
  if (PUT_BACK.includes(failed)) return 'requeued';
  if (failed === OVER_LIMIT) {
    const limit = /\bh_rt=([\d:]+)/.exec(request)?.[1];
    return limit !== undefined && wallMs + 1_000 >= parseTime(limit) ? 'walltime' : 'memory';
  }
  // The script survives a kill of its task: that all of it was killed is the work of qdel.
  if (failed === AFTER_JOB && KILLED.includes(exitStatus)) return 'cancelled';
  return failed === 0 || failed === AFTER_JOB ? 'ended' : 'not-begun';
}
