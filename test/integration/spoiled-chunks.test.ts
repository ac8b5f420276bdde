import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openSweeper, type Sweeper } from '../../broker/data/sweeper.ts';
import { encipher } from '../../service/staging/chunk-cipher.ts';
import { type ChunkStore, sha256 } from '../../service/staging/chunk-store.ts';
import { chunkSubject } from '../../service/staging/names.ts';
import { sendTree } from '../../service/staging/send-tree.ts';
import { natsServers, startTestNats, type TestNats } from '../fakes/nats.ts';
import { type OpenBook, openBook } from '../fakes/open-book.ts';

describe.for(await natsServers())('false chunks in $name', ({ path }) => {
  let dir: string;
  let root: string;
  let nats: TestNats;
  let book: OpenBook;
  let sweeper: Sweeper;
  let member: ChunkStore & AsyncDisposable;
  const bytes = randomBytes(100_000);
  const digest = sha256(bytes);
  beforeEach(async () => {
    dir = mkdtempSync(join(tmpdir(), 'hanse-heal-'));
    root = join(dir, 'root');
    await mkdir(root);
    await writeFile(join(root, 'file'), bytes);
    nats = await startTestNats({ binary: path, vos: ['demo'] });
    book = await openBook(join(dir, 'ledger.db'));
    const often = { everyMs: 3_600_000, graceMs: 0 };
    sweeper = openSweeper({ book, accounts: nats.accounts, vos: ['demo'], ...often });
    member = nats.open('demo');
  });
  afterEach(async () => {
    await member[Symbol.asyncDispose]();
    await sweeper[Symbol.asyncDispose]();
    await book[Symbol.asyncDispose]();
    await nats[Symbol.asyncDispose]();
    rmSync(dir, { recursive: true });
  });

  /** What somebody else stores in the place of the chunk. */
  const MADE_UP = {
    'no chunk': Buffer.from('false'),
    'of another digest': encipher(sha256(Buffer.from('another')), randomBytes(100)),
    'made with the digest': encipher(digest, randomBytes(100)),
  };
  const forge = async (kind: keyof typeof MADE_UP): Promise<void> => {
    const rogue = await nats.member('demo');
    await rogue.request(chunkSubject('demo', digest), MADE_UP[kind], { timeout: 20_000 });
    await rogue.close();
  };

  test.for([
    ['heal', 'no chunk'],
    ['doubt', 'no chunk'],
    ['heal', 'of another digest'],
    ['heal', 'made with the digest'],
  ] as const)('are taken out (%s, %s), and the right ones can be sent', async ([by, kind]) => {
    await forge(kind);
    await expect(member.get(digest)).rejects.toMatchObject({ code: 'CHUNK_CORRUPT' });
    const spoiled = {
      heal: () => sweeper.heal('demo', [digest, sha256(Buffer.from('none'))]),
      doubt: () => Promise.resolve(sweeper.doubt('demo', `chunk ${digest} is false`)),
    }[by]();
    expect(await spoiled).toEqual(by === 'heal' ? { spoiled: [digest], sound: 0 } : undefined);
    const isOut = async () => (await member.missing([digest])).size === 1;
    await expect.poll(isOut).toBe(true);
    await sendTree(member, { root, paths: ['.'] });
    expect(Buffer.from(await member.get(digest)).equals(bytes)).toBe(true);
    expect(await sweeper.heal('demo', [digest])).toEqual({ spoiled: [], sound: 1 });
  });

  test('a tree that is named while its chunks are read is not held when one was spoiled', async () => {
    await forge('no chunk');
    const { tree } = await sendTree(member, { root, paths: ['.'] });
    const healed = Promise.all([sweeper.heal('demo', [digest]), sweeper.heal('demo', [digest])]);
    await sweeper.admit('demo', tree).catch(() => undefined);
    expect(await healed).toEqual([
      { spoiled: [digest], sound: 0 },
      { spoiled: [], sound: 0 },
    ]);
    expect(sweeper.hold('demo', tree)).toBe(false);
    await expect(sweeper.admit('demo', tree)).rejects.toMatchObject({ code: 'CHUNK_MISSING' });
  });
});
