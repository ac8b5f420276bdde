import { describe, expect, test } from 'vitest';
import { voName } from '../../core/ids.ts';
import {
  checkExpression,
  compilePolicy,
  compileRank,
  compileRequirement,
  type ExpressionKind,
  type JobView,
  MAX_EXPRESSION_LENGTH,
  WORST_RANK,
} from '../../service/expression.ts';
import { offerOf, resourcesOf } from '../fakes/offers.ts';

const GIB = 2 ** 30;
const OFFER = offerOf('campus', {
  features: ['python3', 'cuda'],
  totalCpus: 16,
  freeCpus: 4,
  totalMemoryBytes: 64 * GIB,
  freeMemoryBytes: 8 * GIB,
  totalGpus: 1,
  maxWalltimeMs: 86_400_000,
});
const JOB: JobView = {
  vo: voName('biomed'),
  resources: resourcesOf({ cpus: 2 }),
};

describe('checking', () => {
  test.for<[ExpressionKind, string]>([
    ['requirements', 'site.arch == "x86_64" && "cuda" in site.features'],
    ['requirements', 'site.free_memory >= 4 * GiB || site.id.startsWith("hpc-")'],
    ['requirements', 'site.features.exists(f, f.startsWith("cuda-1"))'],
    ['requirements', 'site.cpus / job.cpus >= 4'],
    ['rank', 'site.free_cpus'],
    ['rank', 'double(site.free_cpus) / 2.5'],
    ['policy', 'job.walltime <= 4 * 3600 && caller.vo == "biomed"'],
    ['policy', 'caller.fqans.exists(f, f.startsWith("/biomed/imaging"))'],
  ])('as %s, %s is good', ([kind, text]) => expect(checkExpression(kind, text)).toEqual([]));

  test.for<[ExpressionKind, string, string]>([
    ['requirements', 'site.cpu > 3', "1:6 site has no attribute 'cpu'; did you mean 'cpus'?"],
    ['requirements', 'sit.cpus > 3', "1:1 'sit' is not known here; did you mean 'site'?"],
    ['requirements', 'caller.vo == "x"', "1:1 'caller' is not known here; known are site and job"],
    ['policy', 'site.cpus > 1', "1:1 'site' is not known here; known are job and caller"],
    [
      'requirements',
      'true &&\n site.memry > 4',
      "2:7 site has no attribute 'memry'; did you mean 'memory'?",
    ],
    ['requirements', 'site.cpus > "4"', '1:1 no such overload: int > string'],
    ['requirements', 'site.cpus', '1:1 the result must be true or false, but is int'],
    ['rank', 'site.cpus > 1', '1:1 the result must be a number, but is bool'],
    [
      'rank',
      'site.cpus * 1.5',
      '1:1 no such overload: int * double: write double(...) around the whole number',
    ],
    ['requirements', 'site.cpus >', '1:12 unexpected token: EOF'],
    ['requirements', '  ', '1:1 the expression is empty'],
    [
      'requirements',
      'site.id.startwith("a")',
      "1:1 there is no function 'startwith'; did you mean 'startsWith'?",
    ],
  ])('as %s, %s is refused: %s', ([kind, text, expected]) => {
    const found = checkExpression(kind, text);
    expect(found.map((p) => `${p.line}:${p.column} ${p.message}`)).toEqual([expected]);
  });
});

describe('what could run for long is refused before it runs', () => {
  test.for<[string, string]>([
    ['site.id.matches("(a+)+$")', "'matches' is not offered here"],
    ['cel.bind(x, 1, x > 0)', "'bind' is not offered here"],
    ['site.features.map(f, f + f) == []', "'map' is not offered here"],
    ['has(site.gpu)', "'has' is not offered here"],
    ['[1].all(a, [2].all(b, a == b))', "'all' inside another comprehension"],
    [`${'('.repeat(60)}true${')'.repeat(60)}`, 'exceeded maxDepth (40)'],
    [`[${'1,'.repeat(120)}1] == []`, 'exceeded maxListElements (100)'],
    [Array.from({ length: 200 }, () => 'true').join('&&'), 'exceeded maxAstNodes (300)'],
  ])('%s', ([text, expected]) => {
    expect(checkExpression('requirements', text).map((p) => p.message)).toEqual([expected]);
  });

  test('a text that is too long', () => {
    const text = `"${'a'.repeat(MAX_EXPRESSION_LENGTH)}" == ""`;
    expect(checkExpression('requirements', text)[0]?.message).toBe(
      `the expression has ${text.length} characters, at most 4096`,
    );
  });
});

describe('evaluating', () => {
  test('requirements see the site and the job', () => {
    expect(compileRequirement('site.free_cpus >= job.cpus * 2')(JOB, OFFER).holds).toBe(true);
    expect(compileRequirement('"rocm" in site.features')(JOB, OFFER).holds).toBe(false);
    expect(
      compileRequirement('site.memory == 64 * GiB && job.walltime == 3600')(JOB, OFFER).holds,
    ).toBe(true);
  });

  test('an empty requirement holds everywhere and an empty policy welcomes all', () => {
    expect(compileRequirement('')(JOB, OFFER)).toEqual({ holds: true, reason: '' });
    expect(compilePolicy('')(JOB, { dn: '/CN=a', fqans: [] }).holds).toBe(true);
    expect(compileRank('')(JOB, OFFER)).toBe(0);
  });

  test('an expression that cannot be evaluated is false, and says why', () => {
    expect(compileRequirement('site.cpus / (job.cpus - 2) > 0')(JOB, OFFER)).toEqual({
      holds: false,
      reason: 'requirements cannot be evaluated: division by zero',
    });
  });

  test('a rank is a number; one that cannot be evaluated is the worst', () => {
    expect(compileRank('site.free_cpus * 10')(JOB, OFFER)).toBe(40);
    expect(compileRank('double(site.free_cpus) / 8.0')(JOB, OFFER)).toBe(0.5);
    expect(compileRank('site.cpus / site.free_gpus')(JOB, OFFER)).toBe(WORST_RANK);
    expect(compileRank('1.0 / double(site.free_gpus)')(JOB, OFFER)).toBe(WORST_RANK);
  });

  test('a policy sees who asks, and under which VO', () => {
    const caller = { dn: '/CN=a', fqans: ['/biomed/imaging/Role=manager'] };
    const policy = compilePolicy(
      '"/biomed/imaging/Role=manager" in caller.fqans && caller.vo == job.vo',
    );
    expect(policy(JOB, caller).holds).toBe(true);
    expect(policy(JOB, { ...caller, fqans: [] }).holds).toBe(false);
  });

  test('compiling what does not check throws SPEC_INVALID with the position', () => {
    expect(() => compilePolicy('job.cpu > 1')).toThrow(
      expect.objectContaining({
        code: 'SPEC_INVALID',
        problems: [
          { where: 'policy:1:5', message: "job has no attribute 'cpu'; did you mean 'cpus'?" },
        ],
      }),
    );
  });
});
