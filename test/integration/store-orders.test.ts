import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fromSeed } from '@nats-io/nkeys';
import { expect, test } from 'vitest';
import { openSweeper } from '../../broker/data/sweeper.ts';
import { pause } from '../../service/background.ts';
import { chunkName } from '../../service/staging/chunk-cipher.ts';
import { sha256 } from '../../service/staging/chunk-store.ts';
import { directGetSubject, JS_DOMAIN, namedSubject, STREAM } from '../../service/staging/names.ts';
import { natsServers, startTestNats, type TestNats } from '../fakes/nats.ts';
import { openBook } from '../fakes/open-book.ts';

test.for(await natsServers())(
  'an answer of $name is an order to nobody, wherever a member wants it sent',
  async ({ path }) => {
    await using nats = await startTestNats({ binary: path, vos: ['demo', 'other.vo'] });
    await using mine = nats.open('demo', { patienceMs: 3_000 });
    await using theirs = nats.open('other.vo', { patienceMs: 3_000 });
    const content = randomBytes(100);
    const digest = sha256(content);
    for (const store of [mine, theirs]) await store.put(digest, content);
    const member = await nats.member('demo');
    const consumer = { stream_name: STREAM, config: { deliver_subject: '_INBOX.x' } };
    const orders: readonly (readonly [string, string])[] = [
      [`STREAM.PURGE.${STREAM}`, '{}'],
      [`STREAM.UPDATE.${STREAM}`, JSON.stringify({ name: STREAM, max_age: 1_000_000_000 })],
      [`CONSUMER.CREATE.${STREAM}`, JSON.stringify(consumer)],
      [`ACCOUNT.PURGE.${await storeAccount(nats, 'other.vo')}`, ''],
      [`STREAM.DELETE.${STREAM}`, ''],
    ];
    for (const api of ['$JS.API', `$JS.${JS_DOMAIN}.API`]) {
      for (const [verb, order] of orders) {
        const reply = `${api}.${verb}`;
        const stored = namedSubject('demo', sha256(Buffer.from(reply)));
        // The server tells the order that it has stored something, and then what.
        member.publish(stored, order, { reply });
        member.publish(directGetSubject(stored), '', { reply });
      }
    }
    await member.flush();
    await pause(500);
    await member.close();
    for (const store of [mine, theirs]) expect(await store.missing([digest])).toEqual(new Set());
  },
);

test.for(await natsServers())(
  'what a member of $name stores under names of no chunk is swept, and nothing else goes with it',
  async ({ path }) => {
    const dir = await mkdtemp(join(tmpdir(), 'hanse-strays-'));
    await using stack = new AsyncDisposableStack();
    stack.defer(() => rm(dir, { recursive: true }));
    const nats = stack.use(await startTestNats({ binary: path, vos: ['demo'] }));
    const book = stack.use(await openBook(join(dir, 'ledger.db')));
    const { accounts } = nats;
    const often = { everyMs: 3_600_000, graceMs: 60_000 };
    const sweeper = stack.use(openSweeper({ book, accounts, vos: ['demo'], ...often }));
    const mine = stack.use(nats.open('demo'));
    const content = randomBytes(100);
    await mine.put(sha256(content), content);
    const member = await nats.member('demo');
    for (const name of ['*', '>', '*-again', `${chunkName(sha256(content))}-again-again`])
      member.publish(namedSubject('demo', name), 'x');
    for (let at = 0; at < 599; at += 1) member.publish(namedSubject('demo', `filler-${at}`), 'x');
    // What the server has read is not yet stored; once the last is, all are.
    await member.request(namedSubject('demo', 'last'), 'x', { timeout: 20_000 });
    await member.close();
    expect(await sweeper.sweep('demo')).toEqual({ stored: 1, condemned: 1, removed: 604 });
    expect(await sweeper.sweep('demo')).toEqual({ stored: 1, condemned: 1, removed: 0 });
    expect(await mine.missing([sha256(content)])).toEqual(new Set());
  },
);

/** The account that has the chunks of a VO. */
async function storeAccount({ dir }: TestNats, vo: string): Promise<string> {
  return fromSeed(await readFile(join(dir, 'broker', `${vo}.seed`))).getPublicKey();
}
