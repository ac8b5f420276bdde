import { expect, test } from 'vitest';
import { commandLine } from '../../support/command-line.ts';

test('results do not go to the current directory because a variable was empty', async () => {
  const { code, stderr } = await commandLine(['get', 'j1', '--to', '']);
  expect({ code, stderr }).toEqual({
    code: 2,
    stderr:
      "grid: USAGE: option '--to <dir>' argument '' is invalid. It names no directory.\n  -> see `grid get --help`\n",
  });
});
