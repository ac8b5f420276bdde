import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { GridError } from '../../core/errors.ts';
import { dn, type VoName, voName } from '../../core/ids.ts';
import type { Resources } from '../../core/job/spec.ts';
import { parseSwf, type Trace } from '../../core/simulate/swf.ts';
import { type DraftJob, MAX_SIM_TASKS } from '../../core/simulate/workload.ts';
import { counted, formatBytes } from '../../core/units.ts';
import { readFailure } from '../staging/file-errors.ts';

const GIB = 2 ** 30;

/** The largest trace, unpacked; the largest of the archive has a quarter of that. */
const MAX_TRACE_BYTES = 2 ** 29 - 2 ** 20;

/** Reads a trace, which may be gzipped as those of the archive are; throws TRACE_INVALID with every bad line. */
export function readTrace(file: string): Trace {
  const trace = parseSwf(readText(file), file);
  const { problems, jobs } = trace;
  if (problems.length > 0) {
    const count = counted(problems.length, 'bad line');
    throw new GridError('TRACE_INVALID', `${file} has ${count}`, { problems });
  }
  if (jobs.length === 0) throw new GridError('TRACE_INVALID', `${file} has no job that ran`);
  if (jobs.length > MAX_SIM_TASKS)
    throw new GridError(
      'TRACE_INVALID',
      `${file} has ${jobs.length} jobs, at most ${MAX_SIM_TASKS}`,
    );
  return trace;
}

function readText(file: string): string {
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch (error) {
    throw readFailure(file, error);
  }
  const isZipped = bytes[0] === 0x1f && bytes[1] === 0x8b;
  return (isZipped ? unpack(bytes, file) : bytes).toString('latin1');
}

function unpack(bytes: Buffer, file: string): Buffer {
  try {
    return gunzipSync(bytes, { maxOutputLength: MAX_TRACE_BYTES });
  } catch (error) {
    const most = formatBytes(MAX_TRACE_BYTES);
    const words = `${file} cannot be unpacked: it is damaged, or has more than ${most}`;
    throw new GridError('TRACE_INVALID', words, { cause: error });
  }
}

/** All jobs of traces belong to one VO; its groups and users are the trace's numbers. */
const TRACE_VO: VoName = voName('trace');

/** The first job arrives at 0. A job that asked for no walltime has as long as the longest of them needs. */
export function traceJobs(trace: Trace, horizonMs: number, slowest: number): readonly DraftJob[] {
  const firstMs = trace.jobs.reduce((least, job) => Math.min(least, job.submitAtMs), Infinity);
  const longestMs = trace.jobs.reduce((most, job) => Math.max(most, job.runMs), 0);
  return trace.jobs
    .map((job) => ({
      submitAtMs: job.submitAtMs - firstMs,
      runtimesMs: [job.runMs],
      ask: {
        owner: dn(`/CN=user-${job.user}`),
        vo: TRACE_VO,
        fqans: [`/trace/group-${job.group}`],
        resources: resourcesOf({
          cpus: job.cpus,
          memoryBytes: job.memoryBytes ?? GIB * job.cpus,
          gpus: 0,
          walltimeMs: job.walltimeMs ?? Math.ceil(longestMs / slowest),
        }),
        requirements: '',
        rank: '',
        sites: [],
        excludeSites: [],
      },
    }))
    .filter(({ submitAtMs }) => submitAtMs < horizonMs);
}

/** What a reader should know of it. */
export function remarksOn(name: string, { header, jobs, skipped }: Trace): readonly string[] {
  const machine = header.get('MaxProcs') ?? header.get('MaxNodes');
  const made = machine === undefined ? '' : `, from a machine of ${machine} processors`;
  return [
    `${name}: ${counted(jobs.length, 'job')}${made}`,
    ...[...skipped].map(([why, count]) => `${name}: ${count} left out: ${why}`),
  ];
}

/** What a simulated task needs: no GPU model, scratch space or licence. */
export const resourcesOf = (
  wanted: Pick<Resources, 'cpus' | 'memoryBytes' | 'gpus' | 'walltimeMs'>,
): Resources => ({ ...wanted, nodes: 1, diskBytes: 0, gpuModel: '', licences: {} });
