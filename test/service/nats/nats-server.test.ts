import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  clusterWarning,
  findNatsServer,
  isRecent,
  NATS_SERVER_VERSION,
  parseVersion,
} from '../../../service/nats/nats-server.ts';

let dir: string;
let bin: string;
let cacheDir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'hanse-find-'));
  bin = join(dir, 'bin');
  cacheDir = join(dir, 'cache');
  await mkdir(bin);
});
afterEach(() => rm(dir, { recursive: true, force: true }));

async function program(file: string, script: string): Promise<void> {
  await mkdir(join(file, '..'), { recursive: true });
  await writeFile(file, `#!/bin/sh\n${script}\n`);
  await chmod(file, 0o755);
}
const server = (version: string) => `echo 'nats-server: v${version}'`;
const find = (said: string[] = []) =>
  findNatsServer({ cacheDir, env: { PATH: bin }, onProgress: (text) => said.push(text) });
/** What the fake tools need besides themselves. */
const TOOLS = 'PATH=/usr/bin:/bin';

describe('nats-server is taken', () => {
  test('from PATH where it is recent', async () => {
    await program(join(bin, 'nats-server'), server('2.11.15'));
    expect(await find()).toEqual({
      path: join(bin, 'nats-server'),
      version: '2.11.15',
      source: 'path',
    });
  });

  test('from the cache rather than an old one on PATH', async () => {
    await program(join(bin, 'nats-server'), server('2.9.10'));
    const cached = join(cacheDir, `nats-server-v${NATS_SERVER_VERSION}/nats-server`);
    await program(cached, server(NATS_SERVER_VERSION));
    expect(await find()).toMatchObject({ path: cached, source: 'cache' });
  });

  test('from go, at the pinned release, into the cache, once', async () => {
    await program(
      join(bin, 'go'),
      `${TOOLS}
       test "$1 $2" = "install github.com/nats-io/nats-server/v2@v${NATS_SERVER_VERSION}" || exit 1
       printf '%s\\n' '#!/bin/sh' "${server(NATS_SERVER_VERSION)}" > "$GOBIN/nats-server"
       chmod 755 "$GOBIN/nats-server"`,
    );
    const said: string[] = [];
    expect(await find(said)).toMatchObject({ version: NATS_SERVER_VERSION, source: 'built' });
    expect(said).toEqual([expect.stringContaining('building nats-server')]);
    await rm(join(bin, 'go'));
    expect(await find()).toMatchObject({ version: NATS_SERVER_VERSION, source: 'cache' });
    expect(await readdir(join(cacheDir, `nats-server-v${NATS_SERVER_VERSION}`))).toEqual([
      'nats-server',
    ]);
  });

  test('old from PATH, with a warning, where go fails', async () => {
    await program(join(bin, 'nats-server'), server('2.9.10'));
    await program(join(bin, 'go'), 'echo no network >&2; exit 1');
    const said: string[] = [];
    expect(await find(said)).toMatchObject({
      version: '2.9.10',
      source: 'path',
      warning: expect.stringContaining('CVE-2025-30215'),
    });
    expect(said.at(-1)).toContain('no network');
  });

  test("from Debian's package, unpacked and not installed, with a warning", async () => {
    await program(
      join(bin, 'apt-get'),
      `${TOOLS}; echo "$@" >> ${dir}/apt; touch nats-server_1.deb`,
    );
    await program(
      join(bin, 'dpkg'),
      `${TOOLS}
       mkdir -p "$3/usr/sbin"
       printf '%s\\n' '#!/bin/sh' "${server('2.9.10')}" > "$3/usr/sbin/nats-server"
       chmod 755 "$3/usr/sbin/nats-server"`,
    );
    const path = join(cacheDir, 'nats-server-debian/nats-server');
    const warning: unknown = expect.stringContaining('loopback');
    expect(await find()).toEqual({ path, version: '2.9.10', source: 'package', warning });
    await rm(join(bin, 'apt-get'));
    expect(await find()).toEqual({ path, version: '2.9.10', source: 'package', warning });
  });

  test('from nowhere: then TOOL_MISSING says what to do', async () => {
    await expect(find()).rejects.toMatchObject({
      code: 'TOOL_MISSING',
      message: expect.stringMatching(/install Go.*apt-get install nats-server.*on PATH/),
    });
  });

  test('not where it does not run', async () => {
    await program(join(bin, 'nats-server'), 'echo broken; exit 1');
    await expect(find()).rejects.toMatchObject({ code: 'TOOL_MISSING' });
  });
});

test.for<[string, boolean]>([
  ['2.9.10', false],
  ['2.11.14', false],
  ['2.11.15', true],
  ['2.12.5', false],
  ['2.12.6', true],
  ['2.15.2', true],
  ['1.4.1', false],
  ['3.0.0', true],
])('%s is recent: %s', ([version, recent]) => expect(isRecent(version)).toBe(recent));

test('the version is read from what the program prints', () => {
  expect(parseVersion('nats-server: v2.15.2\n')).toBe('2.15.2');
  expect(parseVersion('nats-server: v2.9.10-RC.1')).toBe('2.9.10');
  expect(parseVersion('something else')).toBeUndefined();
});

test.for([
  ['2.9.10', true],
  ['2.12.15', true],
  ['2.14.0', false],
  ['2.15.2', false],
  ['3.0.0', false],
  ['', true],
] as const)('nats-server %s is warned of in a cluster: %s', ([version, isWarned]) => {
  expect(clusterWarning(version) !== '').toBe(isWarned);
});
