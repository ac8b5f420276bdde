import type { NatsConnection } from '@nats-io/transport-node';
import { clusterWarning } from '../../service/nats/nats-server.ts';

const PING = '$SYS.REQ.SERVER.PING';
const MOST_MS = 2_000;

/** What a server says of itself; more than we read. */
interface Pong {
  readonly server?: { readonly ver?: string; readonly cluster?: string };
}

/**
 * Versions of the servers that keep chunks together and run now. `system` is a connection of the system account: there each of
 * them answers. Where none does, that of the connected one alone.
 */
export async function versionsOfCluster(system: NatsConnection): Promise<readonly string[]> {
  const { version = '', cluster } = system.info ?? {};
  const versions: string[] = [];
  try {
    const how = { strategy: 'stall', maxWait: MOST_MS } as const;
    for await (const answer of await system.requestMany(PING, '', how)) {
      const { server } = answer.json<Pong>();
      if (server?.ver !== undefined && server.cluster === cluster) versions.push(server.ver);
    }
  } catch {
    // It has just ended, or its credential is of an earlier version of ours, which was not to ask.
  }
  return versions.length === 0 ? [version] : versions;
}

/** One sentence for people about the oldest of the servers of a cluster; '' where all of them will do. */
export function warningOfCluster(versions: readonly string[]): string {
  const [oldest = ''] = versions.toSorted((a, b) => a.localeCompare(b, 'en', { numeric: true }));
  return clusterWarning(oldest);
}
