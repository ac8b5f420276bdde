import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { MADE_PAGES } from './made-pages.ts';

// `npm run docs`: the pages of docs/ that are made from code.
for (const [name, make] of MADE_PAGES) {
  writeFileSync(fileURLToPath(new URL(`../../docs/${name}`, import.meta.url)), make());
}
