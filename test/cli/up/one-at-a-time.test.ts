import { setTimeout as after } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { oneAtATime } from '../../../cli/up/one-at-a-time.ts';
import { testDirs } from '../../support/test-dirs.ts';

const newDir = testDirs('one-at-a-time');
const never = new AbortController().signal;

test('of two at once in a directory one waits until the other has ended', async () => {
  const dir = newDir();
  const said: string[] = [];
  const first = await oneAtATime(dir, never, () => said.push('first waits'));
  const second = oneAtATime(dir, never, () => said.push('second waits')).then((held) => {
    said.push('second has it');
    return held;
  });
  await using _other = await oneAtATime(newDir(), never, () => said.push('other waits'));
  await expect.poll(() => said).toEqual(['second waits']);
  await after(200);
  expect(said).toEqual(['second waits']);
  await first[Symbol.asyncDispose]();
  await using _second = await second;
  expect(said).toEqual(['second waits', 'second has it']);
});

test('who waits can give up', async () => {
  const dir = newDir();
  await using _held = await oneAtATime(dir, never, () => undefined);
  const stop = new AbortController();
  const waits = oneAtATime(dir, stop.signal, () => stop.abort(new Error('given up')));
  await expect(waits).rejects.toThrow('given up');
});
