import { type Distribution, draw } from '../../core/simulate/distribution.ts';
import { openRandom, type Random } from '../../core/simulate/random.ts';

/**
 * The synthetic trace of examples/simulate: the traces of the Parallel Workloads Archive are not ours to give away.
 * It has what real ones have: days and nights, powers of two, users of very different zeal, requested times that are
 * round and mostly far too long, jobs that fail or are cancelled, and -1 where nothing is known.
 */
export function madeTrace(): string {
  const random = openRandom(20_261_125);
  const jobs: string[] = [];
  let submit = 0;
  for (let number = 1; number <= JOBS; number += 1) {
    submit += gapAt(submit, random);
    jobs.push(jobLine(number, Math.round(submit), random));
  }
  return `${[...HEADER, ...jobs].join('\n')}\n`;
}

const JOBS = 400;

const HEADER = [
  '; Version: 2.2',
  '; Computer: none; every job here is made up',
  '; Installation: SYNTHETIC, written by test/setup/made-trace.ts of Hanse',
  '; Note: not a record of any real machine or of anybody’s work',
  `; MaxJobs: ${JOBS}`,
  `; MaxRecords: ${JOBS}`,
  '; MaxNodes: 128',
  '; MaxProcs: 128',
  '; UnixStartTime: 0',
  '; TimeZoneString: UTC',
];

const GAP: Distribution = { kind: 'exp', meanMs: 700 };
const RUN: Distribution = { kind: 'lognormal', medianMs: 2_400, sigma: 1.5 };
const SIZES = [1, 1, 1, 1, 2, 4, 4, 8, 8, 16, 16, 32, 64];
const REQUESTS = [1_800, 3_600, 7_200, 14_400, 28_800, 43_200, 86_400, 172_800];

/** Seconds to the next job: nights are three times as quiet as days. */
function gapAt(seconds: number, random: Random): number {
  const hour = (seconds / 3_600) % 24;
  return draw(GAP, random) * (hour >= 8 && hour < 20 ? 1 : 3);
}

const oneOf = (values: readonly number[], random: Random): number =>
  values[Math.floor(random.next() * values.length)] ?? 1;

function jobLine(number: number, submit: number, random: Random): string {
  const fate = random.next();
  const status = fate < 0.03 ? 5 : fate < 0.1 ? 0 : 1;
  const run = status === 5 ? -1 : Math.max(1, Math.round(draw(RUN, random)));
  const size = oneOf(SIZES, random);
  const requested = REQUESTS.find((limit) => limit >= run * (1 + 2 * random.next())) ?? 172_800;
  const asked = random.next() < 0.9 ? requested : -1;
  // Zeal falls off as one over the rank of the user.
  const user = Math.ceil(20 ** random.next());
  const memory = random.next() < 0.5 ? 524_288 : -1;
  const cpus = status === 5 ? -1 : size;
  const fields = [number, submit, -1, run, cpus, -1, -1, size, asked, memory, status, user];
  return [...fields, 1 + (user % 3), -1, 1, -1, -1, -1].join(' ');
}
