import { stripVTControlCharacters } from 'node:util';
import { expect, test } from 'vitest';
import { describeFailure } from '../../cli/errors.ts';
import { writeSpec } from '../../cli/jobs/write-spec.ts';
import { palette } from '../../cli/palette.ts';
import { agoText, bar, countsText, facts, shorten, stateText, table } from '../../cli/render.ts';
import { offeredFacts } from '../../cli/site/offered-facts.ts';
import { GridError } from '../../core/errors.ts';
import { parseSpec } from '../../core/job/parse-spec.ts';
import type { Offer } from '../../core/match/offer.ts';
import { ensureDirectory } from '../../service/directories.ts';
import { offerOf } from '../fakes/offers.ts';

const plain = palette(false);
const coloured = palette(true);
const style = {
  json: false,
  debug: false,
  red: (text: string) => text,
  dim: (text: string) => text,
};

test('a table has columns two spaces apart, no frame and no trailing spaces', () => {
  expect(
    table(
      ['id', 'name'],
      [
        ['a', 'b'],
        ['ccc', ''],
      ],
      plain,
    ),
  ).toBe('ID   NAME\na    b\nccc');
});

test('a cell of several lines stays in its column', () => {
  const rows = [
    ['a', 'one\ntwo', 'x'],
    ['b', '', ''],
  ];
  expect(table(['id', 'words', 'end'], rows, plain)).toBe(
    ['ID  WORDS  END', 'a   one    x', '    two', 'b'].join('\n'),
  );
});

test('a table of many rows is there in a moment', () => {
  const rows = Array.from({ length: 40_000 }, (_, at) => ['4 KiB', `run/${at}`]);
  expect(table(['size', 'path'], rows, plain).split('\n')).toHaveLength(rows.length + 1);
});

test('a table that a narrow terminal would break is a paragraph for each row', () => {
  const rows = [
    ['hamburg', coloured.good('up'), '1/1', 'fork x86_64'],
    ['luebeck', 'lost', '', 'fork x86_64'],
  ];
  const heads = ['site', 'state', 'cpus free', 'kind'];
  const stripped = (columns?: number): string =>
    stripVTControlCharacters(table(heads, rows, coloured, columns));
  expect(stripped(30)).toBe(
    [
      ...['hamburg', '  state      up', '  cpus free  1/1', '  kind       fork x86_64'],
      ...['luebeck', '  state  lost', '  kind   fork x86_64'],
    ].join('\n'),
  );
  // Wide enough, and a program that reads it.
  expect(stripped(60)).toBe(stripped());
  expect(stripped()).toMatch(/^SITE +STATE +CPUS FREE +KIND\n/);
});

test('characters that take two columns make a table too wide for a narrow terminal as well', () => {
  const rows = [['漢字漢字漢字', '漢字漢字']];
  expect(table(['name', 'kind'], rows, plain, 20)).toBe('漢字漢字漢字\n  kind  漢字漢字');
});

test('colours do not move columns', () => {
  const [, first, second] = table(
    ['a', 'b'],
    [
      [coloured.good('x'), 'y'],
      ['xx', 'y'],
    ],
    coloured,
  ).split('\n');
  expect([first?.replace(coloured.good('x'), 'x'), second]).toEqual(['x   y', 'xx  y']);
});

test('facts stand below one another, the empty ones left out', () => {
  expect(
    facts(
      [
        ['dn', '/CN=a'],
        ['none', ''],
        ['fqans', '/a\n/b'],
      ],
      plain,
    ),
  ).toBe('dn     /CN=a\nfqans  /a\n       /b');
});

test('a state is plain text without a terminal', () => {
  expect(stateText('failed', plain)).toBe('failed');
  expect(stateText('failed', coloured)).toContain('\u001b[31m');
});

test('counts, bars, times and cuts', () => {
  const counts = { queued: 1, active: 2, done: 18, failed: 1, cancelled: 0, held: 0 };
  expect(countsText(counts, 22)).toBe('18/22 done, 2 active, 1 failed');
  expect([bar(0.5, 4), bar(2, 2), bar(0, 2)]).toEqual(['██──', '██', '──']);
  expect([agoText(0, 5_000), agoText(1_000, 6_000), agoText(9, 5)]).toEqual([
    '',
    '5.0 s ago',
    '0 ms ago',
  ]);
  expect([shorten('abcdef', 4), shorten('abc', 4)]).toEqual(['abc…', 'abc']);
});

test('a failure is its code, its problems and what to do', () => {
  const error = new GridError('SPEC_INVALID', '1 thing is wrong', {
    problems: [{ where: 'job.yaml:2:1', message: "there is no key 'cpu'" }],
  });
  expect(describeFailure(error, style)).toEqual({
    exit: 2,
    text: "grid: SPEC_INVALID: 1 thing is wrong\n  job.yaml:2:1 there is no key 'cpu'\n  -> mend the listed problems and submit again",
  });
  expect(JSON.parse(describeFailure(error, { ...style, json: true }).text)).toMatchObject({
    error: { code: 'SPEC_INVALID', exit: 2, problems: [{ where: 'job.yaml:2:1' }] },
  });
});

test('a directory that cannot be made is named', () => {
  const made = (): void => ensureDirectory('/proc/none/of/these');
  const failure = (() => {
    try {
      return made();
    } catch (error) {
      return describeFailure(error, style);
    }
  })();
  expect(failure).toMatchObject({
    exit: 6,
    text: expect.stringMatching(/FILE_UNWRITABLE: '\/proc\/none' cannot be made where it is to be/),
  });
});

test('what is no error of ours is INTERNAL and shows where it was; an abort is INTERRUPTED', () => {
  const failure = describeFailure(new TypeError('oops'), style);
  expect(failure.exit).toBe(70);
  expect(failure.text).toContain('grid: INTERNAL: oops');
  expect(failure.text).toContain('render.test.ts');
  expect(describeFailure(AbortSignal.abort().reason, style).exit).toBe(130);
});

test('a dry run shows a job that, submitted again, is the same job', () => {
  const parsed = parseSpec({
    command: ['a', 'b'],
    memory: '1500M',
    walltime: '1h30m1s',
    array: '0-9:2',
    inputs: [{ from: 'x', to: 'y' }],
    'inputs-as': 'copy',
    env: { A: '1' },
    sites: ['s'],
    'on-lost': 'keep',
    requirements: 'true',
    image: 'ghcr.io/lab/tool:2',
  });
  expect(parsed.ok).toBe(true);
  const { spec } = parsed as Extract<typeof parsed, { ok: true }>;
  expect(parseSpec(writeSpec(spec))).toEqual({ ok: true, spec });
  expect(writeSpec(spec)).toMatchObject({ memory: '1500M', walltime: '1h30m1s', array: '0-9:2' });
});

test('a site says which modules it has, and which images it runs', () => {
  const modules = ['1', '2', '3', '4', '5', '6', '7', '8', '9', '10', '11', '12'];
  const factsOf = (details: Partial<Offer>) =>
    new Map(offeredFacts(offerOf('campus', details)).map(([name, text]) => [name, text]));
  const all = factsOf({ modules, containers: { runtime: 'podman', images: [] } });
  expect(all.get('modules')).toBe('1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 2 more');
  expect(all.get('images')).toBe('podman');
  const some = factsOf({
    containers: { runtime: 'apptainer', images: ['ghcr.io/lab/', '/cvmfs/'] },
  });
  expect(some.get('images')).toBe('apptainer: ghcr.io/lab/, /cvmfs/ only');
  expect(factsOf({}).get('images')).toBe('');
});
