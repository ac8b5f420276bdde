import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort } from '../../../service/nats/nats-config.ts';
import { makeProxy } from '../../../service/pki/proxy-cert.ts';
import {
  crlOf,
  DAY_MS,
  type Entity,
  installIn,
  keyPemOf,
  makeAuthority,
  makeHost,
  makeUser,
  newKey,
  pemOf,
} from '../../fakes/test-ca.ts';
import { needs } from '../../setup/needs.ts';
import { HOST, seconds, serve } from './serve.ts';
import { run, type World } from './world.ts';

/** What is best for it here: without the data connections of several streams it is as fast, and with more logins it is slower. */
const FLAGS = ['-fast', '-pp', '-cc', '4', '-r', '-cd'];

interface Way {
  readonly scheme: 'gsiftp' | 'ftp';
  readonly serverArgs: readonly string[];
  readonly serverEnv: Readonly<Record<string, string>>;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/** Seconds to copy a tree with GridFTP as a grid's users do: with proxies and host certificates, the data encrypted. */
export async function gridFtp(world: World, root: string, target: string): Promise<number> {
  const identity = await writeIdentities(join(world.dir, 'gsi'));
  const way = {
    ...({ scheme: 'gsiftp', serverArgs: ['-allow-root'], args: ['-dcpriv'] } as const),
    ...identity,
  };
  return copy(way, { world, root, target });
}

/** Seconds to copy a tree with GridFTP when anybody may, and nothing is encrypted. */
export const openGridFtp = (world: World, root: string, target: string): Promise<number> =>
  copy(
    {
      scheme: 'ftp',
      serverArgs: ['-aa', '-anonymous-user', 'root', '-allow-root'],
      serverEnv: {},
      args: [],
      env: {},
    },
    { world, root, target },
  );

async function copy(
  way: Way,
  tree: { readonly world: World; readonly root: string; readonly target: string },
): Promise<number> {
  needs('globus-gridftp-server', 'globus-gridftp-server-progs');
  needs('globus-url-copy', 'globus-gass-copy-progs');
  const { world, root, target } = tree;
  await chmod(world.dir, 0o755);
  const port = await freePort(HOST);
  const listen = ['-p', String(port), '-control-interface', HOST];
  await using _server = await serve('globus-gridftp-server', {
    args: [...listen, ...way.serverArgs],
    env: way.serverEnv,
    port,
    cwd: world.dir,
  });
  // Its certificate names the host.
  const to = `${way.scheme}://localhost:${port}${target}/`;
  return await seconds(() =>
    run('globus-url-copy', [...FLAGS, ...way.args, `file://${root}/`, to], {
      env: { ...process.env, ...way.env },
    }),
  );
}

/** An authority, a host certificate and a proxy (RSA 2048, as Globus makes them), a mapping; what tells both programs of them. */
async function writeIdentities(dir: string): Promise<Pick<Way, 'serverEnv' | 'env'>> {
  const dates = { notBeforeMs: Date.now() - DAY_MS, notAfterMs: Date.now() + DAY_MS };
  const rsa = () => ({ ...dates, key: newKey('rsa-2048') });
  const authority = makeAuthority('/DC=org/DC=test/CN=Authority', rsa());
  const host = makeHost(authority, '/DC=org/DC=test/CN=localhost', ['localhost'], rsa());
  const user = makeUser(authority, '/DC=org/DC=test/CN=Alice', rsa());
  const proxy = await makeProxy({
    ...{ certPem: pemOf(user), keyPem: keyPemOf(user), kind: 'full', keyKind: 'rsa' },
    ...{ lifetimeMs: DAY_MS / 2, nowMs: Date.now() },
  });
  const trust = join(dir, 'certificates');
  await mkdir(dir, { recursive: true });
  const period = { thisUpdateMs: dates.notBeforeMs, nextUpdateMs: dates.notAfterMs };
  await installIn(trust, authority, crlOf(authority, period));
  const keep = async (name: string, text: string): Promise<string> => {
    await writeFile(join(dir, name), text, { mode: 0o600 });
    return join(dir, name);
  };
  const pairOf = async (name: string, entity: Entity) => ({
    X509_CERT_DIR: trust,
    X509_USER_CERT: await keep(`${name}.pem`, pemOf(entity)),
    X509_USER_KEY: await keep(`${name}.key`, keyPemOf(entity)),
  });
  return {
    serverEnv: {
      ...(await pairOf('host', host)),
      GRIDMAP: await keep('gridmap', '"/DC=org/DC=test/CN=Alice" root\n'),
    },
    env: { ...(await pairOf('user', user)), X509_USER_PROXY: await keep('proxy', proxy.fileText) },
  };
}
