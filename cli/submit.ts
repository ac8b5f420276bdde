import type { Context } from './context.ts';
import type { Input } from './input.ts';
import { readJobs } from './read-jobs.ts';
import { writeSpec } from './write-spec.ts';

/** `grid submit`. */
export async function submit(context: Context, input: Input): Promise<number> {
  const jobs = await readJobs(context, input);
  if (input.on('dry-run')) {
    const specs = jobs.map(({ spec }) => writeSpec(spec));
    if (context.json) context.terminal.out(JSON.stringify(specs.length === 1 ? specs[0] : specs));
    else {
      const { stringify } = await import('yaml');
      context.terminal.out(specs.map((spec) => stringify(spec).trimEnd()).join('\n---\n'));
    }
    return 0;
  }
  return 0;
}
