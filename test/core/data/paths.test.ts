import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { linkProblem, pathProblem, safePath } from '../../../core/data/paths.ts';

const word = fc.stringMatching(/^[a-zA-Z0-9_-]{1,12}$/);
const path = fc.array(word, { minLength: 1, maxLength: 5 }).map((names) => names.join('/'));

/** A path with `bad` in the place of one of its names, or around it. */
const withPart = (bad: fc.Arbitrary<string>) =>
  fc
    .tuple(fc.array(word, { maxLength: 3 }), bad, fc.array(word, { maxLength: 3 }))
    .map(([before, part, after]) => [...before, part, ...after].join('/'));
const code = (first: number, last: number) =>
  fc.integer({ min: first, max: last }).map((unit) => String.fromCharCode(unit));
const around = (inside: fc.Arbitrary<string>) =>
  fc.tuple(word, inside, word).map((parts) => parts.join(''));

describe('no tree has a path', () => {
  test.for<[string, fc.Arbitrary<string>]>([
    ['that is empty', fc.constant('')],
    ['that is absolute', path.map((text) => `/${text}`)],
    ["with a part '..'", withPart(fc.constant('..'))],
    ["with a part '.'", withPart(fc.constant('.'))],
    ['with an empty part', fc.tuple(path, path).map(([a, b]) => `${a}//${b}`)],
    ['that ends with a slash', path.map((text) => `${text}/`)],
    ['with a NUL', withPart(around(fc.constant('\0')))],
    ['with a control character', withPart(around(code(1, 31)))],
    ['with DEL or a C1 control', withPart(around(code(127, 159)))],
    ['with a backslash', withPart(around(fc.constant('\\')))],
    ['with a letter that is not composed', withPart(around(fc.constant('e\u0301')))],
    ['with half a surrogate pair', withPart(around(code(0xd800, 0xdfff)))],
    [
      'with a name over 255 bytes',
      withPart(fc.integer({ min: 128, max: 300 }).map((n) => 'é'.repeat(n))),
    ],
    ['over 4096 bytes', fc.constant(Array.from({ length: 900 }, () => 'long').join('/'))],
  ])('%s', ([, evil]) => {
    fc.assert(
      fc.property(evil, (text) => {
        expect(pathProblem(text)).toBeTypeOf('string');
        expect(() => safePath(text)).toThrow(expect.objectContaining({ code: 'PATH_REFUSED' }));
      }),
    );
  });

  test('and says which path it was, with what is hidden made visible', () => {
    expect(() => safePath('a/\u0007b')).toThrow('path "a/\\u0007b" has a control character');
  });

  test.each([
    ['/etc/passwd', 'is absolute'],
    ['a//b', 'has an empty part'],
    ['a/../b', "has a part '.' or '..'"],
  ])('%j, for it %s', (text, why) => {
    expect(pathProblem(text)).toBe(why);
  });
});

test('plain relative paths are kept as they are', () => {
  fc.assert(fc.property(path, (text) => safePath(text) === text));
  for (const good of [
    'a',
    '.grid/stdout',
    '..a/b..',
    'Größe/日本',
    '-rf',
    'a b',
    'x'.repeat(255),
  ]) {
    expect(safePath(good)).toBe(good);
  }
});

describe('a link', () => {
  test.for<[string, string]>([
    ['a', 'b'],
    ['d/a', '../b'],
    ['d/e/a', '../../b/c'],
    ['d/a', '..'],
  ])('%s -> %s stays inside', ([from, to]) => expect(linkProblem(from, to)).toBeUndefined());

  test.for<[string, string]>([
    ['a', '..'],
    ['a', '../b'],
    ['d/a', '../../b'],
    ['a', '/etc/passwd'],
    ['a', 'd/..'],
    ['a', 'd/../../b'],
    ['a', '.'],
    ['a', ''],
    ['a', 'b//c'],
    ['a', 'b/'],
  ])('%s -> %j is refused', ([from, to]) => expect(linkProblem(from, to)).toBeTypeOf('string'));

  test('that is allowed leads nowhere outside, through whatever other allowed links', () => {
    // Names from a small set, so that links meet one another.
    const name = fc.constantFrom('a', 'b', 'c');
    const place = fc.array(name, { minLength: 1, maxLength: 3 });
    const target = fc.array(fc.constantFrom('a', 'b', 'c', '..'), { minLength: 1, maxLength: 4 });
    const link = fc
      .tuple(place, target)
      .map(([from, to]) => [from.join('/'), to.join('/')] as const);
    fc.assert(
      fc.property(fc.array(link, { maxLength: 6 }), place, (links, start) => {
        const allowed = new Map(links.filter(([from, to]) => linkProblem(from, to) === undefined));
        const realParents = [...allowed.keys()].every(
          (from) => ![...allowed.keys()].some((other) => from.startsWith(`${other}/`)),
        );
        fc.pre(realParents);
        expect(leaves(allowed, start)).toBe(false);
      }),
    );
  });
});

/** Walks as the kernel does, links and all; true if the walk goes above the root. */
function leaves(links: ReadonlyMap<string, string>, start: readonly string[]): boolean {
  const todo = [...start];
  const here: string[] = [];
  for (let steps = 0; steps < 100 && todo.length > 0; steps += 1) {
    const name = todo.shift() ?? '';
    const link = links.get([...here, name].join('/'));
    if (name === '..' && here.pop() === undefined) return true;
    if (link !== undefined) todo.unshift(...link.split('/'));
    else if (name !== '..') here.push(name);
  }
  return false;
}
