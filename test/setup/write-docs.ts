import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { cliReference } from '../../cli/reference.ts';

// `npm run docs`: the pages of docs/ that are made from code.
const at = (page: string): string => fileURLToPath(new URL(`../../docs/${page}`, import.meta.url));
writeFileSync(at('cli.md'), cliReference());
