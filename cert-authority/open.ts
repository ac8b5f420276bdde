import { join } from 'node:path';
import type { Clock } from '../service/clock.ts';
import { ensureDirectory } from '../service/directories.ts';
import type { Log } from '../service/log.ts';
import type { Authority } from './authority.ts';
import type { AuthorityConfig } from './config.ts';
import { loadAuthorityKeys } from './keys.ts';
import { openLedger } from './ledger.ts';
import { openWorkQueue } from './work-queue.ts';

/** The authority without its server: what `ca init`, offline issuing and the server all work with. */
export async function openAuthority(
  config: AuthorityConfig,
  around: {
    readonly clock: Clock;
    readonly log: Log;
    /** `host:port` that others reach it at. */
    readonly address: string;
    readonly trustChanged: () => void;
  },
): Promise<Authority> {
  const keys = loadAuthorityKeys({ certificate: config['ca-certificate'], key: config['ca-key'] });
  ensureDirectory(config.state, 0o700);
  const { clock, log } = around;
  const ledger = await openLedger({ file: join(config.state, 'authority.db'), clock, log });
  return {
    keys,
    ledger,
    clock,
    address: around.address,
    admins: new Set(config.admins),
    trustDir: config.trust,
    vomsDir: config.vomsdir,
    signerDir: join(config.state, 'signers'),
    crlLifetimeMs: config['crl-lifetime'],
    inTurn: openWorkQueue(),
    trustChanged: around.trustChanged,
  };
}

/** `host:port` that goes into tokens and attributes; `port` is the one listened on, which the file may leave open. */
export function addressOf(config: AuthorityConfig, port: number = config.listen.port): string {
  if (config.public !== undefined) return config.public;
  const { host } = config.listen;
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
