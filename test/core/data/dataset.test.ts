import { describe, expect, test } from 'vitest';
import {
  chooseVersion,
  type Dataset,
  datasetInput,
  formatDataset,
  mayChange,
  mayUse,
  parseDataset,
} from '../../../core/data/dataset.ts';
import { dn, voName } from '../../../core/ids.ts';
import { parseFqan } from '../../../core/vo/fqan.ts';

const ALICE = dn('/CN=Alice');
const BOB = dn('/CN=Bob');
const ACCESS = { admins: ['/CN=Root'], vos: [] };
const caller = (name: ReturnType<typeof dn>, ...fqans: readonly string[]) => ({
  dn: name,
  fqans: fqans.flatMap((text) => parseFqan(text) ?? []),
});
const dataset = (part: Partial<Dataset> = {}): Dataset => ({
  vo: voName('biomed'),
  name: 'hg38',
  version: 1,
  digest: 'd1',
  totalBytes: 1,
  files: 1,
  owner: ALICE,
  shared: false,
  createdAtMs: 0,
  ...part,
});

describe('the name of a dataset', () => {
  test.for([
    ['/biomed/hg38', '', '/biomed/hg38'],
    ['/biomed/human/hg38@v12', '', '/biomed/human/hg38@v12'],
    ['grid:/biomed/hg38@v1', '', '/biomed/hg38@v1'],
    ['hg38', 'biomed', '/biomed/hg38'],
    ['human/hg38@v3', 'biomed', '/biomed/human/hg38@v3'],
  ])('%s of VO %j is %s', ([text = '', vo = '', full]) => {
    const parsed = parseDataset(text, vo);
    expect(parsed.ok && formatDataset(parsed.ref)).toBe(full);
  });

  test.for([
    ['hg38', 'names no VO'],
    ['/Biomed/hg38', "has no VO 'Biomed'"],
    ['/biomed', 'has 0 parts after the VO'],
    ['/biomed/a/b/c/d/e', 'has 5 parts'],
    ['/biomed/../etc', 'has a part that is not'],
    ['/biomed/a b', 'has a part that is not'],
    [`/biomed/${'a'.repeat(65)}`, 'has a part of more than 64 characters'],
    ['/biomed/hg38@3', "has no version '3'"],
    ['/biomed/hg38@v0', "has no version 'v0'"],
    ['/biomed/hg38@v1@v2', "has no version 'v1@v2'"],
    ['/biomed/hg38@', "has no version ''"],
  ])('%s is refused: it %s', ([text = '', why = '']) => {
    expect(parseDataset(text)).toMatchObject({ ok: false, message: expect.stringContaining(why) });
  });

  test('as an input it says that it is one', () => {
    expect(datasetInput({ vo: voName('biomed'), name: 'hg38', version: 3 })).toBe(
      'grid:/biomed/hg38@v3',
    );
  });
});

describe('the version that is meant', () => {
  const versions = [
    dataset({ version: 1 }),
    dataset({ version: 3, removedAtMs: 5 }),
    dataset({ version: 2, expiresAtMs: 1_000 }),
  ];
  test('is the newest that is live, or the one that is named', () => {
    expect(chooseVersion(versions, undefined, 999)?.version).toBe(2);
    expect(chooseVersion(versions, 1, 999)?.version).toBe(1);
  });
  test('is none where it was removed or has expired', () => {
    expect(chooseVersion(versions, 3, 999)).toBeUndefined();
    expect(chooseVersion(versions, undefined, 1_000)?.version).toBe(1);
  });
});

describe('who may', () => {
  const manager = caller(BOB, '/biomed', '/biomed/Role=manager');
  test.for([
    ['its owner', caller(ALICE, '/biomed'), false, true, true],
    ['its owner without the VO', caller(ALICE), true, false, false],
    ['a member', caller(BOB, '/biomed'), false, false, false],
    ['a member, where it is shared', caller(BOB, '/biomed'), true, true, false],
    ['a member of another VO, where it is shared', caller(BOB, '/other'), true, false, false],
    ['a manager of the VO', manager, false, true, true],
    ['an administrator', caller(dn('/CN=Root')), false, true, true],
  ] as const)('%s', ([, who, shared, use, change]) => {
    const one = dataset({ shared });
    expect([mayUse(who, one, ACCESS), mayChange(who, one, ACCESS)]).toEqual([use, change]);
  });
});
