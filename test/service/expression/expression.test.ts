import { describe, expect, test } from 'vitest';
import { voName } from '../../../core/ids.ts';
import type { ExpressionKind } from '../../../core/match/ask.ts';
import {
  compilePolicy,
  compileRank,
  compileRequirement,
  readsOf,
  WORST_RANK,
} from '../../../service/expression/expression.ts';
import { checkExpression } from '../../../service/expression/expression-check.ts';
import { MAX_EXPRESSION_LENGTH } from '../../../service/expression/expression-language.ts';
import { openRules } from '../../../service/expression/rules.ts';
import { askFor, offerOf, queueOf } from '../../fakes/offers.ts';

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
const LONG = queueOf('long', { maxWalltimeMs: 86_400_000, features: ['fast-disk'], freeCpus: 2 });
const JOB = askFor({ vo: voName('biomed') }, { cpus: 2 });

describe('checking', () => {
  test.for<[ExpressionKind, string]>([
    ['requirements', 'site.arch == "x86_64" && "cuda" in site.features'],
    ['requirements', 'site.free_memory >= 4 * GiB || site.id.startsWith("hpc-")'],
    ['requirements', 'site.features.exists(f, f.startsWith("cuda-1"))'],
    ['requirements', 'site.cpus / job.cpus >= 4'],
    ['requirements', 'queue.max_walltime >= 24 * 3600 && "/biomed" in caller.fqans'],
    ['requirements', '["a", "b"].all(f, f in site.features)'],
    ['requirements', 'site.price < 0.5 && "matlab" in site.licences && site.disk > job.disk'],
    ['requirements', 'site.expected_wait < 600 && site.gpu_models.exists(m, m.contains("A100"))'],
    ['rank', '0.0 - site.price'],
    ['rank', 'caller.dn.endsWith("CN=Ada") ? queue.free_cpus : 0'],
    ['rank', 'site.free_cpus'],
    ['rank', 'double(site.free_cpus) / 2.5'],
    ['policy', 'job.walltime <= 4 * 3600 && caller.vo == "biomed"'],
    ['policy', 'caller.fqans.exists(f, f.startsWith("/biomed/imaging"))'],
  ])('as %s, %s is good', ([kind, text]) => expect(checkExpression(kind, text)).toEqual([]));

  test.for<[ExpressionKind, string, string]>([
    ['requirements', 'site.cpu > 3', "1:6 site has no attribute 'cpu'; did you mean 'cpus'?"],
    ['requirements', 'sit.cpus > 3', "1:1 'sit' is not known here; did you mean 'site'?"],
    [
      'requirements',
      'site.cpus > 1 && user.vo == "x"',
      "1:18 'user' is not known here; known are site, queue, job and caller",
    ],
    [
      'requirements',
      'queue.max_waltime > 3600',
      "1:7 queue has no attribute 'max_waltime'; did you mean 'max_walltime'?",
    ],
    ['rank', 'site["fre_cpus"]', "1:1 site has no attribute 'fre_cpus'; did you mean 'free_cpus'?"],
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
    ['timestamp("2020-01-01T00:00:00Z") == timestamp("x")', "'timestamp' is not offered here"],
    ['[1].all(a, [2].all(b, a == b))', "'all' inside another comprehension"],
    ['[1, 2, 3].filter(a, a > 1).all(b, b > 1)', "'filter' inside another comprehension"],
    [
      'site.features.all(f, f in site.features)',
      'it may take 66819 steps where lists are long, at most 20000',
    ],
    [
      'site.features.all(f, [f] + site.features == site.features)',
      'it may take 133635 steps where lists are long, at most 20000',
    ],
    [`${'('.repeat(60)}true${')'.repeat(60)}`, 'exceeded maxDepth (40)'],
    ['['.repeat(4_000), 'exceeded maxDepth (40)'],
    [`${'true ? true : '.repeat(200)}true`, 'exceeded maxDepth (40)'],
    [`site${'.cpus'.repeat(800)}`, 'exceeded maxDepth (40)'],
    [`${'!'.repeat(4_000)}true`, 'exceeded maxAstNodes (300)'],
    [`${'1 + '.repeat(1_000)}1 > 0`, 'exceeded maxAstNodes (300)'],
    [`[${'1,'.repeat(120)}1] == []`, 'exceeded maxListElements (100)'],
    [Array.from({ length: 200 }, () => 'true').join('&&'), 'exceeded maxAstNodes (300)'],
    [
      `${'x'.repeat(4_000)} > 1`,
      `'${'x'.repeat(60)}...' is not known here; known are site, queue, job and caller`,
    ],
  ])('%s', ([text, expected]) => {
    expect(checkExpression('requirements', text).map((p) => p.message)).toEqual([expected]);
  });

  test.for<[string, string]>([
    ['a text that is too long', `"${'a'.repeat(MAX_EXPRESSION_LENGTH)}" == ""`],
    ['a text of 1 MB', `"${'a'.repeat(2 ** 20)}" == ""`],
    ['a text nested 10^4 deep', `${'('.repeat(10_000)}true${')'.repeat(10_000)}`],
    ['a list of 10^6', `1 in [${'1,'.repeat(10 ** 6)}1]`],
  ])('%s', ([_what, text]) => {
    expect(checkExpression('requirements', text)[0]?.message).toBe(
      `the expression has ${text.length} characters, at most 4096`,
    );
  });

  test('strings cannot grow beyond what the text itself writes', () => {
    const text = `size(${Array.from({ length: 60 }, () => `"${'a'.repeat(60)}"`).join('+')}) > 0`;
    expect(compileRequirement(text)(JOB, OFFER)).toEqual({ holds: true, reason: '' });
    const grows = checkExpression('requirements', 'site.features.exists_one(f, f * 1000 == "")');
    expect(grows[0]?.message).toBe('no such overload: string * int');
  });

  test('of a list of an offer only so much is seen', () => {
    const features = Array.from({ length: 10 ** 6 }, (_, index) => `f${index}`);
    const offer = offerOf('wide', { features });
    expect(compileRequirement('size(site.features) == 256')(JOB, offer).holds).toBe(true);
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

  test.for<[string, string]>([
    ['9223372036854775807 + site.cpus > 0', 'integer overflow: 9223372036854775823'],
    ['site.memory * site.memory > 0', 'integer overflow: 4722366482869645213696'],
    ['site.cpus % (job.cpus - 2) == 0', 'modulo by zero'],
    ['site.features[9] == "x"', 'no such key: index out of bounds, index 9 >= size 2'],
    ['int("much") > 0', 'int() type error: cannot convert to int'],
  ])('%s is false: %s', ([text, why]) => {
    const { holds, reason } = compileRequirement(text)(JOB, OFFER);
    expect(holds).toBe(false);
    expect(reason.toLowerCase()).toBe(`requirements cannot be evaluated: ${why}`);
  });

  test.for<[string]>([
    ['0.0 / 0.0'],
    ['1.0 / 0.0'],
    ['double("nan")'],
    ['site.cpus / 0'],
    ['0.0 / double(site.free_gpus)'],
  ])('the rank %s is the worst, below every number', ([text]) => {
    expect(compileRank(text)(JOB, OFFER)).toBe(WORST_RANK);
    expect(WORST_RANK).toBeLessThan(-Number.MAX_VALUE);
  });

  test('an error beside a condition that settles it does no harm', () => {
    expect(compileRequirement('site.cpus / 0 > 1 || site.cpus > 1')(JOB, OFFER).holds).toBe(true);
    expect(compileRequirement('site.cpus / 0 > 1 && site.cpus > 99')(JOB, OFFER).holds).toBe(false);
  });

  test('requirements and ranks see the queue, and the site as a whole where there is none', () => {
    const daily = compileRequirement('queue.max_walltime >= 24 * 3600 && queue.name == "long"');
    expect(daily(JOB, OFFER, LONG).holds).toBe(true);
    expect(daily(JOB, OFFER).holds).toBe(false);
    expect(compileRequirement('"fast-disk" in queue.features')(JOB, OFFER, LONG).holds).toBe(true);
    expect(compileRequirement('"cuda" in queue.features')(JOB, OFFER, LONG).holds).toBe(true);
    expect(compileRank('queue.free_cpus')(JOB, OFFER, LONG)).toBe(2);
    expect(compileRank('queue.free_cpus')(JOB, OFFER)).toBe(4);
  });

  test('requirements and ranks see whose job it is', () => {
    const mine = compileRequirement('caller.vo == "biomed" && "/demo" in caller.fqans');
    expect(mine(JOB, OFFER).holds).toBe(true);
    expect(mine({ ...JOB, fqans: [] }, OFFER).holds).toBe(false);
    expect(compileRank('caller.dn.endsWith("CN=Alice") ? 1 : 2')(JOB, OFFER)).toBe(1);
  });

  test('what a site has besides is seen, too', () => {
    const offer = offerOf('besides', {
      licences: [{ name: 'matlab', total: 2, free: 1 }],
      gpuModels: ['NVIDIA A100'],
      queues: [LONG],
      price: 0.25,
      expectedWaitMs: 1_500,
    });
    const text =
      '"matlab" in site.licences && site.gpu_models == ["NVIDIA A100"] && site.queues == ["long"]';
    expect(compileRequirement(text)(JOB, offer)).toEqual({ holds: true, reason: '' });
    expect(compileRank('site.price * 4.0 + double(site.expected_wait)')(JOB, offer)).toBe(3);
    expect(compileRank('site.disk / GiB')(JOB, offer)).toBe(100);
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

describe('what an expression looks at', () => {
  test.for<[ExpressionKind, string, readonly string[]]>([
    ['requirements', '', []],
    ['requirements', 'site.cpus > job.cpus', ['job']],
    ['requirements', 'site["cpus"] > 1', []],
    ['requirements', 'site["free_cpus"] > 1', ['momentary']],
    ['requirements', 'site.features.exists(f, f == "x") && site.free_disk > 1', ['momentary']],
    ['requirements', 'site.expected_wait < 60', ['momentary']],
    ['requirements', '[site].all(s, s.free_cpus > 1)', ['momentary']],
    ['requirements', 'queue.max_walltime > 60', ['queue']],
    ['requirements', 'queue.free_cpus > 60', ['momentary', 'queue']],
    ['requirements', 'caller.vo == "x" || true', ['caller']],
    ['rank', 'site.cpus', []],
    ['rank', 'queue.cpus', ['momentary', 'queue']],
    ['policy', 'job.cpus < 4', ['job']],
    ['policy', 'job.cpus < 4 || caller.dn == "/CN=a"', ['caller', 'job']],
    ['policy', 'this does not compile', []],
  ])('%s %s: %o', ([kind, text, expected]) => {
    const reads = Object.entries(readsOf(kind, text));
    expect(
      reads
        .filter(([, yes]) => yes)
        .map(([what]) => what)
        .toSorted(),
    ).toEqual(expected);
    expect(Object.entries(openRules().reads(kind, text))).toEqual(reads);
  });
});

describe('rules never throw', () => {
  const rules = openRules();

  test('a policy that cannot be compiled welcomes nobody, and says where it is wrong', () => {
    expect(rules.welcomes(offerOf('odd', { policy: 'job.cpu > 1' }), JOB)).toEqual({
      holds: false,
      reason:
        "the site's policy cannot be used: policy:1:5 job has no attribute 'cpu'; did you mean 'cpus'?",
    });
  });

  test('requirements and ranks that cannot be compiled hold nowhere and come last', () => {
    const odd = { ...JOB, requirements: 'site.x', rank: 'site.y' };
    expect(rules.meets(odd, OFFER)).toMatchObject({ holds: false });
    expect(rules.rank(odd, OFFER)).toBe(WORST_RANK);
  });
});
