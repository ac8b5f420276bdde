import { createReadStream } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { jetstream } from '@nats-io/jetstream';
import { Objm } from '@nats-io/obj';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { freePort } from '../../../service/nats/nats-config.ts';
import { writeTlsIdentity } from '../../fakes/tls-identity.ts';
import { needs } from '../../setup/needs.ts';
import { HOST, type Server, seconds, serve } from './serve.ts';
import { MIB, run, type World } from './world.ts';

/** A nats-server with TLS and JetStream, and nothing of ours. */
async function plainNats({ dir, binary }: World): Promise<Server & { readonly caPem: string }> {
  const at = join(dir, 'plain-nats');
  await mkdir(at);
  const { certFile, keyFile, caPem } = await writeTlsIdentity(at);
  const port = await freePort(HOST);
  const config = join(at, 'nats.conf');
  await writeFile(
    config,
    [
      `listen: "${HOST}:${port}"`,
      'max_payload: 2MB',
      `log_file: "${join(at, 'log')}"`,
      `tls { cert_file: "${certFile}", key_file: "${keyFile}" }`,
      `jetstream { store_dir: "${join(at, 'js')}" }`,
    ].join('\n'),
  );
  return { ...(await serve(binary, { args: ['-c', config], port, cwd: at })), caPem };
}

/** By nats.js as it is, without what we have made faster in it. */
const dial = (port: number, caPem: string): Promise<NatsConnection> => {
  // There is no server name for an address; both ends are ours.
  const tls = { ca: caPem, servername: '', checkServerIdentity: () => undefined };
  return connect({ servers: `tls://${HOST}:${port}`, inboxPrefix: '_INBOX', tls });
};

/** Seconds for `bytes` through core NATS in messages of 1 MiB, published to received, TLS on both. */
export async function rawNats(world: World, bytes: number): Promise<number> {
  await using server = await plainNats(world);
  const subscriber = await dial(server.port, server.caPem);
  const publisher = await dial(server.port, server.caPem);
  try {
    const messages = Math.ceil(bytes / MIB);
    const received = subscriber.subscribe('raw', { max: messages });
    await subscriber.flush();
    const payload = Buffer.alloc(MIB, 7);
    return await seconds(async () => {
      const reading = (async () => {
        let sum = 0;
        for await (const { data } of received) sum += data.byteLength;
        if (sum !== messages * MIB) throw new Error(`${sum} bytes arrived of ${messages * MIB}`);
      })();
      let taken = Promise.resolve();
      for (let sent = 0; sent < messages; sent += 1) {
        publisher.publish('raw', payload);
        if (sent % 8 !== 7) continue;
        await publisher.flush();
        // The server cuts off who is too slow to take what is sent.
        await taken;
        taken = subscriber.flush();
      }
      await publisher.flush();
      await reading;
    });
  } finally {
    await publisher.close();
    await subscriber.close();
    await rm(join(world.dir, 'plain-nats'), { recursive: true });
  }
}

/** Seconds to put a file into NATS' object store and to get it again. */
export async function objectStore(
  world: World,
  file: string,
): Promise<{ readonly put: number; readonly get: number }> {
  await using server = await plainNats(world);
  const nc = await dial(server.port, server.caPem);
  try {
    const store = await new Objm(jetstream(nc)).create('bench');
    const put = await seconds(() =>
      store.put(
        { name: 'file', options: { max_chunk_size: MIB } },
        Readable.toWeb(
          createReadStream(file, { highWaterMark: MIB }),
        ) as ReadableStream<Uint8Array>,
      ),
    );
    const get = await seconds(async () => {
      const found = await store.get('file');
      if (found === null) throw new Error('the object is not there');
      let sum = 0;
      for await (const part of found.data as unknown as AsyncIterable<Uint8Array>)
        sum += part.byteLength;
      if (sum !== found.info.size) throw new Error(`${sum} bytes of ${found.info.size}`);
      await found.error;
    });
    return { put, get };
  } finally {
    await nc.close();
    await rm(join(world.dir, 'plain-nats'), { recursive: true });
  }
}

/** Seconds to copy a tree with rsync to a daemon, without encryption. */
export async function rsync(world: World, root: string, target: string): Promise<number> {
  needs('rsync', 'rsync');
  const port = await freePort(HOST);
  const config = join(world.dir, 'rsyncd.conf');
  await mkdir(target, { recursive: true });
  await writeFile(
    config,
    `use chroot = no\nuid = root\ngid = root\n[bench]\npath = ${target}\nread only = no\n`,
  );
  await using server = await serve('rsync', {
    args: [
      '--daemon',
      '--no-detach',
      `--config=${config}`,
      `--port=${port}`,
      `--address=${HOST}`,
      `--log-file=${join(world.dir, 'rsync.log')}`,
    ],
    port,
    cwd: world.dir,
  });
  return await seconds(() =>
    run('rsync', ['-a', '--whole-file', `${root}/`, `rsync://${HOST}:${server.port}/bench/`]),
  );
}
