import { expect, test } from 'vitest';
import { commandLine } from '../../support/command-line.ts';

test('results do not go to the current directory because a variable was empty', async () => {
  const { code, stderr } = await commandLine(['get', 'j1', '--to', '']);
  expect({ code, stderr }).toEqual({
    code: 2,
    stderr: 'grid: USAGE: --to names no directory\n  -> see `grid job get --help`\n',
  });
});
