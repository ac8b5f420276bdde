import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { GridError } from '../../core/errors.ts';
import {
  loadTemplate,
  SHIPPED_TEMPLATES,
  shippedTemplate,
} from '../../site-gateway/lrms/command/load-template.ts';

const GOOD = `name: Mini
away: 'cannot connect'
ignores: [walltime, nodes, gpus]
submit:
  run: [put, '--cpus={cpus}', '--mem={memory-mib}', '{script}', '{directory}', '{task}']
  job: '^job (?<id>\\d+)$'
  refused: '^put: refused'
poll:
  run: [list]
  line: '^(?<job>\\d+) (?<state>\\w+) (?<name>\\S+)$'
states: {waits: '^W$'}
cancel:
  term: [[drop, '{jobs}']]
  kill: [[drop, '-9', '{jobs}']]
`;

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'hanse-template-'));
});
afterAll(() => rmSync(dir, { recursive: true }));

const load = (text: string): ReturnType<typeof loadTemplate> => {
  const file = join(dir, 'mini.yaml');
  writeFileSync(file, text);
  return loadTemplate(file);
};

describe('a template', () => {
  test('that is whole is read', () => {
    expect(load(GOOD)).toMatchObject({ name: 'Mini', poll: { timeout: 20_000, unfold: false } });
  });

  test.for<[string, string, string, string]>([
    ['a needed placeholder', ", '{task}'", '', 'submit.run: a placeholder is missing: {task}'],
    [
      'the placeholder of a need',
      ", '--mem={memory-mib}'",
      '',
      "submit.run: a placeholder is missing: {memory-bytes} or {memory-kib} or {memory-mib} or {total-memory-mib}; where the batch system cannot be told, list 'memory' under `ignores`",
    ],
    ['a group', '(?<id>\\d+)', '\\d+', 'submit.job: the group (?<id>...) is missing'],
    [
      'a field of the listing',
      '(?<state>',
      '(?<status>',
      'poll.line: the group (?<state>...) is missing',
    ],
    [
      'the form of the listing',
      '  line:',
      '  none:',
      'poll: it needs `line`, or `record` with `fields`, and not both',
    ],
    [
      'the jobs to cancel',
      "'-9', '{jobs}'",
      "'-9'",
      'cancel.kill.0: a placeholder is missing: {jobs} or {job}',
    ],
  ])('that lacks %s is refused', ([, whole, broken, message]) => {
    expect(GOOD).toContain(whole);
    expect(faultsOf(GOOD.replace(whole, broken))).toEqual([expect.stringContaining(message)]);
  });

  test.for<[string, string, string, RegExp]>([
    [
      'a pattern that is none',
      '(?<id>\\d+)',
      '(?<id>\\d+',
      /mini\.yaml:6 submit\.job: Invalid regular expression/,
    ],
    [
      'a placeholder that is none',
      '{cpus}',
      '{cores}',
      /mini\.yaml:5 submit\.run: \{cores\} is no placeholder here; there are \{script\}/,
    ],
    [
      'a program with a placeholder',
      '[list]',
      "['{user}/list']",
      /mini\.yaml:9 poll\.run: the program is a name or a path/,
    ],
    [
      'a value that may be absent',
      'run: [put,',
      "run: [put, '-q{queue}',",
      /\{queue\} may have no value: put its word into a list/,
    ],
    [
      'a need that is told and ignored',
      'ignores: [',
      'ignores: [cpus, ',
      /mini\.yaml:3 ignores: 'cpus' is told by/,
    ],
    [
      'a key that is not known',
      'states: {',
      'states: {waits-for: x, ',
      /mini\.yaml:11 states: there is no setting 'waits-for'; did you mean 'waits'\?/,
    ],
    [
      'an array without its section',
      "'{task}'",
      "'{task}', ['-J{array}']",
      /\{array\} needs the section `array`/,
    ],
    [
      'a number for a word',
      "'-9'",
      '-9',
      /mini\.yaml:14 cancel\.kill\.0\.1: must be a word or a list of words: put numbers into quotes/,
    ],
    [
      'an impossible time-out',
      'run: [list]',
      'run: [list]\n  timeout: soon',
      /mini\.yaml:10 poll\.timeout: 'soon' is no duration/,
    ],
  ])('with %s is refused', ([, whole, broken, message]) => {
    expect(GOOD).toContain(whole);
    expect(faultsOf(GOOD.replace(whole, broken)).join('\n')).toMatch(message);
  });

  test('that is not there is named', () => {
    expect(() => loadTemplate(join(dir, 'absent.yaml'))).toThrow(/cannot read .*absent\.yaml/);
  });
});

/** `mini.yaml:LINE what: why` of every fault. */
function faultsOf(text: string): readonly string[] {
  try {
    load(text);
  } catch (error) {
    if (!(error instanceof GridError) || error.code !== 'CONFIG_INVALID') throw error;
    const { problems } = error;
    return problems.map(({ where, message }) => `${where.replace(`${dir}/`, '')} ${message}`);
  }
  return [];
}

test('every template of the package can be named and read', () => {
  const files = readdirSync(dirname(shippedTemplate('pbs')));
  expect(files.toSorted()).toEqual(SHIPPED_TEMPLATES.map((name) => `${name}.yaml`));
  for (const name of SHIPPED_TEMPLATES)
    expect(loadTemplate(shippedTemplate(name)).name).not.toBe('');
});

test('templates say whether they were tested', () => {
  const untested = SHIPPED_TEMPLATES.filter((name) =>
    readFileSync(shippedTemplate(name), 'utf8').includes('NOT TESTED against a running'),
  );
  expect(untested).toEqual(['lsf', 'pbs', 'torque']);
});
