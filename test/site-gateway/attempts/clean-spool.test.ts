import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { EMPTY_TREE } from '../../../core/data/manifest.ts';
import { attemptId } from '../../../core/ids.ts';
import { PlacedJob } from '../../../proto/gen/grid/v1/site.ts';
import { openLog } from '../../../service/log.ts';
import { cleanSpool } from '../../../site-gateway/attempts/clean-spool.ts';
import { NO_USAGE } from '../../../site-gateway/attempts/outcome.ts';
import type { SiteConfig } from '../../../site-gateway/config.ts';
import { openJournal } from '../../../site-gateway/journal/open-journal.ts';
import { testDirs } from '../../support/test-dirs.ts';

const dirs = testDirs('clean');
const NOW_MS = 1_800_000_000_000;

test('what has ended goes however much it is: a busy site ends more than one look removes', async () => {
  const spool = dirs();
  const log = openLog('test', 'silent');
  const file = join(spool, 'journal.db');
  using journal = openJournal({ file, nowMs: NOW_MS, log, onTrouble: () => undefined });
  const ids = Array.from({ length: 450 }, (_, at) => attemptId(`a${at}`));
  const common = { ordinal: 0, taskValue: '', memoryBytes: 0, queue: '', jobId: 'job' };
  const job = PlacedJob.create({});
  await journal.accept(
    ids.map((id) => ({ ...common, id, job })),
    NOW_MS,
  );
  for (const id of ids) mkdirSync(join(spool, 'attempts', id, 'work'), { recursive: true });
  const said = { exitCode: 0, signal: 0, reason: '', detail: '' };
  const outcome = { ...said, usage: NO_USAGE, outputs: EMPTY_TREE };
  const end = { state: 'done', atMs: NOW_MS, outcome, tell: true } as const;
  await Promise.all(ids.map((id) => journal.step({ id, ...end })));
  await journal.acknowledge(Number.MAX_SAFE_INTEGER);
  const config = { spool, 'keep-attempts': 0 } as SiteConfig;
  await cleanSpool(journal, config, log, NOW_MS + 1);
  expect(readdirSync(join(spool, 'attempts'))).toEqual([]);
});
