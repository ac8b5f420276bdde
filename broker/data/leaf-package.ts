import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fromSeed } from '@nats-io/nkeys';
import { GridError } from '../../core/errors.ts';
import { ensureDirectory } from '../../service/directories.ts';
import type { LeafManifest } from '../../service/nats/nats-leaf.ts';
import { writeAtomic } from '../../service/write-atomic.ts';
import { keepVoKeys, leafCredentials, leafToken } from './account-tokens.ts';

interface LeafOptions {
  /** Where it goes. */
  readonly dir: string;
  /** `tls://host:port` at which the nats-servers wait for leaf nodes. */
  readonly servers: readonly string[];
  readonly operatorDir: string;
  /** Where the broker keeps the keys of the accounts. */
  readonly stateDir: string;
  readonly vos: readonly string[];
  readonly expiresAtMs: number;
}

/** Writes what a site needs to run a leaf node for some VOs: to be copied there, and as secret as a key. */
export async function writeLeafPackage(options: LeafOptions): Promise<void> {
  const { dir, operatorDir, stateDir, servers, vos, expiresAtMs } = options;
  const read = (name: string): Promise<string> =>
    readFile(join(operatorDir, name), 'utf8').catch((cause: unknown) => {
      const message = `cannot read ${join(operatorDir, name)}, which \`grid nats init\` makes`;
      throw new GridError('CONFIG_INVALID', message, { cause });
    });
  const operator = fromSeed(Buffer.from((await read('operator.seed')).trim()));
  ensureDirectory(dir, 0o700);
  ensureDirectory(stateDir, 0o700);
  for (const name of ['operator.jwt', 'system.jwt'])
    await writeAtomic(join(dir, name), await read(name), 0o600);
  const accounts: LeafManifest['accounts'][number][] = [];
  for (const vo of vos) {
    const keys = await keepVoKeys(stateDir, vo);
    const token = await leafToken(vo, keys, operator);
    const creds = await leafCredentials(vo, keys, expiresAtMs);
    await writeAtomic(join(dir, `${vo}.creds`), creds, 0o600);
    accounts.push({ vo, id: keys.members.getPublicKey(), token });
  }
  const manifest: LeafManifest = { servers: [...servers], accounts };
  await writeAtomic(join(dir, 'leaf.json'), JSON.stringify(manifest), 0o600);
}
