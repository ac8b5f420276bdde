import { type Command, CommanderError } from 'commander';
import { GridError } from '../core/errors.ts';
import { errorForJournal, isJournal } from '../service/systemd-journal.ts';
import type { Env } from './config.ts';
import { type Context, connectBroker } from './context.ts';
import { describeFailure } from './errors.ts';
import type { Input } from './input.ts';
import { palette } from './palette.ts';
import { printable } from './printable.ts';
import { buildProgram, type Invocation } from './program.ts';
import { openTerminal, type Streams } from './terminal.ts';

/** What `main.ts` knows of the process. */
export interface Edge extends Streams {
  readonly cwd: string;
  readonly userHome: string;
  readonly signal: AbortSignal;
  /** Exit code for what `signal` has ended: 130 for Ctrl-C, 143 for SIGTERM. */
  readonly codeOfSignal: () => number;
  readonly version: string;
  readonly stdoutIsTerminal: boolean;
}

/** Runs one command line and answers with the exit code; every failure has been shown by then. */
export async function runCommand(argv: readonly string[], edge: Edge): Promise<number> {
  const [words] = atDashes(argv);
  const early = { json: words.includes('--json'), debug: words.includes('--debug') };
  const colour = palette(wantsColour(edge.env, edge.stderrIsTerminal));
  let command = 'grid';
  try {
    const invocation = parse(argv, edge, (name) => {
      command = name;
    });
    if (invocation === undefined) return 0;
    const { spec, input, program } = invocation;
    command = `grid ${spec.path}`;
    return await spec.run(contextOf(input, edge), input, program);
  } catch (error) {
    const shown = edge.signal.aborted ? interrupted(error) : error;
    const failure = describeFailure(shown, {
      ...early,
      command,
      codeOfSignal: edge.codeOfSignal(),
      red: colour.bad,
      dim: colour.dim,
    });
    edge.stderr(`${forStderr(printable(failure.text), edge.env)}\n`);
    return failure.exit;
  }
}

const forStderr = (text: string, env: Env): string =>
  isJournal(env['JOURNAL_STREAM']) ? errorForJournal(text) : text;

/** What stands before `--`, and what behind it: a command of the user's own, whose options are not ours. */
function atDashes(argv: readonly string[]): readonly [readonly string[], (readonly string[])?] {
  const cut = argv.indexOf('--');
  return cut === -1 ? [argv] : [argv.slice(0, cut), argv.slice(cut + 1)];
}

/** What was asked for, and the command tree that said so. */
interface Parsed extends Invocation {
  readonly program: Command;
}

/** Undefined where commander itself has answered (`--help`, `--version`); `failing` is told which command was misused. */
function parse(
  argv: readonly string[],
  edge: Edge,
  failing: (command: string) => void,
): Parsed | undefined {
  const [words, rest] = atDashes(argv);
  let chosen: Invocation | undefined;
  let usage = '';
  const program = buildProgram({
    version: edge.version,
    rest: rest ?? [],
    chosen: (invocation) => {
      chosen = invocation;
    },
  });
  const output = {
    writeOut: edge.stdout,
    getOutHelpWidth: () => edge.columns,
    getErrHelpWidth: () => edge.columns,
    getOutHasColors: () => wantsColour(edge.env, edge.stdoutIsTerminal),
    getErrHasColors: () => wantsColour(edge.env, edge.stderrIsTerminal),
  };
  for (const command of withAllBelow(program)) {
    const outputError = (text: string): void => {
      usage = text;
      failing(nameOf(command));
    };
    // Help that commander shows for want of a subcommand; a usage error comes through outputError.
    const writeErr = (help: string): void => {
      failing(nameOf(command));
      if (!words.includes('--json')) edge.stderr(help);
    };
    command.configureOutput({ ...output, writeErr, outputError });
  }
  try {
    program.parse([...words], { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return undefined;
    throw usageError(error, usage);
  }
  if (chosen !== undefined && rest !== undefined && chosen.spec.takesCommand !== true)
    throw new GridError('USAGE', `\`grid ${chosen.spec.path}\` takes nothing after \`--\``);
  return chosen === undefined ? undefined : { ...chosen, program };
}

/** What commander says of a line that it cannot read, as one of our errors. */
function usageError(error: CommanderError, usage: string): GridError {
  const message = (usage || error.message)
    .trim()
    .replace(/^error: /, '')
    .replaceAll('\n', ' ');
  return new GridError('USAGE', error.code === 'commander.help' ? 'a command is missing' : message);
}

/** All words of a command: `grid data put`. */
const nameOf = (command: Command): string =>
  command.parent === null ? command.name() : `${nameOf(command.parent)} ${command.name()}`;

const withAllBelow = (command: Command): readonly Command[] => [
  command,
  ...command.commands.flatMap(withAllBelow),
];

function contextOf(input: Input, edge: Edge): Context {
  const quiet = input.on('quiet');
  const settings = async () => {
    const { loadSettings } = await import('./config.ts');
    return loadSettings(edge.env, edge.userHome, { broker: input.text('broker') });
  };
  return {
    env: edge.env,
    cwd: edge.cwd,
    signal: edge.signal,
    json: input.on('json'),
    quiet,
    colours: palette(wantsColour(edge.env, edge.stdoutIsTerminal)),
    terminal: openTerminal(edge, quiet),
    settings,
    openBroker: async () => connectBroker(await settings(), edge.env),
  };
}

/** See no-color.org; FORCE_COLOR wins, as picocolors has it. */
function wantsColour(env: Env, isTerminal: boolean): boolean {
  if ((env['FORCE_COLOR'] ?? '') !== '') return true;
  return isTerminal && (env['NO_COLOR'] ?? '') === '' && env['TERM'] !== 'dumb';
}

/** Whatever an aborted call says of itself, the person knows why. */
const interrupted = (cause: unknown): GridError =>
  new GridError('INTERRUPTED', 'interrupted', { cause });
