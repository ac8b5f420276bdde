import { expect, test } from 'vitest';
import { checkKnown, sitePlace } from '../../../cli/data/data-copy.ts';

test.for([
  [['aachen', 'bremen'], "the grid has no site 'nowhere'; it has aachen, bremen"],
  [[], "the grid has no site 'nowhere'; no site is enrolled yet"],
] as const)('a site that is not one of %j is refused', ([sites, message]) => {
  expect(() => checkKnown('nowhere', sites)).toThrow(message);
});

test.for<readonly [string, string]>([
  ['north:/data/a\nb', 'path "/data/a\\nb" at site north has a control character'],
  ['north:/data/x\n', 'path "/data/x\\n" at site north has a control character'],
  ['north:data', 'path "data" at site north is not absolute'],
  ['north:/data/../etc', `path "/data/../etc" at site north has a part '.' or '..'`],
  ['north:/data//x', 'path "/data//x" at site north has an empty part'],
])('%j is refused: %s', ([text, message]) => {
  expect(() => sitePlace(text)).toThrow(message);
});

test.for<readonly [string, string]>([
  ['north:/data/a b/', '/data/a b'],
  ['north:/', '/'],
  ['north://', '/'],
  ['north:', ''],
])('%j is a place of a site', ([text, path]) => {
  expect(sitePlace(text)).toEqual({ site: 'north', path });
});
