import { expect, test } from 'vitest';
import { compileGlob } from '../../../core/data/glob.ts';

test.for<[string, string, string]>([
  ['out/a.csv', 'out/a.csv', 'out/a.csv2 out/b.csv a.csv'],
  ['out', 'out out/a out/b/c', 'output out/.a out/b/.c'],
  ['*.csv', 'a.csv b.c.csv', 'a.csv2 .csv .a.csv in/a.csv'],
  ['a*', 'a ab a.b a/b', 'ba .a'],
  ['?.csv', 'a.csv ü.csv', '.csv ab.csv ..csv /.csv'],
  ['.*', '.a .a.b', 'a a/.b'],
  ['**', 'a a/b', '.a a/.b'],
  ['**/*.csv', 'a.csv in/a.csv in/deep/a.csv', '.in/a.csv in/.a.csv in/a.csvx'],
  ['in/**', 'in/a in/b/c', 'in inn/a in/.a'],
  ['in/**/out', 'in/out in/a/b/out in/a/out/x', 'in/a/b in/aout in/.a/out'],
  ['a**b', 'ab aab', 'a/b'],
  ['[a-c]x', 'ax cx', 'dx -x x'],
  ['[!a-c]x', 'dx -x', 'ax .x x'],
  ['[]a-]', '] a -', 'b [ []a-]'],
  ['[a', '[a', 'a'],
  ['{a,b*}.csv', 'a.csv b.csv bc.csv', 'c.csv ab.csv {a,b}.csv'],
  ['{a,{b,c}}/{x,}y', 'a/xy b/y c/xy', 'a/x {b/y'],
  ['{.a,b}', '.a b', 'a .b'],
  ['{,x}.a', '.a x.a', 'y.a a'],
  ['{,sub/}.a', '.a sub/.a', 'sub/a x.a'],
  ['{sub/,}.s*', 'sub/.s .sx', 'sub/s'],
  ['{a}', '{a}', 'a'],
  ['{a,b', '{a,b', 'a b'],
  ['plot(1)+.png', 'plot(1)+.png', 'plot1.png plot(1).png'],
  ['\\*\\[a\\]\\\\', '*[a]\\', 'x[a]\\'],
])('%s stands for %s, and not for %s', ([pattern, yes, no]) => {
  const glob = compileGlob(pattern);
  for (const path of yes.split(' ')) expect([path, glob.matches(path)]).toEqual([path, true]);
  for (const path of no.split(' ')) expect([path, glob.matches(path)]).toEqual([path, false]);
  const parts = yes.split(' ').map((path) => path.split('/').slice(0, -1));
  for (const folders of parts)
    for (const [at] of folders.entries())
      expect(glob.reaches(folders.slice(0, at + 1).join('/'))).toBe(true);
});

test.for<[string, string, boolean]>([
  ['r', 'p', false],
  ['p', 'p/deep/er', true],
  ['in/*.csv', 'out', false],
  ['in/*.csv', 'in/deep', false],
  ['in/*.csv', 'in/deep.csv', true],
  ['in/**/x', 'in/a/b', true],
  ['*', 'a', true],
  ['*', '.a', false],
  ['**', 'a/.b', false],
  ['{a,b}/c', 'b', true],
  ['{a,b}/c', 'c', false],
])('whether %s may be in %s: %o', ([pattern, folder, expected]) => {
  expect(compileGlob(pattern).reaches(folder)).toBe(expected);
});

test.for<[string, boolean]>([
  ['a.b', true],
  ['odd\\[1\\].txt', true],
  ['{a}', true],
  ['{*', false],
  ['[', true],
  ['a?', false],
  ['[a]', false],
  ['{a,b}', false],
])('whether %s has no wildcard: %o', ([pattern, expected]) => {
  expect(compileGlob(pattern).isLiteral).toBe(expected);
});

test.for([
  ['{', 4_000],
  ['{a,', 3_000],
  ['{a,b', 900],
] as const)('a pattern of many %s is read all the same', ([part, times]) => {
  const pattern = part.repeat(times);
  expect(compileGlob(pattern).matches(pattern)).toBe(true);
});
