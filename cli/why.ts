import type { Context } from './context.ts';
import { argument, type Input } from './input.ts';
import { jobView } from './job-view.ts';
import { stateText, table } from './render.ts';

/** `grid why`. */
export async function showWhy(context: Context, input: Input): Promise<number> {
  using broker = await context.openBroker();
  const why = await broker.call.whyJob({ jobId: argument(input, 0) }, { signal: context.signal });
  const { terminal, colours } = context;
  const job = jobView(why.summary);
  const { answer, sites, tasksAhead, waitsFor, advice } = why;
  if (context.json) {
    terminal.out(JSON.stringify({ ...job, answer, verdicts: sites, tasksAhead, waitsFor, advice }));
    return 0;
  }
  terminal.out(`${colours.strong(job.id)} ${job.name}  ${stateText(job.state, colours)}`);
  terminal.out(answer);
  if (waitsFor.length > 0) terminal.out(`It waits for ${waitsFor.join(', ')}.`);
  if (sites.length > 0) {
    const rows = sites.map((verdict) => [
      verdict.site,
      verdict.matches ? colours.good('could run') : colours.warn(verdict.refusal),
      verdict.detail,
    ]);
    terminal.out(`\n${table(['site', 'verdict', 'why'], rows, colours)}`);
  }
  for (const line of advice) terminal.out(`-> ${line}`);
  return 0;
}
