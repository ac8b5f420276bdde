import { expect, test } from 'vitest';
import { checkKnown } from '../../../cli/data/data-copy.ts';

test.for([
  [['aachen', 'bremen'], "the grid has no site 'nowhere'; it has aachen, bremen"],
  [[], "the grid has no site 'nowhere'; no site is enrolled yet"],
] as const)('a site that is not one of %j is refused', ([sites, message]) => {
  expect(() => checkKnown('nowhere', sites)).toThrow(message);
});
