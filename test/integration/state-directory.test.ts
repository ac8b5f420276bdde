import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openStateDirectory, stateFailure } from '../../service/state-directory.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const COMMON = [
  'listen: 127.0.0.1:0',
  'certificate: c.pem',
  'key: k.pem',
  'trust: t',
  'vomsdir: v',
];
const SERVICES = {
  site: [...COMMON, 'site: here', 'broker-dn: /CN=broker', 'lrms: fork'],
  broker: [...COMMON, 'vos: [demo]', 'admins: [/CN=admin]'],
  authority: [...COMMON, 'ca-certificate: ca.pem', 'ca-key: ca.key', 'admins: [/CN=admin]'],
} as const;
type Service = keyof typeof SERVICES;
const services: readonly Service[] = ['site', 'broker', 'authority'];
const settingOf = (service: Service): string => (service === 'site' ? 'spool' : 'state');

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'hanse-state-'));
});
afterAll(() => rmSync(dir, { recursive: true }));

/** `grid SERVICE serve` with its state in this place, after the shell words `before`. */
function serve(service: Service, place: string, before = ':'): ChildProcess {
  const config = join(dir, `${service}.yaml`);
  const lines = [...SERVICES[service], `${settingOf(service)}: ${place}`];
  writeFileSync(config, lines.join('\n'));
  const script = `${before}; exec "$@"`;
  const command = [process.execPath, join(ROOT, 'cli/main.ts'), service, 'serve'];
  return spawn('unshare', ['-m', 'sh', '-c', script, 'sh', ...command, '--config', config], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
}

async function endOf(child: ChildProcess): Promise<{ code: unknown; said: string }> {
  let said = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  const [code] = await once(child, 'close');
  return { code, said };
}

test('a service whose state cannot be there says so and ends', async () => {
  const ends = await Promise.all(services.map((name) => endOf(serve(name, '/proc/nope'))));
  services.forEach((name, at) => {
    const setting = name === 'site' ? 'spool' : 'state';
    expect(ends[at]?.said).toContain(`/proc/nope ${setting}: no directory can be made there`);
    expect(ends[at]?.code).toBe(2);
  });
});

test.for(['/etc/passwd', '/etc/passwd/spool'])('a file is no directory: %s', async (place) => {
  await expect(openStateDirectory('spool', place)).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    problems: [{ where: place, message: expect.stringContaining('that is no directory') }],
  });
});

/** Words that try the directory with this Node, and print what is said of it; so long it may take to answer. */
const trying = (place: string, patienceMs = 30_000): readonly string[] => {
  const module = JSON.stringify(join(ROOT, 'service/state-directory.ts'));
  const script = `import(${module}).then((m) => m.openStateDirectory('spool', ${JSON.stringify(place)}, ${patienceMs})).catch((e) => console.log(e.code, e.problems[0].message))`;
  return [process.execPath, '-e', script];
};

/** What is said of a place on the file system that these shell words mount at `%`. */
function saidOf(mount: string, patienceMs?: number): string {
  const disk = mkdtempSync(join(dir, 'disk-'));
  const script = `${mount.replace('%', disk)} && exec "$@"`;
  const words = ['-m', 'sh', '-c', script, 'sh', ...trying(join(disk, 's'), patienceMs)];
  return execFileSync('unshare', words, { encoding: 'utf8', timeout: 60_000 });
}

test.for<readonly [string, string, RegExp]>([
  ['read-only', 'ro,size=1m', /^CONFIG_INVALID spool: .*read-only: mount it for writing/],
  [
    'without room for one more file',
    'size=1m,nr_inodes=1',
    /^DISK_FULL spool: .*is full: make room/,
  ],
])('a file system is %s', ([, options, words]) => {
  expect(saidOf(`mount -t tmpfs -o ${options} none %`)).toMatch(words);
});

test('what the account may not write is named with the account', () => {
  const place = join(dir, 'of-root');
  mkdirSync(place, { mode: 0o755 });
  chmodSync(dir, 0o755);
  const account = ['--reuid=65534', '--regid=65534', '--clear-groups'];
  const said = execFileSync('setpriv', [...account, ...trying(place)], { encoding: 'utf8' });
  expect(said).toMatch(/^CONFIG_INVALID spool: the account nobody may not use .*chown/);
});

/** A file system that nobody answers for, as NFS without its server. */
const HUNG = 'exec 9<>/dev/fuse; mount -i -t fuse -o fd=9,rootmode=40000,user_id=0,group_id=0 none';

test('a directory that does not answer is told of', () => {
  expect(saidOf(`${HUNG} %`, 1_000)).toMatch(
    /^CONFIG_INVALID spool: it does not answer within 1 s: .*network file system/,
  );
});

test('a signal ends a service that waits for its directory', async () => {
  const place = join(dir, 'hangs');
  mkdirSync(place);
  const children = services.map((name) => serve(name, join(place, 's'), `${HUNG} ${place}`));
  const ends = children.map((child) => once(child, 'exit'));
  for (const child of children) {
    // What it asks has begun, and does not come back.
    await expect.poll(() => hasChild(child, /answer/)).toBe(true);
    child.kill('SIGTERM');
  }
  for (const end of ends) expect(await end).toEqual([null, 'SIGTERM']);
});

function hasChild({ pid = 0 }: ChildProcess, words: RegExp): boolean {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ');
  return children.some(
    (one) => one !== '' && words.test(readFileSync(`/proc/${one}/cmdline`, 'utf8')),
  );
}

test('what happens elsewhere is not blamed on the directory', async () => {
  const elsewhere = Object.assign(new Error('no'), { code: 'ENOENT', path: '/etc/grid/trust' });
  const refused = Object.assign(new Error('no'), { code: 'ECONNREFUSED' });
  for (const error of [elsewhere, refused]) expect(stateFailure('spool', dir, error)).toBe(error);
  await expect(openStateDirectory('spool', join(dir, 'new', 'deep'))).resolves.toBeUndefined();
  const full = Object.assign(new Error('no'), { code: 'ENOSPC' });
  expect(stateFailure('spool', dir, full)).toMatchObject({ code: 'DISK_FULL' });
});

test('a spoiled database is told of', () => {
  const error = Object.assign(new Error('file is not a database'), { errcode: 26 });
  expect(stateFailure('spool', dir, error)).toMatchObject({
    code: 'CONFIG_INVALID',
    problems: [{ where: dir, message: expect.stringContaining('spoiled') }],
  });
});
