import { type ErrorCode, GridError } from '../../core/errors.ts';
import type { JobSpec } from '../../core/job/spec.ts';
import type { WhyJobResponse } from '../../proto/gen/grid/v1/broker.ts';
import type { CheckedJob } from '../../service/documents/check-jobs.ts';
import { specToWire } from '../../service/rpc/wire.ts';
import type { Context } from '../context.ts';
import { whyText } from './why.ts';
import { writeSpec } from './write-spec.ts';

/** `grid submit --dry-run`: the jobs on stdout, ready to be submitted, and on stderr what the sites say to them. */
export async function showDryRun(context: Context, jobs: readonly CheckedJob[]): Promise<number> {
  const specs = jobs.map(({ spec }) => spec);
  const asked = await askSites(context, specs);
  const written = specs.map((spec) => writeSpec(spec));
  const { terminal, colours } = context;
  if (context.json) {
    terminal.out(
      JSON.stringify(written.map((spec, at) => ({ spec, why: asked.whys[at] ?? null }))),
    );
  } else {
    const { stringify } = await import('yaml');
    terminal.out(written.map((spec) => stringify(spec).trimEnd()).join('\n---\n'));
    for (const [at, why] of asked.whys.entries()) {
      const name = specs.length === 1 ? '' : `${specs[at]?.name}: `;
      const look = { colours, columns: terminal.columns, nowMs: Date.now() };
      terminal.note(`\n${name}${whyText(why, look)}`);
    }
  }
  if (asked.unasked !== '') terminal.note(`the sites were not asked: ${asked.unasked}`);
  return 0;
}

interface Asked {
  /** One per job; none where the broker could not be asked. */
  readonly whys: readonly WhyJobResponse[];
  /** Why it could not be; '' where it could. */
  readonly unasked: string;
}

/** Nothing is wrong with the jobs then. */
const CANNOT_ASK: readonly ErrorCode[] = [
  'NOT_CONFIGURED',
  'CREDENTIAL_MISSING',
  'KEY_EXPOSED',
  'KEY_LOCKED',
  'TRUST_MISSING',
  'UNAUTHENTICATED',
  'UNAVAILABLE',
];

/** Throws what submitting the jobs would throw. */
async function askSites(context: Context, specs: readonly JobSpec[]): Promise<Asked> {
  try {
    using broker = await context.openBroker();
    const whys: WhyJobResponse[] = [];
    for (const spec of specs) {
      const request = { spec: specToWire(spec) };
      whys.push(await broker.call.explainJob(request, { signal: context.signal }));
    }
    return { whys, unasked: '' };
  } catch (error) {
    if (!(error instanceof GridError) || !CANNOT_ASK.includes(error.code)) throw error;
    return { whys: [], unasked: error.message };
  }
}
