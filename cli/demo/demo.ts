import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { formatDuration } from '../../core/units.ts';
import { loadSettings } from '../config.ts';
import { type Context, connectBroker } from '../context.ts';
import type { Input } from '../input.ts';
import { fetchJob } from '../jobs/get.ts';
import { table } from '../render.ts';
import { bringUp, environmentOf, type LocalGrid } from '../up/bring-up.ts';
import { cancelAll } from '../up/down.ts';
import { type GridPlan, type Layout, layoutOf } from '../up/layout.ts';
import { makeGrid } from '../up/make-grid.ts';
import { endProcessesBelow } from '../up/process.ts';
import { openSteps, type Steps } from '../up/steps.ts';
import { findServer } from '../up/up.ts';
import { drawChart, type Point } from './chart.ts';
import { linesBySite } from './report.ts';
import { runStudy, type StudyResult } from './study.ts';

/** `grid demo`: a whole grid in a fresh directory, a study through it, its result; nothing is left behind. */
export async function demo(context: Context, input: Input): Promise<number> {
  const startedMs = performance.now();
  const steps = openSteps(context);
  const binary = await findServer(context, steps);
  const layout = layoutOf(mkdtempSync(join(tmpdir(), 'hanse-demo-')));
  let grid: LocalGrid | undefined;
  let succeeded = false;
  try {
    const plan = await steps.run('certificate authority, certificates and keys', () =>
      makeGrid(layout, { vo: 'demo', sites: 2, cpusPerSite: undefined }),
    );
    const options = { layout, plan, env: context.env, detached: false, binary };
    grid = await bringUp({ ...options, signal: context.signal }, steps);
    const inner = contextOf(context, layout);
    const names = plan.sites.map(({ name }) => name);
    const study = await runStudy(inner, steps, names);
    const output = resolve(context.cwd, input.text('output') ?? 'hanse-demo');
    await fetchStudy(inner, steps, study, output);
    showStudy(context, study, output);
    succeeded = true;
    context.terminal.out(lastLine(study, plan, performance.now() - startedMs));
    return 0;
  } finally {
    await takeDown(layout, grid, { keep: input.on('keep'), succeeded, context, steps });
  }
}

/** The same terminal, as the user of the new grid. */
function contextOf(context: Context, layout: Layout): Context {
  const env = { ...context.env, ...environmentOf({ layout }) };
  const settings = (): ReturnType<typeof loadSettings> =>
    loadSettings(environmentOf({ layout }), homedir(), { broker: undefined });
  return {
    ...context,
    env,
    terminal: { ...context.terminal, note: () => undefined, showsProgress: false },
    settings,
    openBroker: async () => connectBroker(await settings(), environmentOf({ layout })),
  };
}

async function fetchStudy(
  context: Context,
  steps: Steps,
  { merge }: StudyResult,
  output: string,
): Promise<void> {
  await steps.run('fetching gc.csv and gc.svg', async () => {
    using broker = await context.openBroker();
    await fetchJob(context, broker, merge, {
      to: output,
      task: undefined,
      force: true,
      live: false,
    });
  });
}

function showStudy(context: Context, { array }: StudyResult, output: string): void {
  const { terminal, colours } = context;
  const rows = readFileSync(join(output, 'gc.csv'), 'utf8').trim().split('\n').slice(1);
  const points = rows.map((row): Point => {
    const [start = '', gc = ''] = row.split(',');
    return { x: Number(start), y: Number(gc) * 100 };
  });
  const chart = drawChart(points, {
    columns: Math.max(20, Math.min(96, terminal.columns - 12)),
    rows: 10,
    formatX: (value) => `${(value / 1_000).toFixed(0)} kb`,
    formatY: (value) => `${value.toFixed(0)} %`,
  });
  terminal.out(
    `\n${colours.strong('GC content of phage lambda (NC_001416.1), windows of 250 bases')}\n`,
  );
  for (const line of chart) terminal.out(line);
  terminal.out(`\n${siteTable(context, array)}\n`);
  terminal.out(`results     ${join(output, 'gc.csv')}, ${join(output, 'gc.svg')}`);
  terminal.out(
    'next        `./grid up` starts a grid to stay; docs/getting-started.md goes on from there\n',
  );
}

function siteTable({ colours }: Context, array: StudyResult['array']): string {
  const lines = linesBySite(
    array.tasks.map((task) => ({
      site: task.site,
      submittedAtMs: array.job.submittedAtMs,
      startedAtMs: task.startedAtMs,
      endedAtMs: task.endedAtMs,
      bytesIn: task.usage?.bytesIn ?? 0,
      bytesOut: task.usage?.bytesOut ?? 0,
    })),
  );
  return table(
    ['site', 'tasks', 'waited (median)', 'ran (median)', 'staged in', 'staged out'],
    lines.map((line) => [
      line.site,
      String(line.tasks),
      line.waited,
      line.ran,
      line.stagedIn,
      line.stagedOut,
    ]),
    colours,
  );
}

const lastLine = ({ array, merge }: StudyResult, plan: GridPlan, tookMs: number): string =>
  `demo: ok, ${array.job.tasks + merge.job.tasks} tasks on ${plan.sites.length} sites in ${(tookMs / 1_000).toFixed(1)} s`;

interface Ending {
  readonly keep: boolean;
  readonly succeeded: boolean;
  readonly context: Context;
  readonly steps: Steps;
}

/** Ends tasks, then services, then whatever still runs below the directory. Never throws: the first failure counts. */
async function takeDown(
  layout: Layout,
  grid: LocalGrid | undefined,
  ending: Ending,
): Promise<void> {
  const { context } = ending;
  const startedMs = performance.now();
  if (!ending.succeeded && grid !== undefined) await cancelAll(layout).catch(() => undefined);
  await grid?.processes.stop();
  await endProcessesBelow(layout.dir);
  const interrupted = context.signal.aborted;
  if (ending.keep || !(ending.succeeded || interrupted)) {
    context.terminal.note(`the grid’s files and logs are in ${layout.dir}`);
    return;
  }
  rmSync(layout.dir, { recursive: true, force: true, maxRetries: 3 });
  if (interrupted)
    context.terminal.note(`ended in ${formatDuration(performance.now() - startedMs)}`);
}
