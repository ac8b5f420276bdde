import { writeFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { GridError } from '../core/errors.ts';
import { round } from '../core/match/match.ts';
import { openRoundMemory } from '../core/match/memory.ts';
import { suggestion } from '../core/nearest.ts';
import { simulate } from '../core/simulate/engine.ts';
import { measure } from '../core/simulate/measure.ts';
import { misfits } from '../core/simulate/misfits.ts';
import { drawSvg } from '../core/simulate/plot.ts';
import { plotsOf, type Result } from '../core/simulate/plots.ts';
import {
  figuresTable,
  type ReportTable,
  reportData,
  reportPage,
  sharesTable,
  worldLine,
} from '../core/simulate/report.ts';
import type { History, SchedulingPolicy, World } from '../core/simulate/world.ts';
import { sum } from '../core/sum.ts';
import { counted } from '../core/units.ts';
import { ensureDirectory } from '../service/directories.ts';
import { loadScenario, type Scenario } from '../service/documents/scenario-file.ts';
import { openRules } from '../service/expression/rules.ts';
import { writeFailure } from '../service/staging/file-errors.ts';
import type { Context } from './context.ts';
import { argument, type Input } from './input.ts';
import { openBar } from './progress.ts';
import { table } from './render.ts';

/** A policy's result, and what its rounds really cost. */
interface Timed extends Result {
  readonly roundsMs: number;
}

/** `grid simulate FILE`: every policy of a scenario in turn, then the figures side by side. */
export async function simulateGrid(context: Context, input: Input): Promise<number> {
  const file = resolve(context.cwd, argument(input, 0));
  const scenario = loadScenario(file, {
    seed: input.whole('seed'),
    untilMs: input.duration('until'),
    traces: input.list('swf').map((name) => resolve(context.cwd, name)),
  });
  const policies = choosePolicies(scenario, input.list('policy'), argument(input, 0));
  const remarks = [...scenario.remarks, ...misfits(scenario.world, openRules())];
  const results: Timed[] = [];
  for (const policy of policies) results.push(await run(context, scenario.world, policy));
  const report = input.text('report');
  const written =
    report === undefined
      ? []
      : writeReport(
          resolve(context.cwd, report),
          basename(file),
          { ...scenario, remarks },
          results,
        );
  show(context, { ...scenario, remarks }, results, written);
  return 0;
}

function choosePolicies(
  { policies }: Scenario,
  names: readonly string[],
  file: string,
): readonly SchedulingPolicy[] {
  if (names.length === 0) return policies;
  const known = policies.map(({ name }) => name);
  const strange = names.find((name) => !known.includes(name));
  if (strange !== undefined)
    throw new GridError(
      'USAGE',
      `${file} has no policy '${strange}'${suggestion(strange, known) || `; it has ${known.join(', ')}`}`,
    );
  return policies.filter(({ name }) => names.includes(name));
}

/** Simulates one policy, letting Ctrl-C and the progress bar have their turn now and then. */
async function run(context: Context, world: World, policy: SchedulingPolicy): Promise<Timed> {
  const tasks = sum(world.jobs.map(({ runtimesMs }) => runtimesMs.length));
  const memory = openRoundMemory();
  let roundsMs = 0;
  const steps = simulate({
    world,
    policy,
    rules: openRules(),
    decide: (snapshot) => {
      const startedMs = performance.now();
      const decided = round(snapshot, memory);
      roundsMs += performance.now() - startedMs;
      return decided;
    },
  });
  const bar = await openBar(context, policy.name, (count) => counted(count, 'task'));
  try {
    for (;;) {
      const step = steps.next();
      if (step.done === true) return { ...finished(policy, world, step.value), roundsMs };
      bar.update(step.value.doneTasks, tasks);
      await setImmediate();
      context.signal.throwIfAborted();
    }
  } finally {
    bar.stop();
  }
}

const finished = ({ name }: SchedulingPolicy, world: World, history: History): Result => ({
  measures: measure(name, world, history),
  history,
});

/** Answers with the files that it wrote. */
function writeReport(
  dir: string,
  title: string,
  { world, remarks }: Scenario,
  results: readonly Result[],
): readonly string[] {
  const all = results.map(({ measures }) => measures);
  const plots = [...plotsOf(world, results)];
  const page = reportPage(title, world, all, { remarks, plots: plots.map(([name]) => name) });
  const files: readonly (readonly [string, string])[] = [
    ['report.md', page],
    ['report.json', `${JSON.stringify(reportData(world, all), undefined, 2)}\n`],
    ...plots.map(([name, plot]) => [name, drawSvg(plot)] as const),
  ];
  try {
    ensureDirectory(dir);
    for (const [name, content] of files) writeFileSync(join(dir, name), content);
  } catch (error) {
    throw writeFailure(dir, error);
  }
  return files.map(([name]) => join(dir, name));
}

/** Users in the table on a terminal. */
const SHOWN_USERS = 10;

function show(
  { terminal, colours, json }: Context,
  { world, remarks }: Scenario,
  results: readonly Timed[],
  written: readonly string[],
): void {
  const all = results.map(({ measures }) => measures);
  const cost = results.map(({ roundsMs, measures }) => roundsMs / Math.max(1, measures.rounds));
  if (json) {
    const costs = results.map(({ measures, roundsMs }) => ({ policy: measures.policy, roundsMs }));
    terminal.out(JSON.stringify({ ...reportData(world, all), costs, remarks, written }));
    return;
  }
  const draw = ({ headings, rows }: ReportTable): string => table(headings, rows, colours);
  const figures = figuresTable(all);
  const costs = ['a round took', ...cost.map((ms) => `${ms.toFixed(3)} ms`)];
  for (const line of [worldLine(world), ...remarks]) terminal.out(colours.dim(line));
  terminal.out(`\n${draw({ ...figures, rows: [...figures.rows, costs] })}`);
  terminal.out(`\n${draw(sharesTable(all, SHOWN_USERS))}`);
  if (written[0] !== undefined) terminal.out(`\nreport      ${written[0]}`);
}
