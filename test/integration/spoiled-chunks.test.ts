import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openSweeper } from '../../broker/data/sweeper.ts';
import { sha256 } from '../../service/staging/chunk-store.ts';
import { chunkSubject } from '../../service/staging/names.ts';
import { sendTree } from '../../service/staging/send-tree.ts';
import { startTestNats, testNatsBinary } from '../fakes/nats.ts';
import { openBook } from '../fakes/open-book.ts';

test('a tree that is named while its chunks are read is not held when one was spoiled', async ({
  onTestFinished,
}) => {
  const dir = mkdtempSync(join(tmpdir(), 'hanse-heal-'));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  await using nats = await startTestNats({ binary: await testNatsBinary(), vos: ['demo'] });
  await using book = await openBook(join(dir, 'ledger.db'));
  await using sweeper = openSweeper({
    ...{ book, accounts: nats.accounts, vos: ['demo'] },
    ...{ everyMs: 3_600_000, graceMs: 0 },
  });
  const bytes = randomBytes(100_000);
  const digest = sha256(bytes);
  const rogue = await nats.member('demo');
  await rogue.request(chunkSubject('demo', digest), 'false', { timeout: 5_000 });
  await rogue.close();
  const root = join(dir, 'root');
  await mkdir(root);
  await writeFile(join(root, 'file'), bytes);
  await using member = nats.open('demo');
  const { tree } = await sendTree(member, { root, paths: ['.'] });
  const healed = Promise.all([sweeper.heal('demo', [digest]), sweeper.heal('demo', [digest])]);
  await sweeper.admit('demo', tree).catch(() => undefined);
  expect(await healed).toEqual([[digest], []]);
  expect(sweeper.hold('demo', tree)).toBe(false);
  await expect(sweeper.admit('demo', tree)).rejects.toMatchObject({ code: 'CHUNK_MISSING' });
});
