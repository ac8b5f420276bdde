/** docs/site-admins.md: from nothing to the first job on a real Slurm and a real Grid Engine, by the three commands that the page shows. */
import { execFile } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import {
  chmodSync,
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { parseSiteToken } from '../../cli/site/token.ts';
import { endProcessesBelow } from '../../cli/up/process.ts';
import { BrokerService } from '../../proto/gen/grid/v1/broker.ts';
import { freePort } from '../../service/nats/nats-config.ts';
import { openClient } from '../../service/rpc/grpc-client.ts';
import { type GridEngineCluster, startGridEngine } from '../support/gridengine-cluster.ts';
import { type LocalGrid, startLocalGrid } from '../support/local-grid.ts';
import { packInto } from '../support/packed.ts';
import { type SlurmCluster, startSlurm } from '../support/slurm-cluster.ts';

const run = promisify(execFile);
/** The account of the gateway; Debian has it on every machine. Where tests do not run as root it is their own. */
const GAMES = process.getuid?.() === 0 ? { uid: 5, gid: 60 } : {};
let grid: LocalGrid;
let cluster: SlurmCluster;
let gridEngine: GridEngineCluster;
let home: string;
let port: number;

beforeAll(async () => {
  port = await freePort('127.0.0.1');
  home = mkdtempSync(join(tmpdir(), 'hanse-site-admin-'));
  [grid, cluster, gridEngine] = await Promise.all([
    startLocalGrid({ sites: 1 }),
    startSlurm({ nodes: 2, cpus: 2, memoryMb: 1_000 }),
    startGridEngine({ hosts: 1, slots: 2, memoryMb: 1_000 }),
  ]);
  await packInto(home);
  // The administrator is a member of the VO.
  cpSync(grid.layout.user, join(home, '.hanse'), { recursive: true });
  const { ports, vo } = grid.plan;
  const settings = {
    broker: `localhost:${ports.broker}`,
    authority: `localhost:${ports.authority}`,
    vo,
  };
  writeFileSync(join(home, '.hanse', 'config.yaml'), stringify(settings));
  if (GAMES.uid !== undefined) await run('chown', ['-R', `${GAMES.uid}:${GAMES.gid}`, home]);
  chmodSync(home, 0o755);
});
afterAll(async () => {
  await endProcessesBelow(home);
  await gridEngine[Symbol.asyncDispose]();
  await cluster[Symbol.asyncDispose]();
  await grid[Symbol.asyncDispose]();
  rmSync(home, { recursive: true, force: true });
});

/** What is there for a shell of the gateway's account. */
interface Shell {
  readonly variables: Readonly<Record<string, string>>;
  readonly path: string;
  readonly account: { readonly uid?: number; readonly gid?: number };
}
const onSlurm = (): Shell => ({
  variables: { SLURM_CONF: cluster.conf },
  path: join(home, '.local/bin'),
  account: GAMES,
});

/** A line as the administrator types it. */
async function type(line: string, shell = onSlurm()): Promise<{ stdout: string; stderr: string }> {
  const env = {
    ...process.env,
    HOME: home,
    PATH: `${shell.path}:${process.env['PATH']}`,
    npm_config_prefix: join(home, '.local'),
    npm_config_cache: join(home, '.npm'),
    // The registry may be slow just now.
    npm_config_fetch_retries: '6',
    ...shell.variables,
    NO_COLOR: '1',
  };
  return run('sh', ['-c', line], { cwd: home, env, ...shell.account, maxBuffer: 2 ** 24 });
}

/** The commands of the page, without their remarks. */
function commands(): readonly string[] {
  const page = readFileSync('docs/site-admins.md', 'utf8');
  const [, lines = ''] = /site-admins-test[^\n]*\n```sh\n([\s\S]*?)```/.exec(page) ?? [];
  return lines
    .trim()
    .split('\n')
    .map((line) => line.replace(/\s+#.*/, ''));
}

async function invite(at: number, site = 'campus'): Promise<string> {
  const words = ['site', 'invite', site, '--host', 'localhost', '--port', String(at)];
  const { code, stdout, stderr } = await grid.grid(words);
  expect({ code, stderr }).toMatchObject({ code: 0 });
  return /^grid site enrol (\S+)\n$/.exec(stdout)?.[1] ?? '';
}

/** Submits a job to Slurm that runs until it is let go, however long a look at it takes. */
async function submitHeld(name: string, last: string) {
  const gate = join(home, `go-${name}`);
  const script = `until test -e ${gate}; do sleep 0.1; done; ${last}`;
  const { stdout } = await type(`grid submit --site campus -m 100M -- sh -c '${script}'`);
  return { job: stdout.trim(), letGo: (): void => writeFileSync(gate, '') };
}

/** All that `grid site test` looks at. */
const LINKS = [
  ...['certificate', 'broker', 'site', 'match', 'store', 'submit', 'placement', 'gateway'],
  ...['staging in', 'batch system', 'run', 'staging out', 'logs', 'result'],
];
const linksOf = (shown: string): readonly (string | undefined)[] =>
  shown
    .trimEnd()
    .split('\n')
    .map((line) => /^ok {4}(.{12})/.exec(line)?.[1]?.trimEnd());

test('three commands make a Slurm cluster a site, and the first job is done on it', async () => {
  const [install = '', enrol = '', probe = '', ...others] = commands();
  expect(others).toEqual([]);
  expect(readdirSync(home).filter((name) => name.endsWith('.tgz'))).toEqual(['hanse-0.1.0.tgz']);
  const token = await invite(port);

  await type(install);
  const enrolled = await type(enrol.replace('TOKEN', token));
  expect(enrolled.stdout).toContain('site campus is up');
  expect(enrolled.stderr).toMatch(/batch system: Slurm [\d.]+, partitions .*main/);

  const tested = await type(probe);
  expect(linksOf(tested.stdout)).toEqual(LINKS);
  expect(tested.stderr).toMatch(/site campus works: all 14 links hold/);
  // It was Slurm that ran it, for the account of the gateway.
  const ended = () => cluster.run('squeue', '-h', '-t', 'all', '-o', '%T %U %k');
  const whose = GAMES.uid ?? process.getuid?.();
  await expect.poll(ended).toMatch(new RegExp(`^COMPLETED ${whose} grid`, 'm'));
});

test('the same three make a Grid Engine cell a site', async () => {
  const [install = '', enrol = '', probe = ''] = commands();
  const dir = join(home, 'cell');
  const shell: Shell = {
    variables: {
      SGE_ROOT: gridEngine.dir,
      SGE_QMASTER_PORT: '6444',
      SGE_EXECD_PORT: '6445',
      npm_config_prefix: join(dir, '.local'),
    },
    path: `${join(dir, '.local/bin')}:${gridEngine.bin}`,
    // The login node of this cell has namespaces that root alone can enter.
    account: {},
  };
  const token = await invite(await freePort('127.0.0.1'), 'cell');

  await type(install, shell);
  const enrolled = await type(`${enrol.replace('TOKEN', token)} --dir ${dir}`, shell);
  expect(enrolled.stdout).toContain('site cell is up');
  expect(enrolled.stderr).toMatch(/batch system: Grid Engine, queues .*main\.q/);
  expect(enrolled.stderr).toMatch(/warning: the gateway runs as root/);
  expect(enrolled.stderr).toMatch(
    /nothing starts the gateway again after a restart .* --print-unit/,
  );

  const tested = await type(probe.replace('campus', 'cell'), shell);
  expect(linksOf(tested.stdout)).toEqual(LINKS);
  expect(tested.stderr).toMatch(/site cell works: all 14 links hold/);
  // It was Grid Engine that ran it.
  const ended = (): string =>
    readFileSync(join(gridEngine.dir, 'default/common/accounting'), 'utf8');
  await expect.poll(ended).toMatch(/^main\.q:n1:.*:grid-[0-9a-f]{16}:/m);
});

test('grid site status shows a task as Slurm has it', async () => {
  const { job, letGo } = await submitHeld('seen', 'true');
  const look = async (): Promise<unknown> => {
    const failed = (error: unknown): unknown => error;
    const { stdout: shown } = (await type('grid site status campus --json').catch(failed)) as {
      stdout: string;
    };
    return JSON.parse(shown);
  };
  const agreed = { job, grid: 'running', gateway: 'running', batch: 'runs', difference: '' };
  await expect.poll(look).toMatchObject({ attempts: [agreed], unasked: '' });
  const { site, attempts } = (await look()) as {
    site: { offer: { queues: { name: string }[] } };
    attempts: { batchId: string; attempt: string }[];
  };
  expect(site.offer.queues.map(({ name }) => name)).toContain('main');
  const queue = await cluster.run('squeue', '-h', '-o', '%i %k');
  expect(queue).toContain(`${attempts[0]?.batchId} grid`);
  letGo();
  await type(`grid wait ${job}`);
  // Slurm lists it until the next look.
  const nothing = { attempts: [], differences: 0 };
  await expect.poll(look).toMatchObject(nothing);
});

test('the same again does nothing twice, and half a token is refused', async () => {
  const [, enrol = ''] = commands();
  const token = await invite(port);
  const before = readFileSync(join(home, '.hanse/sites/campus/hostcert.pem'), 'utf8');
  const again = await type(enrol.replace('TOKEN', token));
  expect(again.stderr).toMatch(/certificate: .* is there already/);
  expect(again.stderr).toMatch(/gateway: runs already, process \d+/);
  expect(readFileSync(join(home, '.hanse/sites/campus/hostcert.pem'), 'utf8')).toBe(before);
  await expect(type(`grid site enrol ${token.slice(0, 40)}`)).rejects.toMatchObject({
    code: 3,
    stderr: expect.stringContaining('TOKEN_INVALID'),
  });
});

test('grid site test names the link that fails, and what to do', async () => {
  const fails = async (words: string): Promise<readonly Record<string, unknown>[]> => {
    const failed: unknown = await type(`grid site test ${words} --json`).catch((error) => error);
    expect(failed).toMatchObject({ code: 1 });
    const { ok, links } = JSON.parse((failed as { stdout: string }).stdout);
    expect(ok).toBe(false);
    return links;
  };
  expect((await fails('nowhere')).at(-1)).toMatchObject({ link: 'site', ok: false });

  await type('grid site drain campus');
  const drained = (await fails('campus')).at(-1);
  expect(drained).toMatchObject({ link: 'site', remedy: '`grid site resume campus`' });
  await type('grid site resume campus');

  // The batch system will not have the task.
  await cluster.run('scontrol', 'update', 'PartitionName=main', 'State=INACTIVE');
  // It is told long before the five minutes are over that a probe may take; where the site has said so before, none is sent,
  // and where it says so meanwhile, that is told of wherever the probe is then.
  const stuck = (await fails('campus')).at(-1);
  expect(stuck?.['detail']).toContain('partition');
  expect([
    { link: 'batch system', remedy: expect.stringContaining('squeue') },
    ...['site', 'placement', 'gateway', 'staging in', 'batch system'].map((link) => ({
      link,
      remedy: 'mend that at the site; it opens by itself',
    })),
  ]).toContainEqual({ link: stuck?.['link'], remedy: stuck?.['remedy'] });
  await cluster.run('scontrol', 'update', 'PartitionName=main', 'State=UP');

  const pid = Number(readFileSync(join(home, '.hanse/sites/campus/gateway.pid'), 'utf8'));
  process.kill(pid, 'SIGKILL');
  const status: unknown = await type('grid site status campus').catch((error) => error);
  expect(status).toMatchObject({
    code: 1,
    stdout: expect.stringMatching(/fetches from +\*:443\n.*not asked +.*reached/s),
  });
  expect((await type('grid site resume campus')).stdout).toMatch(
    /^campus drains no more, and takes work once the broker hears it \(/,
  );
  const dead = (await fails('campus --timeout 5s')).at(-1);
  expect(dead).toMatchObject({
    link: 'site',
    remedy: expect.stringMatching(/its log on localhost/),
  });
});

test('a site leaves when what runs there has ended', async () => {
  const [, enrol = ''] = commands();
  // The gateway was killed; the same command starts it again.
  expect((await type(enrol.replace('TOKEN', await invite(port)))).stderr).toMatch(/log in /);
  // It may be in quarantine since Slurm would not have its tasks.
  await type('grid site resume campus');
  const { job, letGo } = await submitHeld('leaving', 'echo well');
  const stateOf = async (): Promise<string> =>
    JSON.parse((await type(`grid status ${job} --json`)).stdout).state;
  await expect.poll(stateOf).toBe('running');

  const hasty = await grid.grid(['site', 'leave', 'campus', '--timeout', '1s']);
  expect(hasty).toMatchObject({ code: 4, stderr: expect.stringContaining('SITE_NOT_DRAINED') });
  letGo();
  const left = await grid.grid(['site', 'leave', 'campus', '--json']);
  expect(left).toMatchObject({ code: 0 });
  // The authority of this grid is a service of the same host name: nothing of it may be revoked.
  expect(JSON.parse(left.stdout)).toMatchObject({ removed: true, revoked: [] });
  expect(await stateOf()).toBe('done');
  const sites = JSON.parse((await grid.grid(['sites', '--json'])).stdout);
  expect(sites.map((site: { id: string }) => site.id)).not.toContain('campus');
  const issued = JSON.parse((await grid.grid(['ca', 'ls', '--json'])).stdout);
  expect(issued.filter(({ state }: { state: string }) => state === 'revoked')).toEqual([]);
});

test('leaving revokes the certificate of that site and of no other', async () => {
  const certify = async (site: string): Promise<string> => {
    const invited = await grid.grid(['site', 'invite', site, '--host', `${site}.example.org`]);
    const { enrolment } = parseSiteToken(invited.stdout.trim().split(' ').at(-1) ?? '');
    const out = join(home, `of-${site}`);
    const request = await grid.grid(['cert', 'request', '--token', enrolment, '--out', out]);
    expect(request).toMatchObject({ code: 0 });
    return out;
  };
  const [gone, stays] = [await certify('gone'), await certify('stays')];
  const certOf = (dir: string): string => readFileSync(join(dir, 'hostcert.pem'), 'utf8');
  const serial = BigInt(`0x${new X509Certificate(certOf(gone)).serialNumber}`);
  const asks = async (dir: string): Promise<unknown> => {
    using broker = openClient(BrokerService, 'broker', `localhost:${grid.plan.ports.broker}`, {
      caPem: readFileSync(join(grid.layout.authority, 'ca.pem'), 'utf8'),
      certPem: certOf(dir),
      keyPem: readFileSync(join(dir, 'hostkey.pem'), 'utf8'),
    });
    return await broker.call.whoAmI({}).then(
      ({ caller }) => caller?.dn.replace(/.*CN=/, ''),
      (error: { code: string; message: string }) => `${error.code} ${error.message}`,
    );
  };
  expect([await asks(gone), await asks(stays)]).toEqual(['gone.example.org', 'stays.example.org']);

  // A second gateway of that host shows the same certificate.
  const { subject } = new X509Certificate(certOf(gone));
  const dn = `/${subject.split('\n').join('/')}`;
  await grid.grid(['site', 'add', 'twin', '--address', 'gone.example.org:7461', '--dn', dn]);
  const twin = await grid.grid(['site', 'leave', 'twin', '--force', '--json']);
  expect(JSON.parse(twin.stdout)).toMatchObject({ dn, removed: true, revoked: [] });

  const left = await grid.grid(['site', 'leave', 'gone', '--force', '--json']);
  const { revoked } = JSON.parse(left.stdout);
  expect(revoked.map((text: string) => BigInt(`0x${text}`))).toEqual([serial]);
  const issued = JSON.parse((await grid.grid(['ca', 'ls', '--json'])).stdout);
  const bad = issued.filter(({ state }: { state: string }) => state === 'revoked');
  expect(bad.map((one: { serial: string }) => one.serial)).toEqual(revoked);
  await expect.poll(() => asks(gone)).toMatch(/^UNAUTHENTICATED .*REVOKED/);
  expect(await asks(stays)).toBe('stays.example.org');
  const name = grid.plan.sites[0]?.name ?? '';
  const ran = await grid.grid(['run', '--site', name, '--', 'true']);
  expect(ran).toMatchObject({ code: 0 });
});
