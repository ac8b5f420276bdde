import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { RunningRecord } from '../../../cli/up/running-record.ts';
import { testDirs } from '../../support/test-dirs.ts';

const newDir = testDirs('running-record');

test('of programs that start at the same time none is forgotten', async () => {
  const file = join(newDir(), 'running.json');
  const record = new RunningRecord(file, undefined);
  const names = Array.from({ length: 20 }, (_, index) => `site-${index}`);
  await Promise.all(names.map((name, index) => record.add(name, index + 2)));
  expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual({
    programs: names.map((name, index) => ({ name, pid: index + 2 })),
  });
});
