import { expect, test } from 'vitest';
import { errorForJournal, forJournal } from '../../service/systemd-journal.ts';

test.each([
  ['trace', 10, 7],
  ['info', 30, 6],
  ['warn', 40, 4],
  ['error', 50, 3],
  ['fatal', 60, 2],
])('for the journal a line of level %s begins with its priority', (_name, level, priority) => {
  const line = `{"level":${level},"msg":"hello"}\n`;
  expect(forJournal(line)).toBe(`<${priority}>${line}`);
});

test('for the journal each line of an error is one', () => {
  expect(errorForJournal('grid: CODE: no\n  -> do this')).toBe(
    '<3>grid: CODE: no\n<3>  -> do this',
  );
});
