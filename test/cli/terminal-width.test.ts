import { expect, test } from 'vitest';
import { columnsOf, mayDrawOver } from '../../cli/terminal-width.ts';

test.each([
  [[{ columns: 80 }, { columns: 120 }], 80],
  [[{}, { columns: 120 }], 120],
  [[{ columns: 0 }, { columns: 120 }], 120],
  [[{ columns: 0 }, {}], 100],
])('outputs of %j are so wide: %d', (outputs, columns) => {
  expect(columnsOf(outputs)).toBe(columns);
});

test('a terminal without a size, as one that a script has made, shows no progress', () => {
  expect(mayDrawOver(true, { columns: 0 })).toBe(false);
  expect(mayDrawOver(true, { columns: 80 })).toBe(true);
  expect(mayDrawOver(false, {})).toBe(false);
});
