import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { openLeaves } from '../../../core/data/leaves.ts';
import type { ManifestEntry } from '../../../core/data/manifest.ts';
import { byPath, isWithin } from '../../../core/data/paths.ts';

test('whatever lies below a file or a link is told of, also where other names stand between the two', () => {
  const entry = fc.record({
    path: fc.stringMatching(/^[ab](?:[-/a][ab]?){0,4}$/),
    isLeaf: fc.boolean(),
  });
  const tree = fc.uniqueArray(entry, { maxLength: 20, selector: ({ path }) => path });
  fc.assert(
    fc.property(tree, (paths) => {
      const entries = paths
        .map(
          ({ path, isLeaf }): ManifestEntry =>
            isLeaf ? { kind: 'link', path, target: 'x' } : { kind: 'directory', path, mode: 0o755 },
        )
        .toSorted(byPath);
      const leaves = entries.filter(({ kind }) => kind === 'link');
      const below = entries.filter(({ path }) =>
        leaves.some((leaf) => leaf.path !== path && isWithin(path, leaf.path)),
      );
      expect(entries.filter(openLeaves())).toEqual(below);
    }),
  );
});
