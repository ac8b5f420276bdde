import { quote } from './shell-word.ts';

/** A program that is to run, and all that is to be in its environment. */
interface Program {
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

const ENV = '/usr/bin/env';

/** `env` would take it for a variable; `nice` only looks for it, and leaves all as it is. */
const findable = (command: readonly string[]): readonly string[] =>
  command[0]?.includes('=') === true ? ['/usr/bin/nice', '-n', '0', ...command] : command;

/**
 * Words of a program that becomes another one, with variables besides those that are there. No program runs in the new
 * environment but that one, and no shell reads it: shells have variables of their own, change some, and refuse others.
 */
export const envWords = ({ command, env }: Program, ...options: readonly string[]) => [
  ENV,
  ...options,
  ...Object.entries(env).map(([name, value]) => `${name}=${value}`),
  ...findable(command),
];

const OF_SHELLS =
  /^(?:_.*|IFS|PPID|E?UID|GROUPS|OPT.*|LINENO|SHLVL|SHELLOPTS|BASH.*|PS\d|FUNC.*|MAIL.*|HIST.*|DIRSTACK|S?RANDOM|SECONDS|EPOCH.*|COMP_.*|POSIXLY_CORRECT|LC_.*)$/;

/** Whether shells (dash, bash) do more with such a variable than to hand it on. */
export const isOfShells = (name: string): boolean => OF_SHELLS.test(name);

const exported = (entries: readonly (readonly [name: string, value: string])[]): string =>
  entries.map(([name, value]) => `${name}=${quote(value)}`).join(' ');

/** Shell text by which a shell becomes the program: at once where it has nothing of its own among the variables. */
export function becoming({ command, env }: Program): string {
  const entries = Object.entries(env);
  if (entries.some(([name]) => isOfShells(name)))
    return `exec ${envWords({ command, env }, '-i').map(quote).join(' ')}`;
  return `export ${exported(entries)}; exec ${command.map(quote).join(' ')}`;
}

const NAME = 'GRID_ENTRY_';

/**
 * Shell text by which a shell becomes the program by way of others, that make its sandbox or change the account. The
 * variables pass these as values of other ones, so that nothing of the job's speaks to them or to their loaders: those that
 * `LD_PRELOAD` names would run with their rights. `seen` are plain for them, too. No command line that lasts holds a value.
 */
export function becomingBehind(
  before: readonly string[],
  { command, env }: Program,
  seen: Readonly<Record<string, string>>,
): string {
  const entries = Object.entries(env).map(([name, value]) => `${name}=${value}`);
  const names = entries.map((_, at) => `${NAME}${at}`);
  const handed = entries.map((entry, at) => [`${NAME}${at}`, entry] as const);
  const values = names.map((name) => `"$${name}"`).join(' ');
  const unpack = `set -- ${values} "$@"; unset ${names.join(' ')}; exec ${ENV} -i "$@"`;
  const words = [...before, '/bin/sh', '-c', unpack, 'sh', ...findable(command)];
  return `export ${exported([...Object.entries(seen), ...handed])}; exec ${words.map(quote).join(' ')}`;
}
