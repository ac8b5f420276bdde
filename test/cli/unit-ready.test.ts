import { expect, test } from 'vitest';
import { lastWords } from '../../cli/site/unit-ready.ts';

test('of the log of a gateway that has ended its error is shown, with what to do', () => {
  const log = '{"level":30}\ngrid: CONFIG_INVALID: no port\n  -> mend it\n';
  expect(lastWords(log)).toBe('  grid: CONFIG_INVALID: no port\n    -> mend it');
});

test('of one that has said no error the last lines are shown', () => {
  expect(lastWords('1\n2\n3\n4\n')).toBe('  2\n  3\n  4');
});
