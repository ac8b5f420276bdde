import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { parseMemory } from '../../site-gateway/lrms/batch/memory-words.ts';
import { parseClock } from '../../site-gateway/lrms/command/listing.ts';
import { loadTemplate, shippedTemplate } from '../../site-gateway/lrms/command/load-template.ts';
import { openCommand } from '../../site-gateway/lrms/command/open-command.ts';
import { fill } from '../../site-gateway/lrms/command/words.ts';
import { commandOptionsOf } from '../fakes/command-options.ts';
import { SELF } from '../fakes/job-owners.ts';
import { openSaidCommands, type Said, type SaidCommands } from '../fakes/said-commands.ts';

let commands: SaidCommands;
beforeEach(() => {
  commands = openSaidCommands();
});
afterEach(() => commands[Symbol.dispose]());

const slurm = loadTemplate(shippedTemplate('slurm'));
const open = (template = slurm) => openCommand(commandOptionsOf(template, { path: commands.bin }));
const LINE = '12|PENDING|grid-00112233aabbccdd|Priority\n';

describe('a queue', () => {
  test.for<[string, Said, string]>([
    [
      'of another program',
      { stdout: '<h1>502 Bad Gateway</h1>\n' },
      "squeue said what cannot be understood: '<h1>502 Bad Gateway</h1>'",
    ],
    [
      'that is cut short',
      { stdout: `${LINE}13|RUNN` },
      "squeue said what cannot be understood: '12|PENDING|",
    ],
    [
      'with a line cut short',
      { stdout: `13|RUNN\n${LINE}` },
      "squeue said what cannot be understood: '13|RUNN'",
    ],
    [
      'in another language',
      { stdout: 'Es laufen keine Aufträge.\n' },
      "'Es laufen keine Aufträge.'",
    ],
    [
      'of bytes that are no text',
      { stdout: '\u0000\u0001\ufffd\n' },
      'squeue said what cannot be understood',
    ],
    [
      'that is not told',
      { stderr: 'slurm_load_jobs error: Unable to contact slurm controller\n', exitCode: 1 },
      'slurm_load_jobs error: Unable to contact slurm controller',
    ],
    ['of nobody', { exitCode: 1 }, 'squeue failed without a word'],
  ])('%s is no answer, and nothing is concluded', async ([, said, message]) => {
    commands.say('squeue', said);
    await expect(open().poll(SELF)).rejects.toMatchObject({
      name: 'BatchSilence',
      message: expect.stringContaining(message),
    });
  });

  test('that is not told in time is no answer', async () => {
    const file = join(commands.bin, 'squeue');
    writeFileSync(file, '#!/bin/sh\n/bin/sleep 60 & wait\n');
    chmodSync(file, 0o755);
    const hasty = { ...slurm, poll: { ...slurm.poll, timeout: 200 } };
    await expect(open(hasty).poll(SELF)).rejects.toThrow('squeue gave no answer in 0.2 s');
  });

  test('of which the program is not there is no answer', async () => {
    await expect(open().poll(SELF)).rejects.toThrow(/squeue cannot be run: spawn squeue ENOENT/);
  });

  test('is asked for in no other language', async () => {
    const file = join(commands.bin, 'squeue');
    writeFileSync(file, '#!/bin/sh\necho "1|$LC_ALL|$LANG|"\n');
    chmodSync(file, 0o755);
    await expect(open().poll(SELF)).resolves.toMatchObject({ closedReason: '' });
  });

  test('holds jobs in states that the template does not know: they run', async () => {
    commands.say('squeue', { stdout: LINE.replace('PENDING', 'LEVITATING') });
    const { jobs } = await open().poll(SELF);
    expect([...jobs.values()]).toEqual([{ id: '12', state: 'runs', reason: 'Priority' }]);
  });

  test('holds jobs that stand still', async () => {
    commands.say('squeue', { stdout: LINE.replace('PENDING', 'SUSPENDED') });
    const { jobs } = await open().poll(SELF);
    expect([...jobs.values()]).toMatchObject([{ id: '12', state: 'suspended' }]);
  });
});

describe('words', () => {
  test.for<[string, Parameters<typeof fill>[0], readonly string[]]>([
    ['a word with values', ['a={one},{two}'], ['a=1,2']],
    ['a group with all its values', [['-a', '{one}'], 'x'], ['-a', '1', 'x']],
    ['a group that lacks one', [['-a', '{one}{none}'], 'x'], ['x']],
    ['a part that has its value', ['s=1{?:g={one}}'], ['s=1:g=1']],
    ['a part that lacks its value', ['s=1{?:g={none}}'], ['s=1']],
    ['many values alone', ['{many}'], ['a b', '$(c)']],
    ['many values in a word', ['--jobs={many}'], ['--jobs=a b,$(c)']],
    ['no values alone', ['x', '{empty}'], ['x']],
  ])('%s', ([, words, expected]) => {
    const values = { one: '1', two: '2', none: '', many: ['a b', '$(c)'], empty: [] };
    expect(fill(words, values)).toEqual(expected);
  });
});

test.for<[string, number]>([
  ['184.5', 184_500],
  ['03:04', 184_000],
  ['01:03:04', 3_784_000],
  ['1-02:03:04', 93_784_000],
  ['12.5 second(s)', 12_500],
  ['-', 0],
])('a time of %s is %i ms', ([text, ms]) => expect(parseClock(text)).toBe(ms));

test.for<[string, number]>([
  ['434716kb', 434_716 * 1_024],
  ['1.5 Gbytes', 1.5 * 2 ** 30],
  ['12M', 12 * 2 ** 20],
  ['4096', 4_096],
  ['0b', 0],
  ['2P', 2 * 2 ** 50],
  ['64Mn', 64 * 2 ** 20],
  ['-', 0],
])('memory of %s is %i bytes', ([text, bytes]) => expect(parseMemory(text)).toBe(bytes));

test('a number without a unit has that of whoever says it', () => {
  expect(parseMemory('100', 'M')).toBe(100 * 2 ** 20);
  expect(parseMemory('1.5G', 'M')).toBe(1.5 * 2 ** 30);
});
