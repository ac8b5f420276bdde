import { existsSync, readdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import { GridError } from '../../core/errors.ts';
import { clusterWarning } from '../../service/nats/nats-server.ts';
import type { Context } from '../context.ts';
import type { Input } from '../input.ts';
import { bringUp, environmentOf, type LocalGrid } from './bring-up.ts';
import { type GridPlan, type Layout, layoutOf, readPlan } from './layout.ts';
import { makeGrid } from './make-grid.ts';
import { oneAtATime } from './one-at-a-time.ts';
import { firstEnd } from './process.ts';
import { renewCertificates } from './renew-certificates.ts';
import { isRunning, obtainNatsServer, programsOf, reloadNats, stopRecorded } from './start-grid.ts';
import { openSteps, type Steps } from './steps.ts';

const MAX_SITES = 20;
const KEPT_ALIVE_MS = 3_600_000;

/** `grid up`. */
export async function up(context: Context, input: Input): Promise<number> {
  const layout = layoutOf(gridDir(context, input));
  if (input.on('print-env')) {
    if (readPlan(layout) === undefined)
      throw new GridError(
        'NOT_CONFIGURED',
        `there is no grid in ${layout.dir}: run \`grid up\` first`,
      );
    showEnvironment(context, layout);
    return 0;
  }
  const detached = input.on('detach');
  const grid = await start(context, input, layout, detached);
  showEnvironment(context, layout);
  if (detached || grid === undefined) return 0;
  context.terminal.note('the grid runs until Ctrl-C');
  // Neither programs nor signals that are waited for keep a process alive.
  const alive = setInterval(() => undefined, KEPT_ALIVE_MS);
  const end = await Promise.race([firstEnd(grid.processes.needed), untilAborted(context.signal)]);
  await grid.processes.stop().finally(() => clearInterval(alive));
  if (end === undefined) return 0;
  throw new GridError('UNAVAILABLE', `${end}; its log is in ${layout.logs}`);
}

/** Makes the grid where there is none and starts it; undefined where it runs already, maybe by another `grid up` just now. */
async function start(
  context: Context,
  input: Input,
  layout: Layout,
  detached: boolean,
): Promise<LocalGrid | undefined> {
  const { terminal, env, signal } = context;
  await using _turn = await oneAtATime(layout.dir, signal, () =>
    terminal.note(`another \`grid up\` of ${layout.dir} is at it: this one waits for it`),
  );
  const steps = openSteps(context);
  await renewDue(context, layout);
  if (isRunning(layout)) {
    const ended = programsOf(layout, false);
    if (ended.length === 0) {
      terminal.note(`the grid in ${layout.dir} runs already`);
      return undefined;
    }
    terminal.note(`${ended.join(', ')} of the grid in ${layout.dir} had ended`);
    await steps.run('ending the rest of it', () => stopRecorded(layout));
  }
  const binary = await findServer(context, steps);
  const plan = readPlan(layout) ?? (await makeNew(layout, input, steps));
  const warning = plan.natsCluster === undefined ? '' : clusterWarning(binary.version);
  if (warning !== '') terminal.note(`warning: ${warning}`);
  return await bringUp({ layout, plan, env, detached, signal, binary }, steps);
}

/** What runs takes up new certificates by itself, but for nats-server. */
async function renewDue({ terminal }: Context, layout: Layout): Promise<void> {
  const plan = readPlan(layout);
  const renewed = plan === undefined ? [] : await renewCertificates(layout, plan);
  if (renewed.length === 0) return;
  terminal.note(`certificates that were near their end are renewed: ${renewed.join(', ')}`);
  reloadNats(layout);
}

/** Where the grid of `up` and `down` stands. */
export function gridDir(context: Context, input: Input): string {
  const home = context.env['HOME'] ?? homedir();
  return resolve(context.cwd, input.text('dir') ?? join(home, '.hanse', 'grid'));
}

/** nats-server, obtained with a word about what is being done, and about a version with a hole. */
export async function findServer(
  context: Context,
  steps: Steps,
): ReturnType<typeof obtainNatsServer> {
  const binary = await steps.run('nats-server program', async (say) => {
    const found = await obtainNatsServer(
      context.env,
      context.env['HOME'] ?? homedir(),
      context.signal,
      say,
    );
    say(`${found.version} (${found.source})`);
    return found;
  });
  if (binary.warning !== undefined) context.terminal.note(`warning: ${binary.warning}`);
  return binary;
}

async function makeNew(layout: Layout, input: Input, steps: Steps): Promise<GridPlan> {
  if (existsSync(layout.dir) && readdirSync(layout.dir).length > 0)
    throw new GridError(
      'ALREADY_EXISTS',
      `${layout.dir} holds other files and no grid: name another --dir`,
    );
  const sites = input.whole('sites', 1, MAX_SITES) ?? 2;
  const cpusPerSite = input.whole('cpus', 1);
  return steps.run('certificate authority, certificates and keys', () =>
    makeGrid(layout, {
      vo: 'demo',
      sites,
      cpusPerSite,
      natsServers: input.on('nats-cluster') ? 3 : 1,
    }),
  );
}

/** The environment on stdout, in a form that a shell can read. */
function showEnvironment(context: Context, layout: Layout): void {
  const environment = environmentOf({ layout });
  if (context.json) {
    context.terminal.out(JSON.stringify(environment));
    return;
  }
  for (const [name, value] of Object.entries(environment))
    context.terminal.out(`export ${name}=${quoted(value)}`);
  const line = pathLine(context.env['PATH'] ?? '', ROOT);
  if (line !== undefined) context.terminal.out(line);
}

/** Of a checkout: the directory with the program `grid`. */
const ROOT = dirname(dirname(import.meta.dirname));

const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

/** What makes `grid` a command of the shell; undefined where it is one, or `dir` is no checkout. */
export function pathLine(path: string, dir: string): string | undefined {
  const has = (place: string): boolean => place !== '' && existsSync(join(place, 'grid'));
  if (path.split(delimiter).some(has) || !has(dir)) return undefined;
  return `export PATH="$PATH":${quoted(dir)}`;
}

function untilAborted(signal: AbortSignal): Promise<undefined> {
  return new Promise((end) => {
    if (signal.aborted) end(undefined);
    signal.addEventListener('abort', () => end(undefined), { once: true });
  });
}
