import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

/** The law of layers: which folders each folder may import. Everything else is refused. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  core: ['core'],
  service: ['core', 'service', 'proto'],
  broker: ['core', 'service', 'proto', 'broker'],
  'site-gateway': ['core', 'service', 'proto', 'site-gateway'],
  'cert-authority': ['core', 'service', 'proto', 'cert-authority'],
  cli: ['core', 'service', 'proto', 'cli'],
};

/** The CLI starts a service in its own process by importing the service's main file, lazily, and nothing else. */
const LAZY_MAIN = /^(?:broker|site-gateway|cert-authority)\/main\.ts$/;

interface Import {
  readonly from: string;
  readonly to: string;
  readonly lazy: boolean;
}

function sourceFiles(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join(folder, name));
}

function importsOf(file: string): Import[] {
  const text = readFileSync(file, 'utf8');
  return [...text.matchAll(/(?:\bfrom|\bimport)\s*(\(?)\s*'(\.[^']+)'/g)].map(
    ([, bracket, target]) => ({
      from: file,
      to: join(file, '..', target ?? ''),
      lazy: bracket === '(',
    }),
  );
}

const FILES = Object.keys(MAY_IMPORT).flatMap(sourceFiles);
const IMPORTS = FILES.flatMap(importsOf);

const folderOf = (file: string): string => file.split('/')[0] ?? '';

test('the law looks at real files', () => {
  expect(FILES.length).toBeGreaterThan(40);
  expect(IMPORTS.length).toBeGreaterThan(FILES.length);
});

test.each(Object.keys(MAY_IMPORT))('%s imports only what its layer may', (folder) => {
  const forbidden = IMPORTS.filter(({ from }) => folderOf(from) === folder)
    .filter(({ to }) => MAY_IMPORT[folder]?.includes(folderOf(to)) !== true)
    .filter(({ to, lazy }) => !(folder === 'cli' && lazy && LAZY_MAIN.test(to)))
    .map(({ from, to }) => `${from} -> ${to}`);
  expect(forbidden).toEqual([]);
});

test('core takes no package and no node: module', () => {
  const packages = sourceFiles('core').flatMap((file) =>
    [...readFileSync(file, 'utf8').matchAll(/\bfrom\s*'([^.'][^']*)'/g)].map(
      ([, name]) => `${file}: ${name}`,
    ),
  );
  expect(packages).toEqual([]);
});
