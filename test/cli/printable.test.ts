import { expect, test } from 'vitest';
import { palette } from '../../cli/palette.ts';
import { printable } from '../../cli/printable.ts';
import { commandLine } from '../support/command-line.ts';

test('what steers a terminal is shown, not sent', () => {
  expect(printable('\u001b]0;title\u0007a\u001b[2Jb\rc\u009b1md\u007f')).toBe(
    '\\u001b]0;title\\u0007a\\u001b[2Jb\\u000dc\\u009b1md\\u007f',
  );
  expect(printable('user\u202egnp.exe')).toBe('user\\u202egnp.exe');
  expect(printable('größer\tals\n日本語 👩‍🔬')).toBe('größer\tals\n日本語 👩‍🔬');
});

test('our own colours stay', () => {
  const { good, bad, warn, strong, dim } = palette(true);
  for (const colour of [good, bad, warn, strong, dim])
    expect(printable(colour('text'))).toBe(colour('text'));
});

test('JSON stays the same JSON', () => {
  const value = { reason: 'a\u001b[2J\u009b1m\u202eb\nc' };
  const text = printable(JSON.stringify(value));
  expect(text).toBe('{"reason":"a\\u001b[2J\\u009b1m\\u202eb\\nc"}');
  expect(JSON.parse(text)).toEqual(value);
});

test('a command that fails because of such a word does not repeat it raw, and names its own help', async () => {
  expect(await commandLine(['status', '--\u001b[2J'])).toEqual({
    code: 2,
    stdout: '',
    stderr: "grid: USAGE: unknown option '--\\u001b[2J'\n  -> see `grid status --help`\n",
  });
  expect((await commandLine(['data', 'quota', 'a', 'b', 'c'])).stderr).toContain(
    '-> see `grid data quota --help`\n',
  );
});
