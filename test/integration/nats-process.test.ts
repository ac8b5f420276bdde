import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { freePort, writeNatsServer } from '../../service/nats/nats-config.ts';
import { startNatsServer } from '../../service/nats/nats-process.ts';
import { startTestNats, testNatsBinary } from '../fakes/nats.ts';

test.for([
  [{}, 'GOGC=400', 'GOMEMLIMIT=512MiB'],
  [{ GOGC: '100', GOMEMLIMIT: 'off' }, 'GOGC=100', 'GOMEMLIMIT=off'],
] as const)('a nats-server with %o in its environment has %s and %s', async ([own, ...words]) => {
  await using nats = await startTestNats({ binary: await testNatsBinary(), vos: [] });
  const port = await freePort('127.0.0.1');
  const files = await writeNatsServer({ ...nats.settings, dir: join(nats.dir, 'second'), port });
  await using second = await startNatsServer({
    ...{ binary: await testNatsBinary(), configFile: files.configFile, port },
    ...{ logFile: join(nats.dir, 'second.log'), host: '127.0.0.1', caPem: nats.caPem, env: own },
  });
  const environment = await readFile(`/proc/${second.pid}/environ`, 'utf8');
  expect(environment.split('\0')).toEqual(expect.arrayContaining([...words]));
});

test('a nats-server that cannot start says why', async () => {
  await using nats = await startTestNats({ binary: await testNatsBinary(), vos: [] });
  const second = startNatsServer({
    binary: await testNatsBinary(),
    configFile: join(nats.dir, 'no-such.conf'),
    logFile: join(nats.dir, 'second.log'),
    host: '127.0.0.1',
    port: await freePort('127.0.0.1'),
    caPem: nats.caPem,
    env: process.env,
  });
  await expect(second).rejects.toMatchObject({
    code: 'UNAVAILABLE',
    message: expect.stringContaining('no-such.conf'),
  });
});
