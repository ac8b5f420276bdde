import { existsSync, readFileSync } from 'node:fs';
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

test('a start that ends removes its own record, and not that of another start', async () => {
  const file = join(newDir(), 'running.json');
  const [first, second] = [new RunningRecord(file, 7), new RunningRecord(file, undefined)];
  await first.add('nats-server', 8);
  await second.add('nats-server', 9);
  first.remove();
  expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual({
    programs: [{ name: 'nats-server', pid: 9 }],
  });
  second.remove();
  expect(existsSync(file)).toBe(false);
  second.remove();
});
