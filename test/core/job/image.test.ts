import { expect, test } from 'vitest';
import { isImagePrefix, parseImage, withoutImage } from '../../../core/job/image.ts';
import { parseSpec } from '../../../core/job/parse-spec.ts';

const HEX = 'a1'.repeat(32);

test.for([
  ['python', 'docker.io/library/python'],
  ['python:3.12-slim', 'docker.io/library/python:3.12-slim'],
  ['docker://lab/tool', 'docker.io/lab/tool'],
  ['ghcr.io/lab/deep/er/tool_x__y:V1.0', 'ghcr.io/lab/deep/er/tool_x__y:V1.0'],
  ['registry:5000/tool', 'registry:5000/tool'],
  ['localhost/tool:1', 'localhost/tool:1'],
  [`quay.io/a/b:1@sha256:${HEX}`, `quay.io/a/b@sha256:${HEX}`],
] as const)('%s means %s at every site', ([text, name]) => {
  expect(parseImage(text)).toEqual({ kind: 'registry', name });
});

test.for(['tool.sif', '/cvmfs/images/tool-1.0.sif', 'dir/tool.sif'])('%s is a file', (name) => {
  expect(parseImage(name)).toEqual({ kind: 'file', name });
});

test.for([
  '',
  '-v',
  '--privileged',
  'a b',
  'a;b',
  '$(id)',
  'a\nb',
  'Upper',
  'a:',
  'a:-x',
  'a@sha256:12',
  '/abs/tool',
  '../tool.sif',
  'a/../b.sif',
  '-x.sif',
  'docker://',
  'oci-archive:/x',
  `a${'b'.repeat(400)}`,
])('%j is no image', (text) => {
  expect(parseImage(text)).toBeUndefined();
});

test('a site runs what begins as it says, whole parts of a name at a time', () => {
  const podman = (...images: string[]) => ({ runtime: 'podman', images });
  const words = (text: string, ...images: string[]) => withoutImage(text, podman(...images));
  expect(words('python')).toBeUndefined();
  expect(words('python', 'docker.io/library/')).toBeUndefined();
  expect(words('ghcr.io/lab/tool:2', 'ghcr.io/lab/tool', 'x.y/')).toBeUndefined();
  expect(words('ghcr.io/lab/toolbox', 'ghcr.io/lab/tool')).toBe('images of ghcr.io/lab/tool only');
  expect(words('ghcr.io/lab', 'ghcr.io/la')).toBe('images of ghcr.io/la only');
  expect(words('/x/a.sif')).toBe('podman, which runs no .sif files');
  expect(withoutImage('/x/a.sif', { runtime: 'apptainer', images: ['/x/'] })).toBeUndefined();
  expect(withoutImage('a.sif', { runtime: 'apptainer', images: ['/x/'] })).toBe(
    'images of /x/ only',
  );
  expect(withoutImage('python', undefined)).toBe('no containers');
});

test('prefixes are texts that an image may begin with', () => {
  expect(['docker.io/library/', 'ghcr.io/lab/tool', '/cvmfs/'].every(isImagePrefix)).toBe(true);
  expect(['', '-x', 'a b', '*'].some(isImagePrefix)).toBe(false);
});

test('a job names one image, and neither modules nor several nodes beside it', () => {
  const parsed = (more: object) => parseSpec({ command: 'x', image: 'python:3.12', ...more });
  const problems = (more: object) => {
    const result = parsed(more);
    return result.ok ? [] : result.problems.map(({ path, message }) => [path.join('.'), message]);
  };
  expect(parsed({})).toMatchObject({ ok: true, spec: { image: 'python:3.12' } });
  expect(problems({ image: '--privileged' })).toEqual([
    [
      'image',
      "'--privileged' is no name of an image: write for instance docker.io/library/python:3.12, or tool.sif",
    ],
  ]);
  expect(problems({ modules: 'gcc' })).toEqual([
    ['image', 'an image brings its own software, modules are the site’s: take one of the two'],
  ]);
  expect(problems({ nodes: 2 })).toEqual([['image', 'a program in an image runs on one node']]);
});
