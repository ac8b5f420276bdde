import { expect, test } from 'vitest';
import { readInput } from '../../cli/input.ts';
import { palette } from '../../cli/palette.ts';
import { setQuota, setWeight, sharesText } from '../../cli/shares.ts';
import type { Share } from '../../proto/gen/grid/v1/broker.ts';

const SHARE: Share = {
  ...{ node: '/demo/x', vo: 'demo', group: '/demo/x', owner: '', weight: 2 },
  ...{ targetPart: 0.4, usedPart: 0, usage: 0, runningCpus: 0, queuedTasks: 0 },
};

/** A command line, and what was asked of the broker and said to the person. */
async function run(
  command: typeof setWeight,
  options: Readonly<Record<string, string>>,
  share: Share = SHARE,
) {
  const asked: unknown[] = [];
  const said: string[] = [];
  const take = (request: unknown) => {
    asked.push(request);
    return Promise.resolve({ share });
  };
  const context = {
    openBroker: () =>
      Promise.resolve({ call: { setShare: take, setQuota: take }, [Symbol.dispose]: () => {} }),
    terminal: { out: (text: string) => said.push(text), note: (text: string) => said.push(text) },
    colours: palette(false),
    signal: new AbortController().signal,
  } as unknown as Parameters<typeof setWeight>[0];
  await command(context, readInput(new Map(Object.entries(options)), ['/demo/x'], []));
  return { asked, said };
}

test.each(['', 'much', '1e3', '0x10', 'NaN'])("a weight of '%s' is no number", async (weight) => {
  await expect(run(setWeight, { weight })).rejects.toThrow(`--weight '${weight}' is not a number`);
});

test.each(['much', '1.5', '1e9'])("a cap of '%s' is neither number nor none", async (cap) => {
  const wrong = `--queued '${cap}' is neither a whole number nor none`;
  await expect(run(setQuota, { queued: cap })).rejects.toThrow(wrong);
});

test('a weight is sent as it is written, and a node that nobody uses is pointed out', async () => {
  const { asked, said } = await run(setWeight, { weight: '0.5' });
  expect(asked).toEqual([{ node: '/demo/x', weight: 0.5 }]);
  expect(said).toEqual([
    '/demo/x: weight 2, 40.0 % of what its siblings share',
    'nothing has been charged to /demo/x so far: is that its name?',
  ]);
});

test('a cap that is not named stays, and none takes it away', async () => {
  const share = { ...SHARE, usage: 9, maxRunningCpus: 7 };
  const { asked, said } = await run(setQuota, { queued: 'none' }, share);
  expect(asked).toEqual([
    { node: '/demo/x', runningCpus: undefined, queuedTasks: { none: true, most: 0 } },
  ]);
  expect(said).toEqual([
    '/demo/x: weight 2, 40.0 % of what its siblings share, at most 7 running cpus',
  ]);
});

test('on a narrow terminal a share is a paragraph, and no line breaks', () => {
  const lines = sharesText({ shares: [SHARE] }, '', palette(false), 40).split('\n');
  expect(lines).toEqual([
    '  /demo/x',
    '  weight        2',
    '  target        40.0 %',
    '  used          0.0 %',
    '  cpu hours     0.0',
    '  running cpus  0',
    '  queued        0',
  ]);
});
