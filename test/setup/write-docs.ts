import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { MADE_PAGES } from './made-pages.ts';
import { madeTrace } from './made-trace.ts';

// `npm run docs`: the pages of docs/ that are made from code, and the trace of the examples.
for (const [name, make] of MADE_PAGES) {
  writeFileSync(fileURLToPath(new URL(`../../docs/${name}`, import.meta.url)), make());
}
writeFileSync(new URL('../../examples/simulate/synthetic.swf', import.meta.url), madeTrace());
