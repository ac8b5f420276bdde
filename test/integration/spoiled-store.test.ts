import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { headers } from '@nats-io/transport-node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { OpenKeeper } from '../../broker/data/staging-accounts.ts';
import { type ChunkName, chunkName } from '../../service/staging/chunk-cipher.ts';
import { sha256 } from '../../service/staging/chunk-store.ts';
import { chunkSubject, namedSubject } from '../../service/staging/names.ts';
import { natsServers, startTestNats, type TestNats } from '../fakes/nats.ts';

describe.for(await natsServers())('what disks and rogues do to the chunks of $name', ({ path }) => {
  let nats: TestNats;
  let keeper: OpenKeeper;
  beforeAll(async () => {
    nats = await startTestNats({ binary: path, vos: ['demo'] });
    keeper = nats.accounts.openKeeper('demo');
  });
  afterAll(async () => {
    await keeper[Symbol.asyncDispose]();
    await nats[Symbol.asyncDispose]();
  });

  /** Flips a bit of a chunk while nats-server is down, so that it has it from no memory. */
  const spoil = async (bytes: Buffer): Promise<void> => {
    await nats.stop();
    let flipped = 0;
    for (const name of readdirSync(nats.settings.dir, { recursive: true, encoding: 'utf8' })) {
      if (!name.endsWith('.blk')) continue;
      const file = join(nats.settings.dir, name);
      const content = readFileSync(file);
      const subject = content.indexOf(chunkSubject('demo', sha256(bytes)));
      if (subject < 0) continue;
      const at = subject + 200;
      content[at] = (content[at] ?? 0) ^ 1;
      writeFileSync(file, content);
      flipped += 1;
    }
    expect(flipped).toBeGreaterThan(0);
    await nats.start();
  };

  test('names that a member made up to be taken for all chunks take nothing with them', async () => {
    const content = randomBytes(1_000);
    await using member = nats.open('demo');
    await member.put(sha256(content), content);
    const rogue = await nats.member('demo');
    const name = chunkName(sha256(content));
    for (const madeUp of ['*', '>', 'a', 'a*', '-again', `${name}-again-again`]) {
      const ack = await rogue.request(namedSubject('demo', madeUp), 'false', { timeout: 20_000 });
      expect(ack.json()).not.toHaveProperty('error');
    }
    await rogue.close();
    const others = (await keeper.list()).names.filter((other) => other !== name);
    await keeper.remove([...others, ...(['*', '>'] as ChunkName[])]);
    expect(await keeper.list()).toEqual({ names: [name], strays: 6 });
    expect(await keeper.removeStrays()).toBe(6);
    expect(await keeper.list()).toEqual({ names: [name], strays: 0 });
    await keeper.remove([name]);
  });

  test('a bit that flips on the disk is found, and the chunk can be sent again and taken out', async () => {
    const bytes = randomBytes(200_000);
    const digest = sha256(bytes);
    const other = randomBytes(1_000);
    await using member = nats.open('demo');
    await member.put(digest, bytes);
    await member.put(sha256(other), other);
    await spoil(bytes);

    await expect(member.get(digest)).rejects.toMatchObject({
      code: expect.stringMatching(/CHUNK_(MISSING|CORRUPT)/),
    });
    await keeper.remove([chunkName(digest)]);
    expect(await member.put(digest, bytes)).toBe(bytes.byteLength);
    expect(Buffer.compare(await member.get(digest), bytes)).toBe(0);
    expect(await member.put(digest, bytes)).toBe(0);
    expect(await keeper.store.missing([digest])).toEqual(new Set());
    expect(new Set((await keeper.list()).names)).toEqual(
      new Set([digest, sha256(other)].map(chunkName)),
    );

    await keeper.remove([chunkName(digest)]);
    expect(await keeper.store.missing([digest])).toEqual(new Set([digest]));
    await expect(member.get(digest)).rejects.toMatchObject({ code: 'CHUNK_MISSING' });
    expect(await member.put(digest, bytes)).toBe(bytes.byteLength);
  });

  test.for(['404 Not Found', '408 Timeout', '503 No Responders'])(
    'a message that calls itself %s is found to be no chunk, and is taken out',
    async (status) => {
      const bytes = randomBytes(300);
      const digest = sha256(bytes);
      const made = headers(Number.parseInt(status, 10), status.slice(4));
      const rogue = await nats.member('demo');
      const options = { headers: made, timeout: 20_000 };
      await rogue.request(chunkSubject('demo', digest), Buffer.of(), options);
      await rogue.close();
      await using member = nats.open('demo');
      expect(await member.put(digest, bytes)).toBe(0);
      await expect(member.get(digest)).rejects.toMatchObject({ code: 'CHUNK_CORRUPT' });
      await keeper.remove([chunkName(digest)]);
      expect(await member.put(digest, bytes)).toBe(bytes.byteLength);
      expect(Buffer.compare(await member.get(digest), bytes)).toBe(0);
    },
  );

  test('a chunk that is swept while it is sent again keeps its place', async () => {
    const bytes = randomBytes(300);
    const digest = sha256(bytes);
    await using member = nats.open('demo');
    for (let at = 0; at < 200; at += 1) {
      await member.put(digest, bytes);
      await Promise.all([member.put(digest, bytes), keeper.remove([chunkName(digest)])]);
      expect(await member.missing([digest])).toEqual(await keeper.store.missing([digest]));
    }
  });
});
