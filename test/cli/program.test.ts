import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { GLOBAL_OPTIONS } from '../../cli/command.ts';
import { buildProgram, COMMANDS, EXIT_CODES, type Invocation, NOUNS } from '../../cli/program.ts';
import { ERRORS } from '../../core/error-codes.ts';
import { DEFAULTS, SPEC_KEYS } from '../../core/job/parse-spec.ts';
import { ATTRIBUTES } from '../../service/expression/expression-language.ts';

const page = (name: string): string =>
  readFileSync(new URL(`../../docs/${name}`, import.meta.url), 'utf8');

/** What a command line comes to. */
const parsed = (line: string, rest: readonly string[] = []): Invocation =>
  parsedWords(line.split(' '), rest);

function parsedWords(words: readonly string[], rest: readonly string[] = []): Invocation {
  const found: Invocation[] = [];
  const program = buildProgram({
    version: '1',
    rest,
    chosen: (invocation) => found.push(invocation),
  });
  program.parse([...words], { from: 'user' });
  expect(found).toHaveLength(1);
  return found[0] as Invocation;
}

describe('every command', () => {
  test.for(COMMANDS.map((spec) => [spec.path, spec] as const))(
    '%s has help with an example',
    ([path, spec]) => {
      const program = buildProgram({ version: '1', rest: [], chosen: () => undefined });
      const words = path.split(' ');
      const command = words.reduce(
        (parent, word) => parent.commands.find((child) => child.name() === word) ?? parent,
        program,
      );
      expect(command.name()).toBe(words.at(-1));
      const help: string[] = [];
      command.configureOutput({ writeOut: (text) => help.push(text) });
      command.outputHelp();
      expect(help.join('')).toContain('Examples:\n  # ');
      expect(command.parent?.helpInformation()).not.toContain('display help');
      expect(spec.examples.length).toBeGreaterThan(0);
      expect(spec.summary).toMatch(/^[a-z]/);
    },
  );

  test.for(
    COMMANDS.flatMap(({ path, alias, examples }) =>
      examples.map(([line]) => [line, path, alias ?? path] as const),
    ),
  )('the example `grid %s` is a command line of its own command', ([line, path, alias]) => {
    expect([path, alias].some((name) => line === name || line.startsWith(`${name} `))).toBe(true);
  });

  test('has a flat name at most once', () => {
    const names = COMMANDS.flatMap(({ path, alias }) => [
      path,
      ...(alias === undefined ? [] : [alias]),
    ]);
    expect(new Set(names).size).toBe(names.length);
  });
});

describe('a command line', () => {
  test('comes to a command, its arguments and its options, whichever name was used', () => {
    for (const name of ['ls', 'job ls']) {
      const { spec, input } = parsed(`${name} --state running --state queued -l 5 --json`);
      expect(spec.path).toBe('job ls');
      expect(input.list('state')).toEqual(['running', 'queued']);
      expect(input.whole('limit')).toBe(5);
      expect([input.on('json'), input.on('all')]).toEqual([true, false]);
    }
  });

  test('may have global options before the command', () => {
    expect(parsed('--broker h:1 --json whoami').input.text('broker')).toBe('h:1');
  });

  test('keeps the words behind `--` apart', () => {
    expect(parsed('run -c 4', ['ls', '-l']).input).toMatchObject({ args: [], rest: ['ls', '-l'] });
  });

  test('refuses a value that is no choice, also of an option that may come several times', () => {
    expect(() => parsed('ls --state done --state runing')).toThrow(
      "argument 'runing' is invalid. Allowed choices are queued, matched,",
    );
  });

  test.for([
    [
      'login --vo A --vo B',
      "'--vo <name>' argument 'B' is invalid. It holds one value, and was given as 'A' before.",
    ],
    ['submit --vo=A --vo A', "given as 'A' before"],
    ['--broker a:1 ls --broker b:1', "given as 'a:1' before"],
    ['ls -l 5 --limit 6', "given as '5' before"],
    ['submit --on-lost keep --on-lost release', "given as 'keep' before"],
  ] as const)(
    'refuses an option that holds one value and is given twice: %s',
    ([line, message]) => {
      expect(() => parsed(line)).toThrow(message);
    },
  );

  test.for([
    [['data', 'put', '', 'run-7'], '<path> is empty'],
    [['data', 'get', 'hg38', ''], '<dir> is empty'],
    [['cancel', 'j1', 'j2', ''], '<ids> is empty'],
    [['up', '--dir', ''], 'It names no directory.'],
  ] as const)('refuses %j: an empty variable means no place', ([words, message]) => {
    expect(() => parsedWords(words)).toThrow(message);
  });

  test('refuses values of the wrong type, by the name of the option', () => {
    expect(() => parsed('ls -l many').input.whole('limit')).toThrow(
      "--limit 'many' is not a whole number, 0 or more",
    );
    expect(() => parsed('wait j1 --timeout 5').input.duration('timeout')).toThrow(
      "--timeout '5' is not a duration such as 30s or 1h30m",
    );
  });
});

describe('documentation', () => {
  test.for(SPEC_KEYS.map((key) => [key]))('docs/jobs.md explains %s', ([key]) => {
    expect(page('jobs.md')).toContain(`\n### ${key}\n`);
    expect(page('jobs.md')).toContain(`\n| \`${key}\` | `);
  });

  test('docs/jobs.md has the defaults', () => {
    expect(DEFAULTS).toEqual({
      cpus: 1,
      memoryBytes: 2 ** 30,
      gpus: 0,
      nodes: 1,
      walltimeMs: 3_600_000,
      diskBytes: 0,
      retries: 0,
    });
    const row = (key: string): string | undefined =>
      new RegExp(`\\n\\| \`${key}\` .*`).exec(page('jobs.md'))?.[0];
    expect(
      ['cpus', 'memory', 'gpus', 'nodes', 'walltime', 'retries'].map((key) =>
        row(key)?.split('|').at(-2)?.trim(),
      ),
    ).toEqual(['1', '1G', '0', '1', '1h', '0']);
  });

  test.for(
    Object.entries(ATTRIBUTES).flatMap(([name, fields]) =>
      Object.keys(fields).map((key) => [`${name}.${key}`]),
    ),
  )('docs/jobs.md has the attribute %s', ([attribute]) =>
    expect(page('jobs.md')).toContain(`\`${attribute}\``),
  );

  test('every exit code of an error is documented', () => {
    const codes = EXIT_CODES.map(([code]) => code);
    for (const { exit } of Object.values(ERRORS)) expect(codes).toContain(exit);
  });

  test('every noun and global option is described', () => {
    expect(NOUNS.every(({ summary }) => summary !== '')).toBe(true);
    expect(GLOBAL_OPTIONS.every(({ about }) => about !== '')).toBe(true);
  });
});
