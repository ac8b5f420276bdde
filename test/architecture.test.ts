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
  /** As written. */
  readonly name: string;
  readonly lazy: boolean;
}

function sourceFiles(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join(folder, name));
}

/** Statements only: a line that begins with `import` or `export` or closes one, or a lazy `import('...')`. */
const STATEMENT =
  /^(?:import|export|\})[^\n]*?\bfrom '([^']+)';|^import '([^']+)';|^(?! \*)[^\n]*\bimport\((')(\.[^']+)'/gm;

function importsOf(file: string): Import[] {
  const text = readFileSync(file, 'utf8');
  return [...text.matchAll(STATEMENT)].map(([, target, bare, lazy, lazyTarget]) => ({
    from: file,
    name: target ?? bare ?? lazyTarget ?? '',
    lazy: lazy !== undefined,
  }));
}

const FILES = Object.keys(MAY_IMPORT).flatMap(sourceFiles);
const IMPORTS = FILES.flatMap(importsOf);

const RELATIVE = IMPORTS.filter(({ name }) => name.startsWith('.')).map((found) => ({
  ...found,
  to: join(found.from, '..', found.name),
}));

const folderOf = (file: string): string => file.split('/')[0] ?? '';

test('the law looks at real files', () => {
  expect(FILES.length).toBeGreaterThan(40);
  expect(IMPORTS.length).toBeGreaterThan(FILES.length);
});

test.each(Object.keys(MAY_IMPORT))('%s imports only what its layer may', (folder) => {
  const forbidden = RELATIVE.filter(({ from }) => folderOf(from) === folder)
    .filter(({ to }) => MAY_IMPORT[folder]?.includes(folderOf(to)) !== true)
    .filter(({ to, lazy }) => !(folder === 'cli' && lazy && LAZY_MAIN.test(to)))
    .map(({ from, to }) => `${from} -> ${to}`);
  expect(forbidden).toEqual([]);
});

test('core takes no package and no node: module', () => {
  const packages = IMPORTS.filter(
    ({ from, name }) => folderOf(from) === 'core' && !name.startsWith('.'),
  );
  expect(packages).toEqual([]);
});

test('nobody makes a directory in a way that may never come back', () => {
  // Node's recursive mkdir hangs below /proc: service/directories.ts has another.
  const hanging = FILES.filter((file) =>
    /\bmkdir(?:Sync)?\([^;]*\brecursive\b/.test(readFileSync(file, 'utf8')),
  );
  expect(hanging).toEqual([]);
});
