import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { startLocalGrid } from '../../support/local-grid.ts';
import type { Measurement } from '../figure.ts';
import { percent, rounded } from '../statistics.ts';
import type { Transferred } from './transfer-process.ts';
import { assertSame, runTransfer, writeFiles } from './world.ts';

/** Files that were written this long ago are old enough to be known again. */
const SETTLED_MS = 2_500;

/**
 * A tree of a grid sent again by a command that knows it, and fetched again by a gateway that has it warm. It has a name in
 * between, as whatever was sent to be used has.
 */
export async function stageAgain(): Promise<Measurement> {
  await using grid = await startLocalGrid({ sites: 1 });
  const dir = await mkdtemp(join(process.env['BENCH_DIR'] ?? tmpdir(), 'hanse-bench-'));
  try {
    const [root, out, again] = [join(dir, 'tree'), join(dir, 'out'), join(dir, 'again')];
    await writeFiles(root, 2_000, 256 * 1_024);
    await setTimeout(SETTLED_MS);
    const access = { kind: 'grid', dir: grid.layout.dir, vo: grid.plan.vo } as const;
    const send = (): Promise<Transferred> =>
      runTransfer({ kind: 'send', root, knownDir: join(dir, 'known'), access });
    const sent = await send();
    const { tree } = sent;
    if (tree === undefined) throw new Error('nothing was sent');
    const put = await grid.grid(['data', 'put', root, 'again']);
    if (put.code !== 0) throw new Error(put.stderr);
    const cache = join(dir, 'cache');
    const fetched = await runTransfer({ kind: 'fetch', root: out, tree, cache, again, access });
    const sentAgain = await send();
    await assertSame('stage-again', root, again);
    if (sentAgain.tree?.digest !== tree.digest) throw new Error('another tree was sent again');
    const { ms, moved } = fetched.again ?? { ms: Number.NaN, moved: Number.NaN };
    return {
      value: percent(sentAgain.moved + moved, sent.moved + fetched.moved),
      unit: '% bytes',
      context: {
        'first send ms': rounded(sent.ms),
        'first fetch ms': rounded(fetched.ms),
        'send ms': rounded(sentAgain.ms),
        'fetch ms': rounded(ms),
        '% of the time': percent(sentAgain.ms + ms, sent.ms + fetched.ms),
      },
    };
  } finally {
    await rm(dir, { recursive: true });
  }
}
