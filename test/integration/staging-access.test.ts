import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decode, encodeUser, type User } from '@nats-io/jwt';
import { createUser, fromSeed } from '@nats-io/nkeys';
import { jwtAuthenticator } from '@nats-io/transport-node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { pause } from '../../service/background.ts';
import { chunkName, decipher } from '../../service/staging/chunk-cipher.ts';
import { decodeChunk } from '../../service/staging/chunk-coding.ts';
import { sha256 } from '../../service/staging/chunk-store.ts';
import { newNkey } from '../../service/staging/connect-staging.ts';
import { fetchTree } from '../../service/staging/fetch-tree.ts';
import {
  chunkSubject,
  directGetSubject,
  namedSubject,
  STREAM,
} from '../../service/staging/names.ts';
import { connectNats } from '../../service/staging/nats-connect.ts';
import { sendTree } from '../../service/staging/send-tree.ts';
import { natsServers, startTestNats, type TestNats } from '../fakes/nats.ts';

const TICKET = { vo: 'demo', lifetimeMs: 60_000, purpose: 'user' } as const;

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'hanse-access-'));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

describe.for(await natsServers())('with $name', ({ path }) => {
  let nats: TestNats;
  beforeAll(async () => {
    nats = await startTestNats({ binary: path, vos: ['demo', 'other.vo'] });
  });
  afterAll(() => nats[Symbol.asyncDispose]());

  test('a tree of one VO cannot be fetched by members of another', async () => {
    await writeFile(join(dir, 'secret'), randomBytes(100_000));
    await using store = nats.open('demo');
    const { tree } = await sendTree(store, { root: dir, paths: ['secret'] });
    await using other = nats.open('other.vo');
    await expect(fetchTree(other, tree, join(dir, 'stolen'))).rejects.toMatchObject({
      code: 'CHUNK_MISSING',
    });
  });

  test('a member is denied everything but chunks whose digest it knows', async () => {
    await using store = nats.open('demo');
    const content = randomBytes(100);
    await store.put(sha256(content), content);
    const seed = await readFile(join(nats.dir, 'broker/demo.seed'));
    const victim = fromSeed(seed).getPublicKey();
    const subject = chunkSubject('demo', sha256(content));
    const forbidden = [
      `$JS.API.ACCOUNT.PURGE.${victim}`,
      '$JS.API.ACCOUNT.STREAM.MOVE.x.y',
      '$JS.API.SERVER.REMOVE',
      '$JS.API.META.LEADER.STEPDOWN',
      '$JS.API.INFO',
      `$JS.API.STREAM.INFO.${STREAM}`,
      '$JS.API.STREAM.LIST',
      `$JS.API.STREAM.PURGE.${STREAM}`,
      `$JS.API.STREAM.DELETE.${STREAM}`,
      `$JS.API.STREAM.MSG.DELETE.${STREAM}`,
      `$JS.API.STREAM.MSG.GET.${STREAM}`,
      `$JS.API.CONSUMER.CREATE.${STREAM}`,
      '$SYS.REQ.CLAIMS.UPDATE',
      '$SYS.REQ.SERVER.PING',
    ];
    for (const vo of ['demo', 'other.vo']) {
      const member = await nats.member(vo);
      for (const api of forbidden) {
        await expect(member.request(api, '{}', { timeout: 20_000 })).rejects.toThrow(
          /permissions violation/i,
        );
      }
      await member.close();
    }
    const stranger = await nats.member('other.vo');
    await expect(stranger.request(subject, '', { timeout: 20_000 })).rejects.toThrow(
      /permissions/i,
    );
    await expect(
      stranger.request(directGetSubject(subject), '', { timeout: 20_000 }),
    ).rejects.toThrow(/permissions/i);
    await stranger.close();
    expect(Buffer.compare(await store.get(sha256(content)), content)).toBe(0);
  });

  test.for(['user', 'gateway'] as const)(
    'what nats-server gives a %s who knows no digest tells nothing of what was sent',
    async (purpose) => {
      await using store = nats.open('demo');
      const content = Buffer.concat([Buffer.from('for few only'), randomBytes(3_000)]);
      const digest = sha256(content);
      const name = chunkName(digest);
      await store.put(digest, content);
      const curious = await nats.member('demo', 60_000, purpose);
      const guesses = ['*', '>', '*>', '*'.repeat(64), `${name.slice(0, 63)}*`, name];
      const ask = (guess: string) =>
        curious.request(directGetSubject(namedSubject('demo', guess)), '', { timeout: 20_000 });
      const answers = (await Promise.allSettled(guesses.map(ask)))
        .filter((answer) => answer.status === 'fulfilled')
        .map(({ value }) => value);
      await curious.close();
      const given = answers.filter(({ headers }) => headers?.get('Nats-Subject').includes(name));
      // By its name, and for a wildcard: nats-server means that well.
      expect(given.length).toBeGreaterThan(1);
      for (const { data, headers } of given) {
        expect(headers?.get('Nats-Subject')).not.toContain(digest);
        expect(Buffer.from(data).includes('for few only')).toBe(false);
        expect(() => decipher(name, Uint8Array.from(data))).toThrow(/was not made from it/);
        const coded = {
          bytes: decipher(digest, Uint8Array.from(data)),
          coding: headers?.get('Content-Encoding') ?? '',
        };
        expect(content.equals(await decodeChunk(digest, coded))).toBe(true);
      }
      await expect(store.get(name)).rejects.toMatchObject({ code: 'CHUNK_MISSING' });
    },
  );

  test('a member hears nothing but the answers to itself', async () => {
    const member = await nats.member('demo');
    for (const subject of ['>', '_INBOX.>', '_INBOX.*.>', 'stage.demo.chunk.*']) {
      const refusal = new Promise<string>((resolve) => {
        member.subscribe(subject, { callback: (error) => resolve(error?.message ?? 'heard') });
      });
      // nats-server says nothing where it allows it.
      const allowed = pause(20_000).then(() => `it may listen to ${subject}`);
      expect(await Promise.race([refusal, allowed])).toMatch(/permissions violation/i);
    }
    await member.close();
  });

  test('what reaches beyond an account is denied to whoever its key has signed, tickets and all', async () => {
    const beyond = ['$JS.API', '$JS.grid.API'].flatMap((api) =>
      ['ACCOUNT', 'SERVER', 'META'].map((what) => `${api}.${what}`),
    );
    const chunk = directGetSubject(chunkSubject('demo', sha256(randomBytes(1))));
    for (const [key, allowed] of [
      ['demo.seed', `$JS.API.STREAM.INFO.${STREAM}`],
      ['members/demo.seed', chunk],
    ] as const) {
      const user = createUser();
      const seed = await readFile(join(nats.dir, 'broker', key));
      const boundless = await encodeUser('boundless', user, fromSeed(seed), {});
      const connection = await connectNats({
        servers: [nats.files.url],
        authenticator: jwtAuthenticator(boundless, user.getSeed()),
        inboxPrefix: '_INBOX',
        caPem: nats.caPem,
      });
      const ask = (subject: string) => connection.request(subject, '', { timeout: 20_000 });
      for (const subject of beyond)
        await expect(ask(`${subject}.PURGE.x`)).rejects.toThrow(/permissions violation/i);
      // It is these that are denied: what is the account's own is not.
      await ask(allowed);
      await connection.close();
    }
    const { userJwt } = await nats.accounts.issueTicket({ ...TICKET, nkey: newNkey().publicKey });
    // Permissions of a user take the place of those of its account.
    expect(decode<Partial<User>>(userJwt).nats.pub?.deny).toEqual(
      beyond.map((subject) => `${subject}.>`),
    );
  });
});
