import { Writable } from 'node:stream';
import { expect, test } from 'vitest';
import type { Context } from '../../cli/context.ts';
import { barWidth, openBar, openPace, paceText } from '../../cli/progress.ts';
import { openTerminal } from '../../cli/terminal.ts';
import { pause } from '../../service/background.ts';

const MIB = 2 ** 20;

test('the pace counts what moved, not what was there, and is told once it is known', () => {
  const progress = { fromBytes: 50 * MIB, doneBytes: 70 * MIB, totalBytes: 100 * MIB };
  expect(paceText(progress, 2_000)).toBe(', 10 MiB/s, 3 s left');
  expect(paceText(progress, 500)).toBe('');
  expect(paceText({ ...progress, doneBytes: 50 * MIB }, 2_000)).toBe('');
  expect(paceText({ ...progress, doneBytes: 100 * MIB }, 2_000)).toBe(', 25 MiB/s');
});

test('the pace is that of the last seconds, whatever was there already and however long the line stood still', () => {
  let nowMs = 0;
  const pace = openPace(() => nowMs);
  pace(1, 1_000 * MIB);
  nowMs = 1_000;
  expect(pace(500 * MIB, 1_000 * MIB)).toBe(', 500 MiB/s, 2 s left');
  const onwards = (fromMib: number): string => {
    for (let second = 1; second < 12; second += 1) {
      nowMs += 1_000;
      pace((fromMib + second) * MIB, 1_000 * MIB);
    }
    nowMs += 1_000;
    return pace((fromMib + 12) * MIB, 1_000 * MIB);
  };
  expect(onwards(500)).toBe(', 1 MiB/s, 8m 08s left');
  nowMs += 600_000;
  expect(onwards(512)).toBe(', 1 MiB/s, 7m 56s left');
});

test('a remark takes the place of the bar, which goes on below it', async () => {
  const written: string[] = [];
  const screen = Object.assign(
    new Writable({
      write: (text, _encoding, then) => {
        written.push(String(text));
        then();
      },
    }),
    { isTTY: true, columns: 80 },
  );
  const edge = {
    env: {},
    stdout: () => undefined,
    stderr: (text: string) => void screen.write(text),
    writeBytes: () => Promise.resolve(),
    stderrIsTerminal: true,
    columns: 80,
    readStdin: () => Promise.resolve(''),
  };
  const terminal = openTerminal(edge, false);
  const bar = await openBar({ terminal } as Context, 'fetching', String, () => '', screen);
  await pause(600);
  bar.update(1, 4);
  terminal.note('waiting: the store is away');
  bar.update(2, 4);
  bar.stop();
  const all = written.join('');
  const [before = '', after = ''] = all.split('waiting: the store is away\n');
  // The line was cleared, and wraps again.
  expect(before).toContain('1 of 4');
  expect(before.endsWith('\x1b[?7h\x1b8\x1b[1G\x1b[2K')).toBe(true);
  expect(after).toContain('2 of 4');
});

test('a narrow terminal has a short bar, and the numbers behind it', () => {
  expect([40, 64, 80, 200].map(barWidth)).toEqual([4, 8, 24, 24]);
  const line = `sending ${' '.repeat(barWidth(40))} 99% 999 MiB of 9.9 GiB`;
  expect(line.length).toBeLessThanOrEqual(40);
});
