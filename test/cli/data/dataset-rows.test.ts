import { expect, test } from 'vitest';
import { datasetRows } from '../../../cli/data/data.ts';
import { Dataset } from '../../../proto/gen/grid/v1/data.ts';

const DAY_MS = 86_400_000;
const ADA = '/DC=org/DC=example/CN=Ada Lovelace';
const GRACE = '/DC=org/DC=example/OU=Navy/CN=hopper/CN=Grace Hopper';
const OTHER_GRACE = '/DC=net/DC=other/CN=Grace Hopper';
const NAMELESS = '/DC=org/DC=example/OU=Robots';
const YOU = '/DC=org/CN=you';

const ownersSeenBy = (me: string, ...owners: readonly string[]): readonly unknown[] => {
  const datasets = owners.map((owner, at) =>
    Dataset.fromPartial({ vo: 'demo', name: `d${at}`, version: 1, owner }),
  );
  const { headings, rows } = datasetRows(datasets, me, DAY_MS);
  const column = headings.indexOf('owner');
  return rows.map((row) => row[column]);
};

test('whose datasets are is shown where one of them is of somebody else', () => {
  expect(ownersSeenBy(ADA, ADA, ADA)).toEqual([undefined, undefined]);
  expect(ownersSeenBy(ADA)).toEqual([]);
  expect(ownersSeenBy(ADA, ADA, GRACE, NAMELESS)).toEqual(['you', 'Grace Hopper', NAMELESS]);
});

test('a name that could mean two people is written out', () => {
  expect(ownersSeenBy(ADA, GRACE, OTHER_GRACE)).toEqual([GRACE, OTHER_GRACE]);
  expect(ownersSeenBy(OTHER_GRACE, GRACE)).toEqual([GRACE]);
  expect(ownersSeenBy(ADA, YOU, GRACE)).toEqual([YOU, 'Grace Hopper']);
});

test('a row has a cell for each heading', () => {
  const dataset = Dataset.fromPartial({
    ...{ vo: 'demo', name: 'hg38', version: 3, owner: GRACE, shared: true },
    ...{ expiresAtMs: 2 * DAY_MS, createdAtMs: DAY_MS, sites: ['kiel', 'luebeck'] },
    tree: { files: 7, totalBytes: 2_048 },
  });
  const { headings, rows } = datasetRows([dataset], ADA, DAY_MS);
  expect(Object.fromEntries(headings.map((heading, at) => [heading, rows[0]?.[at]]))).toEqual({
    dataset: '/demo/hg38@v3',
    files: '7',
    size: '2 KiB',
    owner: 'Grace Hopper',
    for: 'VO',
    goes: 'in 1d 0h',
    put: '0 ms ago',
    'warm at': 'kiel,luebeck',
  });
});
