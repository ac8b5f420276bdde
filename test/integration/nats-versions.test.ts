import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { credsAuthenticator } from '@nats-io/transport-node';
import { expect, test } from 'vitest';
import { versionsOfCluster } from '../../broker/data/cluster-versions.ts';
import { connectNats } from '../../service/staging/nats-connect.ts';
import { natsServers } from '../fakes/nats.ts';
import { startNatsCluster, type TestCluster } from '../fakes/nats-cluster.ts';

/** What the broker learns of a cluster by a connection to its first server. */
async function versionsIn({ files, caPem }: TestCluster): Promise<readonly string[]> {
  const [first] = files;
  const creds = await readFile(join(first?.brokerDir ?? '', 'system.creds'));
  const authenticator = credsAuthenticator(creds);
  const servers = [first?.url ?? ''];
  const system = await connectNats({ servers, authenticator, inboxPrefix: '_INBOX', caPem });
  try {
    return await versionsOfCluster(system);
  } finally {
    await system.close();
  }
}

test.for(await natsServers())(
  'each of three of $name says its version, by a connection to one of them',
  async ({ path, version }) => {
    await using nats = await startNatsCluster(path, 1);
    await expect.poll(() => versionsIn(nats)).toEqual([version, version, version]);
    await nats.crash(2);
    await expect.poll(() => versionsIn(nats)).toEqual([version, version]);
  },
);
