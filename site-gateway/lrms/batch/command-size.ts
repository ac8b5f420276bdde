import type { LrmsTask, TaskEnd } from '../lrms.ts';

/** Linux: one argument or variable may have 128 KiB; all together a quarter of the stack limit, 2 MiB by default. */
const MAX_WORD_BYTES = 131_071;
const MAX_WORDS_BYTES = 1_500_000;

/** What the kernel or the shell would not take. */
export function faultOf(task: LrmsTask): TaskEnd | undefined {
  const env = Object.entries(task.env).map(([name, value]) => `${name}=${value}`);
  const sizes = [...task.command, ...env].map((word) => Buffer.byteLength(word) + 9);
  const largest = Math.max(...sizes);
  const sum = sizes.reduce((total, size) => total + size, 0);
  if (largest <= MAX_WORD_BYTES && sum <= MAX_WORDS_BYTES) return undefined;
  const detail = `command and environment have ${sum} bytes, the largest word ${largest}: more than Linux takes`;
  return { kind: 'not-started', fault: 'job', reason: 'COMMAND_TOO_LONG', detail };
}
