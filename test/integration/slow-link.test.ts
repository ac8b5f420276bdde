import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { pause } from '../../service/background.ts';
import { newNkey, openStaging } from '../../service/staging/connect-staging.ts';
import { fetchTree } from '../../service/staging/fetch-tree.ts';
import { sendTree } from '../../service/staging/send-tree.ts';
import { startTestNats, testNatsBinary } from '../fakes/nats.ts';
import { openSlowLink } from '../fakes/slow-link.ts';

const MIB = 2 ** 20;

test('a thin line carries each byte once, no more waits in it than a second of it, and credentials that end on the way are renewed both ways', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'hanse-slow-'));
  await using stack = new AsyncDisposableStack();
  stack.defer(() => rm(dir, { recursive: true, force: true }));
  const nats = stack.use(await startTestNats({ binary: await testNatsBinary(), vos: ['demo'] }));
  const link = stack.use(await openSlowLink(nats.files.port, 2 * MIB));
  const nkey = newNkey();
  let tickets = 0;
  const store = stack.use(
    openStaging({
      nkey,
      vo: 'demo',
      caPem: nats.caPem,
      patienceMs: 30_000,
      ticket: async () => {
        tickets += 1;
        // Another is due in the middle of either transfer, four seconds before this one ends: what waits in the line then
        // still comes.
        const wish = { vo: 'demo', nkey: nkey.publicKey, lifetimeMs: 16_000 } as const;
        const ticket = await nats.accounts.issueTicket({ ...wish, purpose: 'user' });
        return { ...ticket, servers: [`tls://127.0.0.1:${link.port}`] };
      },
    }),
  );
  const root = join(dir, 'root');
  await mkdir(root);
  const bytes = randomBytes(24 * MIB);
  await writeFile(join(root, 'large.bin'), bytes);
  const stopping = new AbortController();
  const cut = sendTree(
    store,
    { root, paths: ['.'] },
    { signal: stopping.signal, onProgress: ({ doneBytes }) => doneBytes > 0 && stopping.abort() },
  );
  await expect(cut).rejects.toThrow('aborted');
  // One chunk has arrived, and two were on their way: nothing more leaves.
  await pause(2_500);
  expect(link.up).toBeLessThan(4 * MIB);
  const before = tickets;
  const { tree } = await sendTree(store, { root, paths: ['.'] });
  expect(tickets).toBeGreaterThan(before);
  expect(link.up).toBeLessThan(1.2 * bytes.byteLength);
  const between = tickets;
  await fetchTree(store, tree, join(dir, 'got'));
  expect(tickets).toBeGreaterThan(between);
  expect(link.down).toBeLessThan(1.05 * bytes.byteLength);
  expect(Buffer.compare(await readFile(join(dir, 'got', 'large.bin')), bytes)).toBe(0);
});
