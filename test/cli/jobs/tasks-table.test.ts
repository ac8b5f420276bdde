import { expect, test } from 'vitest';
import { tasksTable } from '../../../cli/jobs/status.ts';
import { palette } from '../../../cli/palette.ts';

const TASK = {
  ...{ ordinal: 6, value: '7', state: 'failed', site: 'campus', attempts: 2, exitCode: 3 },
  ...{ reason: 'EXIT_NONZERO', detail: 'the program ended with exit code 3' },
} as Parameters<typeof tasksTable>[1][number];

test('on a narrow terminal a task is a paragraph, and elsewhere a line', () => {
  const at = (columns: number): readonly string[] => {
    const terminal = { columns } as Parameters<typeof tasksTable>[0]['terminal'];
    return tasksTable({ colours: palette(false), terminal }, [TASK]).split('\n');
  };
  expect(at(120)).toHaveLength(2);
  expect(at(40)).toEqual(
    expect.arrayContaining(['7', '  state  failed', '  site   campus', '  tries  2']),
  );
});
