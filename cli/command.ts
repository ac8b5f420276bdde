import type { Command } from 'commander';
import type { Context } from './context.ts';
import type { Input } from './input.ts';

/** One option of a command. Its name in `Input` is the long flag without the dashes. */
export interface OptionSpec {
  /** As commander takes it: `-n, --limit <n>`, `--force`. */
  readonly flags: string;
  readonly about: string;
  /** May be given several times; read it with `input.list`. */
  readonly repeat?: true;
  /** The command refuses to run without it. */
  readonly required?: true;
  readonly choices?: readonly string[];
}

/**
 * One command. `--help`, docs/cli.md and shell completion are all made from this. `run` answers with the exit code; it
 * imports what it needs lazily (`await import('../submit.ts')`), so that no command pays for another.
 */
export interface CommandSpec {
  /** Where it stands: `job submit`, or `whoami`. */
  readonly path: string;
  /** Flat name beside a path with a noun: `submit`. */
  readonly alias?: string;
  /** One lower-case clause for listings. */
  readonly summary: string;
  /** Further sentences for its own help; may have several lines. */
  readonly details?: string;
  /** Positional arguments, as commander takes them: `<id>`, `[file]`, `[ids...]`. */
  readonly args?: readonly (readonly [name: string, about: string, choices?: readonly string[]])[];
  readonly options?: readonly OptionSpec[];
  /** Takes words after `--`, which the grid does not read (`input.rest`). */
  readonly takesCommand?: true;
  /** At least one: the line after `grid `, and what it does. */
  readonly examples: readonly (readonly [line: string, about: string])[];
  /** Gives the exit code; `program` is the whole command tree. */
  readonly run: (context: Context, input: Input, program: Command) => Promise<number>;
}

/** A word that commands stand under. */
export interface NounSpec {
  readonly name: string;
  readonly summary: string;
}

/** Options that every command has. */
export const GLOBAL_OPTIONS: readonly OptionSpec[] = [
  { flags: '--json', about: 'answer in JSON (errors too, on stderr)' },
  { flags: '-q, --quiet', about: 'no remarks and no progress on stderr' },
  { flags: '--broker <host:port>', about: 'broker to talk to (or HANSE_BROKER, or config.yaml)' },
  { flags: '--debug', about: 'show the cause and the stack of an error' },
];
