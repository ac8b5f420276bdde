import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { ERRORS } from '../core/error-codes.ts';
import { REASONS } from '../core/job/reasons.ts';
import { MADE_PAGES } from './setup/made-pages.ts';
import { madeTrace } from './setup/made-trace.ts';

test.each([...MADE_PAGES.keys()])('docs/%s is what `npm run docs` writes', (name) => {
  expect(readFileSync(join('docs', name), 'utf8')).toBe(MADE_PAGES.get(name)?.());
});

test('the synthetic trace is what `npm run docs` writes', () => {
  expect(readFileSync('examples/simulate/synthetic.swf', 'utf8')).toBe(madeTrace());
});

test('every reason that the code gives is in the catalogue', () => {
  const texts = ['core', 'broker', 'site-gateway'].flatMap((folder) =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .map((name) => readFileSync(join(folder, name), 'utf8')),
  );
  const given = texts.flatMap((text) =>
    [...text.matchAll(/\breason: '([A-Z_]+)'/g)].map(([, reason]) => reason ?? ''),
  );
  expect(given.length).toBeGreaterThan(10);
  const known = new Set<string>([...Object.keys(REASONS), ...Object.keys(ERRORS)]);
  expect(given.filter((reason) => !known.has(reason))).toEqual([]);
});

test('links between pages lead somewhere', () => {
  const pages = [
    'README.md',
    'CONTRIBUTING.md',
    ...readdirSync('docs')
      .filter((name) => name.endsWith('.md'))
      .map((name) => join('docs', name)),
  ];
  const broken = pages.flatMap((page) =>
    [...readFileSync(page, 'utf8').matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)]
      .map(([, target]) => join(dirname(page), target ?? ''))
      .filter((target) => !existsSync(target))
      .map((target) => `${page}: ${target}`),
  );
  expect(pages.length).toBeGreaterThan(8);
  expect(broken).toEqual([]);
});
