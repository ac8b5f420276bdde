import { Argument, Command, InvalidArgumentError, Option } from 'commander';
import { GridError } from '../core/errors.ts';
import type { CommandSpec, NounSpec, OptionSpec } from './command.ts';
import { GLOBAL_OPTIONS } from './command.ts';
import { AUTHORITY_COMMANDS } from './commands/authority.ts';
import { DATA_COMMANDS } from './commands/data.ts';
import { FLOW_COMMANDS } from './commands/flows.ts';
import { JOB_COMMANDS } from './commands/jobs.ts';
import { LOCAL_COMMANDS } from './commands/local.ts';
import { NATS_COMMANDS } from './commands/nats.ts';
import { SHARE_COMMANDS } from './commands/shares.ts';
import { SHELL_COMMANDS } from './commands/shell.ts';
import { SITE_COMMANDS } from './commands/sites.ts';
import { type Input, readInput } from './input.ts';

/** Every command there is, in the order of help and docs/cli.md. */
export const COMMANDS: readonly CommandSpec[] = [
  ...JOB_COMMANDS,
  ...DATA_COMMANDS,
  ...FLOW_COMMANDS,
  ...SITE_COMMANDS,
  ...SHARE_COMMANDS,
  ...AUTHORITY_COMMANDS,
  ...NATS_COMMANDS,
  ...LOCAL_COMMANDS,
  ...SHELL_COMMANDS,
];

/** Words that commands stand under; one that stands under another is named with it. */
export const NOUNS: readonly NounSpec[] = [
  { name: 'job', summary: 'submit jobs, follow them, fetch their results' },
  { name: 'data', summary: 'named trees of files, and where they are' },
  { name: 'flow', summary: 'workflows: jobs that come after one another' },
  { name: 'site', summary: 'the places that run jobs' },
  { name: 'site cache', summary: 'the input files that a gateway keeps' },
  { name: 'share', summary: 'who gets how much of the grid' },
  { name: 'vo', summary: 'virtual organisations and their members' },
  { name: 'cert', summary: 'your own certificate' },
  { name: 'ca', summary: 'keep a certificate authority' },
  { name: 'authority', summary: 'serve a certificate authority' },
  { name: 'broker', summary: 'serve a broker' },
  { name: 'nats', summary: 'set up the nats-server that keeps chunks' },
];

/** Exit codes, as `grid --help` and docs/cli.md list them. */
export const EXIT_CODES: readonly (readonly [code: number, meaning: string])[] = [
  [0, 'ok'],
  [1, 'a job failed (`run` exits with the job’s own code)'],
  [2, 'usage, or bad input'],
  [3, 'not allowed'],
  [4, 'not found, or not in the right state'],
  [5, 'a service is not available'],
  [6, 'data could not be moved'],
  [7, 'a program that is needed is not installed'],
  [70, 'a fault of ours'],
  [124, '`wait --timeout` ran out'],
  [130, 'interrupted'],
  [143, 'ended by SIGTERM'],
];

/** What a parsed command line comes to: which command, with what. */
export interface Invocation {
  readonly spec: CommandSpec;
  readonly input: Input;
}

/** How the program is described and what it does once a command line is parsed. */
export interface ProgramOptions {
  readonly version: string;
  /** Words after `--`. */
  readonly rest: readonly string[];
  readonly chosen: (invocation: Invocation) => void;
}

/** The whole command tree; parsing it calls `chosen` and runs nothing. */
export function buildProgram(options: ProgramOptions): Command {
  const program = new Command('grid')
    .description('Hanse: many people’s machines as one grid.')
    .usage('COMMAND [options]')
    .version(options.version, '-V, --version', 'show the version')
    .helpOption('-h, --help', 'show help')
    .helpCommand('help [command]', 'show help for a command')
    .configureHelp({ showGlobalOptions: true })
    .exitOverride();
  for (const option of GLOBAL_OPTIONS) program.addOption(optionOf(option));
  const nouns = new Map<string, Command>();
  const under = (path: string): Command => {
    if (path === '') return program;
    const known = nouns.get(path);
    if (known !== undefined) return known;
    const [above, name] = splitPath(path);
    const noun = nounCommand(path, name);
    if (above !== '') under(above).addCommand(noun);
    nouns.set(path, noun);
    return noun;
  };
  for (const spec of COMMANDS) {
    const [above, name] = splitPath(spec.path);
    const command = commandOf(spec, name, options);
    under(above).addCommand(above === '' ? command.helpGroup('Commands:') : command);
    if (spec.alias !== undefined)
      program.addCommand(commandOf(spec, spec.alias, options).helpGroup('Commands:'));
  }
  for (const [path, noun] of nouns)
    if (!path.includes(' ')) program.addCommand(noun.helpGroup('By noun:'));
  return program.addHelpText('after', programHelp());
}

/** Inherits how errors and exits are handled, which `addCommand` (unlike `command`) does not do by itself. */
const newCommand = (name: string): Command =>
  new Command(name)
    .exitOverride()
    .helpOption('-h, --help', 'show help')
    .configureHelp({ showGlobalOptions: true });

/** The nouns above a command or a noun, and its own word. */
function splitPath(path: string): readonly [above: string, name: string] {
  const words = path.split(' ');
  return [words.slice(0, -1).join(' '), words.at(-1) ?? ''];
}

function nounCommand(path: string, name: string): Command {
  const noun = NOUNS.find((candidate) => candidate.name === path);
  if (noun === undefined) throw new TypeError(`noun '${path}' is not described in NOUNS`);
  return newCommand(name)
    .helpCommand('help [command]', 'show help for a command')
    .summary(noun.summary)
    .description(`${capital(noun.summary)}.`);
}

function commandOf(spec: CommandSpec, name: string, program: ProgramOptions): Command {
  const command = newCommand(name).summary(spec.summary).description(describe(spec));
  for (const [syntax, about, choices] of spec.args ?? []) {
    const argument = new Argument(syntax, about);
    command.addArgument(choices === undefined ? argument : argument.choices(choices));
  }
  for (const option of spec.options ?? []) command.addOption(optionOf(option));
  if (spec.takesCommand === true) {
    const words = (spec.args ?? []).map(([syntax]) => syntax);
    command.usage(['[options]', ...words, '[-- COMMAND ARGS...]'].join(' '));
  }
  command.addHelpText('after', examplesOf(spec));
  command.action(() => {
    program.chosen({ spec, input: inputOf(command, program.rest) });
  });
  return command;
}

function optionOf(spec: OptionSpec): Option {
  const option = new Option(spec.flags, spec.about);
  if (spec.choices !== undefined) option.choices(spec.choices);
  if (spec.required === true) option.makeOptionMandatory();
  if (!option.required) return option;
  const checked = (value: string): string => {
    // What a script means by `--to "$OUT"` is not the current directory.
    if (value === '' && spec.flags.endsWith('<dir>'))
      throw new InvalidArgumentError('It names no directory.');
    if (spec.choices?.includes(value) !== false) return value;
    throw new InvalidArgumentError(`Allowed choices are ${spec.choices.join(', ')}.`);
  };
  if (spec.repeat === true)
    return option.argParser((value: string, earlier: readonly string[] | undefined) => [
      ...(earlier ?? []),
      checked(value),
    ]);
  return option.argParser((value: string, earlier: string | undefined) => {
    if (earlier === undefined) return checked(value);
    throw new InvalidArgumentError(`It holds one value, and was given as '${earlier}' before.`);
  });
}

function inputOf(command: Command, rest: readonly string[]): Input {
  const given: Record<string, unknown> = command.optsWithGlobals();
  const owners = [...command.options, ...GLOBAL_OPTIONS.map(optionOf)];
  const values = new Map(owners.map((option) => [option.name(), given[option.attributeName()]]));
  const empty =
    command.registeredArguments[command.args.indexOf('')] ?? command.registeredArguments.at(-1);
  // Nor is it what a script means by `grid data put "$DIR" run-7`.
  if (command.args.includes('')) throw new GridError('USAGE', `<${empty?.name()}> is empty`);
  return readInput(values, command.args, rest);
}

const capital = (text: string): string => `${text.charAt(0).toUpperCase()}${text.slice(1)}`;

/** Description of a command: its summary as a sentence, then the details; whoever shows it breaks the lines. */
export const describe = ({ summary, details = '' }: CommandSpec): string =>
  [`${capital(summary)}.`, details.replaceAll(/(?<!\n)\n(?!\n)/g, ' ')].join('\n\n').trimEnd();

const examplesOf = (spec: CommandSpec): string =>
  ['', 'Examples:', ...spec.examples.map(([line, about]) => `  # ${about}\n  grid ${line}`)].join(
    '\n',
  );

const programHelp = (): string =>
  [
    '',
    'Start here:',
    '  grid demo                       a whole grid on this machine, with a real study',
    '  grid submit -- echo hello       a job; prints its id',
    '  grid why ID                     why a job is where it is',
    '',
    'Exit codes:',
    ...EXIT_CODES.map(([code, meaning]) => `  ${String(code).padEnd(4)} ${meaning}`),
  ].join('\n');
