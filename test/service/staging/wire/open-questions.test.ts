import type { Msg } from '@nats-io/transport-node';
import { beforeEach, expect, test } from 'vitest';
import {
  type OpenQuestions,
  openQuestions,
} from '../../../../service/staging/wire/open-questions.ts';

const ANSWER = { data: new Uint8Array(1) } as Msg;

let nowMs: number;
let heardAtMs: number;
let pongs: (() => void)[];
let questions: OpenQuestions;
beforeEach(() => {
  nowMs = 0;
  heardAtMs = 0;
  pongs = [];
  questions = openQuestions({
    nowMs: () => nowMs,
    heardAtMs: () => heardAtMs,
    ping: () => new Promise<void>((resolve) => pongs.push(resolve)),
  });
});

type Asked = ReturnType<OpenQuestions['add']>;

function ask(): Asked {
  const asked = questions.add('demo');
  asked.sent();
  return asked;
}

/** Time goes by; with `heard`, bytes come all the time. */
async function pass(seconds: number, heard: boolean): Promise<void> {
  for (let second = 0; second < seconds; second += 1) {
    nowMs += 1_000;
    if (heard) heardAtMs = nowMs;
    questions.look();
    await new Promise(setImmediate);
  }
}

async function pong(): Promise<void> {
  for (const answer of pongs.splice(0)) answer();
  heardAtMs = nowMs;
  await new Promise(setImmediate);
}

const stateOf = ({ answer }: Asked): Promise<string> =>
  Promise.race([
    answer.then(
      () => 'answered',
      (error: Error) => error.name,
    ),
    new Promise<string>((resolve) => setImmediate(() => resolve('open'))),
  ]);

test('a question waits as long as bytes come', async () => {
  const asked = ask();
  await pass(300, true);
  expect(await stateOf(asked)).toBe('open');
  questions.answer(asked.token, ANSWER);
  expect(await stateOf(asked)).toBe('answered');
});

test('where an answer is waited for does not follow from where others were', async () => {
  const heard = ask();
  questions.answer(heard.token, ANSWER);
  const asked = ask();
  for (let at = 0; at < 1_000; at += 1) questions.answer(at.toString(36), ANSWER);
  expect(await stateOf(asked)).toBe('open');
  questions.answer(asked.token, ANSWER);
  expect(await stateOf(asked)).toBe('answered');
});

test('a line on which nothing comes is dead after half a minute', async () => {
  const asked = ask();
  await pass(29, false);
  expect(await stateOf(asked)).toBe('open');
  await pass(1, false);
  expect(await stateOf(asked)).toBe('TimeoutError');
});

test('a question that the server has read and leaves alone is given up after five seconds', async () => {
  const asked = ask();
  await pass(1, false);
  await pong();
  await pass(4, false);
  expect(await stateOf(asked)).toBe('open');
  await pass(1, false);
  expect(await stateOf(asked)).toBe('TimeoutError');
});

test('a question that was overtaken is given up although bytes come', async () => {
  const lost = ask();
  await pass(1, true);
  await pong();
  await pass(1, true);
  const later = ask();
  questions.answer(later.token, ANSWER);
  await pass(5, true);
  expect(await stateOf(lost)).toBe('TimeoutError');
});

test('a question whose answer is behind those of others waits', async () => {
  const [first, second] = [ask(), ask()];
  await pass(1, true);
  await pong();
  await pass(20, true);
  questions.answer(first.token, ANSWER);
  await pass(20, true);
  expect(await stateOf(second)).toBe('open');
});

test('what has yet to leave proves nothing', async () => {
  const waiting = questions.add('demo');
  await pass(10, true);
  expect(pongs).toEqual([]);
  expect(await stateOf(waiting)).toBe('open');
});

test('who stood still reads what came meanwhile before a question is given up, once', async () => {
  const asked = ask();
  await pass(1, true);
  await pong();
  const still = (): void => {
    nowMs += 40_000;
    questions.look();
  };
  still();
  expect(await stateOf(asked)).toBe('open');
  still();
  expect(await stateOf(asked)).toBe('TimeoutError');
});
