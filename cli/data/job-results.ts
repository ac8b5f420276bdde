import { GridError } from '../../core/errors.ts';
import { counted, formatBytes } from '../../core/units.ts';
import type { JobResults } from '../../proto/gen/grid/v1/data.ts';
import { stateFromWire } from '../../service/rpc/wire.ts';
import type { Context } from '../context.ts';
import type { Input } from '../input.ts';
import { agoText, table } from '../render.ts';
import type { DatasetClient } from './dataset-client.ts';

/** The id in `job:ID`; undefined for anything else. */
export const jobOf = (text: string): string | undefined => /^job:(.+)$/.exec(text)?.[1];

/** `grid data rm job:ID`. */
export async function removeResults(
  { terminal, json, signal }: Context,
  { datasets }: DatasetClient,
  jobId: string,
): Promise<number> {
  const { files, totalBytes } = await datasets.removeResults({ jobId }, { signal });
  if (json) terminal.out(JSON.stringify({ id: jobId, files, totalBytes }));
  else if (files === 0) terminal.out(`job ${jobId} keeps no results`);
  else {
    const count = counted(files, 'file');
    terminal.out(`removed the results of job ${jobId}: ${count}, ${formatBytes(totalBytes)}`);
  }
  return 0;
}

/** `grid data ls --jobs`. */
export async function listResults(
  context: Context,
  input: Input,
  { datasets }: DatasetClient,
): Promise<number> {
  const { terminal, colours, json, signal } = context;
  if (input.args[0] !== undefined)
    throw new GridError('USAGE', '--jobs lists jobs, and goes with no name of a dataset');
  const everybody = input.on('everybody');
  const request = { vo: input.text('vo') ?? '', everybody, limit: input.whole('limit') ?? 0 };
  const { jobs } = await datasets.listResults(request, { signal });
  if (json) terminal.out(JSON.stringify(jobs.map(resultsView)));
  else if (jobs.length === 0) terminal.note('no job keeps results');
  else {
    const nowMs = Date.now();
    const rows = jobs
      .map(resultsView)
      .map((job) => [
        job.id,
        job.name,
        String(job.files),
        formatBytes(job.totalBytes),
        job.state,
        agoText(job.endedAtMs, nowMs),
        ...(everybody ? [job.owner] : []),
      ]);
    const heads = ['results of', 'name', 'files', 'size', 'state', 'ended'];
    terminal.out(table(everybody ? [...heads, 'owner'] : heads, rows, colours, terminal.columns));
    terminal.note('`grid data rm job:ID` lets go of them before their time');
  }
  return 0;
}

const resultsView = ({ jobId, state, ...rest }: JobResults) => ({
  id: `job:${jobId}`,
  ...rest,
  state: stateFromWire(state),
});
