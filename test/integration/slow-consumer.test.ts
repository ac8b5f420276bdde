import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { encipher } from '../../service/staging/chunk-cipher.ts';
import { sha256 } from '../../service/staging/chunk-store.ts';
import { newNkey, openStaging } from '../../service/staging/connect-staging.ts';
import { fetchTree } from '../../service/staging/fetch-tree.ts';
import { chunkSubject, directGetSubject, inboxPrefix } from '../../service/staging/names.ts';
import { connectNats } from '../../service/staging/nats-connect.ts';
import { sendTree } from '../../service/staging/send-tree.ts';
import { requestsOn } from '../../service/staging/wire/nats-requests.ts';
import { nkeyAuthenticator } from '../../service/staging/wire/nkey-authenticator.ts';
import { natsServers, startTestNats, type TestNats } from '../fakes/nats.ts';
import { openSlowLink, type SlowLink } from '../fakes/slow-link.ts';

const MIB = 2 ** 20;
const WANTED = randomBytes(32 * MIB);
const GIVEN = randomBytes(16 * MIB);

/** How nats-server finds that a reader is too slow and ends the connection, how fast the line is, and how often that may happen. */
const BOUNDS = [
  ['takes more than 150 ms', 'write_deadline: "150ms"', 24 * MIB, 30],
  ['has more than 3 MB before it', 'max_pending: 3MB', 256 * MIB, 10],
] as const;

const CASES = (await natsServers()).flatMap((server) =>
  BOUNDS.map(([bound, config, rate, most]) => ({ ...server, bound, config, rate, most })),
);

describe.for(CASES)('a reader of $name that $bound', ({ path, config, rate, most }) => {
  let nats: TestNats;
  let dir: string;
  let link: SlowLink;
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'hanse-slow-reader-'));
    nats = await startTestNats({ binary: path, vos: ['demo'], config });
    link = await openSlowLink(nats.files.port, rate);
    for (const [name, bytes] of Object.entries({ wanted: WANTED, given: GIVEN })) {
      await mkdir(join(dir, name));
      await writeFile(join(dir, name, 'large.bin'), bytes);
    }
  });
  afterAll(async () => {
    await link[Symbol.asyncDispose]();
    await nats[Symbol.asyncDispose]();
    await rm(dir, { recursive: true, force: true });
  });

  /** Connections that the server has ended so far. */
  const ended = async (): Promise<number> =>
    (await readFile(join(nats.dir, 'nats.log'), 'utf8')).split('Slow Consumer Detected').length - 1;
  const ticketOf = async (publicKey: string) => {
    const wish = { vo: 'demo', nkey: publicKey, lifetimeMs: 600_000, purpose: 'user' } as const;
    const ticket = await nats.accounts.issueTicket(wish);
    return { ...ticket, servers: [`tls://127.0.0.1:${link.port}`] };
  };
  const landed = (name: string): Promise<Buffer> => readFile(join(dir, name, 'large.bin'));

  test('loses its connection, and what it asked for on it', async () => {
    const nkey = newNkey();
    const { servers, userJwt } = await ticketOf(nkey.publicKey);
    const connection = await connectNats({
      servers,
      authenticator: nkeyAuthenticator(userJwt, nkey),
      inboxPrefix: inboxPrefix(nkey.publicKey),
      caPem: nats.caPem,
    });
    const requests = requestsOn(connection);
    const bytes = WANTED.subarray(0, MIB);
    const digest = sha256(bytes);
    const subject = chunkSubject('demo', digest);
    await requests.ask({ subject, bytes: encipher(digest, bytes) });
    const before = await ended();
    const get = { subject: directGetSubject(subject), bytes: Buffer.of() };
    const asked = await Promise.allSettled(Array.from({ length: 32 }, () => requests.ask(get)));
    expect(asked.map(({ status }) => status)).toContain('rejected');
    await connection.closed();
    await expect.poll(ended).toBe(before + 1);
  });

  test('comes back in the middle of what it fetches and what it sends, and asks for less', async () => {
    await using store = nats.open('demo');
    const { tree } = await sendTree(store, { root: join(dir, 'wanted'), paths: ['.'] });
    const nkey = newNkey();
    const ticket = () => ticketOf(nkey.publicKey);
    const { caPem } = nats;
    await using slow = openStaging({ nkey, vo: 'demo', caPem, patienceMs: 30_000, ticket });
    const before = await ended();
    const [, sent] = await Promise.all([
      fetchTree(slow, tree, join(dir, 'fetched')),
      sendTree(slow, { root: join(dir, 'given'), paths: ['.'] }),
    ]);
    const losses = (await ended()) - before;
    expect(losses).toBeGreaterThan(0);
    expect(losses).toBeLessThan(most);
    await fetchTree(store, sent.tree, join(dir, 'arrived'));
    expect(WANTED.equals(await landed('fetched'))).toBe(true);
    expect(GIVEN.equals(await landed('arrived'))).toBe(true);
  });
});
