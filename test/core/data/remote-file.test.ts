import { describe, expect, test } from 'vitest';
import { joinRemote, parseRemote } from '../../../core/data/remote-file.ts';

const HEX = 'ab'.repeat(32);
const parsed = (text: string) => {
  const result = parseRemote(text);
  return result.ok ? result.file : result.message;
};

describe('a remote file', () => {
  test('of https is its address and its digest', () => {
    expect(
      parsed(`https://Data.Example.org/a/hg%2038.gz?v=1&x=y#sha256=${'AB'.repeat(32)}`),
    ).toEqual({
      kind: 'https',
      url: 'https://data.example.org/a/hg%2038.gz?v=1&x=y',
      digest: HEX,
      name: 'hg 38.gz',
      region: '',
    });
  });

  test('of S3 is an object of a bucket, at AWS or at an endpoint of its own', () => {
    expect(parsed(`s3://lab/runs/2026/a+b.bam#sha256=${HEX}`)).toMatchObject({
      kind: 's3',
      url: 'https://s3.us-east-1.amazonaws.com/lab/runs/2026/a%2Bb.bam',
      name: 'a+b.bam',
      region: 'us-east-1',
    });
    expect(parsed(`s3://lab/run%201/a%3Fb%25.bam#sha256=${HEX}`)).toMatchObject({
      url: 'https://s3.us-east-1.amazonaws.com/lab/run%201/a%3Fb%25.bam',
      name: 'a?b%.bam',
    });
    const from = `s3://lab/x?endpoint=https://s3.example.org:9000&region=eu-1#sha256=${HEX}`;
    expect(parsed(from)).toMatchObject({
      url: 'https://s3.example.org:9000/lab/x',
      region: 'eu-1',
    });
    const parts = { sha256: HEX, endpoint: 'https://s3.example.org:9000', region: 'eu-1' };
    expect(joinRemote('s3://lab/x', parts)).toBe(from);
  });

  test.for<[string, string]>([
    ['https://example.org/x', 'has no digest: add `#sha256=`'],
    ['https://example.org/x#sha256=abc', 'which is no digest'],
    ['https://example.org/x#part', 'which is no digest'],
    [`http://example.org/x#sha256=${HEX}`, 'is not protected on the way'],
    [`ftp://example.org/x#sha256=${HEX}`, 'has no scheme that sites fetch'],
    [`https://me:secret@example.org/x#sha256=${HEX}`, 'has a name or password in it'],
    [`https://exa mple.org/x#sha256=${HEX}`, "has ' ' in it: write %20"],
    [`s3://lab/a%zz#sha256=${HEX}`, "has a '%' in its key"],
    [`s3://lab/grün#sha256=${HEX}`, "has 'ü' in it: write %C3%BC"],
    [`https:///x#sha256=${HEX}`, 'is no address'],
    [`https://:99999/x#sha256=${HEX}`, 'is no address'],
    [`https://example.org/${'x'.repeat(2_048)}#sha256=${HEX}`, 'characters, at most 2048'],
    [`s3://UPPER/x#sha256=${HEX}`, 'is no object: write s3://bucket/key'],
    [`s3://lab#sha256=${HEX}`, 'is no object'],
    [`s3://lab/x?endpoint=http://a.org#sha256=${HEX}`, 'has an endpoint that is not like'],
    [`s3://lab/x?endpoint=https://a.org/path#sha256=${HEX}`, 'has an endpoint that is not like'],
    [`s3://lab/x?endpoint=https://k:s@a.org#sha256=${HEX}`, 'has an endpoint that is not like'],
    [`s3://lab/x?acl=public#sha256=${HEX}`, "has 'acl' in it"],
    [`s3://lab/x?region=a/b#sha256=${HEX}`, 'has a region'],
    [`s3://lab/../other/x#sha256=${HEX}`, "has a key with '.' or '..' in it"],
  ])('%s %s', ([text, words]) => expect(parsed(text)).toContain(words));
});
