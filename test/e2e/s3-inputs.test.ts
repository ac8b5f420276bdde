import { createHash, randomBytes } from 'node:crypto';
import { appendFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type S3Server, startS3Server } from '../fakes/s3-server.ts';
import { writeTlsIdentity } from '../fakes/tls-identity.ts';
import { eventually, type LocalGrid, type Ran, startLocalGrid } from '../support/local-grid.ts';

let grid: LocalGrid;
let s3: S3Server;
let site: string;
beforeAll(async () => {
  grid = await startLocalGrid({ sites: 1, cpusPerSite: 2 });
  const dir = join(grid.layout.dir, 's3-test');
  mkdirSync(dir);
  const tls = await writeTlsIdentity(dir);
  writeFileSync(join(dir, 'ca.pem'), tls.caPem);
  s3 = await startS3Server(dir, tls);
  mkdirSync(join(s3.data, 'lab'));
  site = grid.plan.sites[0]?.name ?? '';
  const config = join(grid.layout.site(site), 'site.yaml');
  appendFileSync(
    config,
    `fetch-from: ["${new URL(s3.endpoint).host}"]\nfetch-ca: ${join(dir, 'ca.pem')}\nstaging-patience: 20s\n`,
  );
  await grid.crash(`site-${site}`);
  await restartSite();
}, 900_000);
afterAll(async () => {
  await s3[Symbol.asyncDispose]();
  await grid[Symbol.asyncDispose]();
});

const restartSite = (): Promise<void> =>
  grid.processes.startService(`site-${site}`, ['site'], join(grid.layout.site(site), 'site.yaml'));
const credential = () => ({
  AWS_ACCESS_KEY_ID: s3.accessKeyId,
  AWS_SECRET_ACCESS_KEY: s3.secretAccessKey,
});
const run = (args: readonly string[], env = {}): Promise<Ran> => grid.grid(args, { env });

/** An object in the bucket, as an input of a job. */
function object(key: string, bytes: Buffer): string {
  mkdirSync(join(s3.data, 'lab', key, '..'), { recursive: true });
  writeFileSync(join(s3.data, 'lab', key), bytes);
  const digest = createHash('sha256').update(bytes).digest('hex');
  return `s3://lab/${key}?endpoint=${s3.endpoint}#sha256=${digest}`;
}

const submit = async (from: string, env = {}): Promise<string> => {
  const script = ['sh', '-c', `sha256sum <in | cut -c1-64`];
  const ran = await run(['submit', '-q', '-i', `${from}=in`, '--', ...script], env);
  expect([ran.code, ran.stderr]).toEqual([0, '']);
  return ran.stdout.trim();
};
const statusOf = async (id: string) => JSON.parse((await run(['status', id, '--json'])).stdout);

/** Whether any file below a directory has a text in it. */
function isIn(dir: string, text: string): boolean {
  return readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .some((entry) => readFileSync(join(entry.parentPath, entry.name)).includes(text));
}

test('a job reads an object of S3, and its credential is nowhere in the grid', async () => {
  const from = object('a dir/data+1.bin'.replace(' ', '-'), randomBytes(3_000_000));
  const id = await submit(from, credential());
  expect((await run(['wait', id])).code).toBe(0);
  expect((await run(['logs', id])).stdout.trim()).toBe(from.slice(-64));
  expect(isIn(grid.layout.dir, s3.secretAccessKey)).toBe(false);
  expect(isIn(grid.layout.dir, 'X-Amz-Signature')).toBe(false);
  expect(JSON.stringify(await statusOf(id))).not.toContain(s3.accessKeyId);
});

test('without a credential a job that reads from S3 is refused before anything is sent', async () => {
  const from = object('closed', Buffer.from('closed'));
  const { code, stderr } = await run(['submit', '-i', from, '--', 'true']);
  expect([code, stderr]).toEqual([2, expect.stringContaining('AWS_ACCESS_KEY_ID')]);
});

test('a gateway that was killed gets its addresses again; so does one under a new broker', async () => {
  const from = object('again', randomBytes(2_000_000));
  await grid.crash(`site-${site}`);
  const id = await submit(from, credential());
  await grid.crash('broker');
  await grid.processes.startBroker();
  await restartSite();
  expect((await run(['wait', id, '--timeout', '200s'])).code).toBe(0);
  expect((await run(['logs', id])).stdout.trim()).toBe(from.slice(-64));
});

test('a credential that S3 refuses holds the job, and another one lets it go on', async () => {
  const from = object('renewed', Buffer.from('renewed'));
  const bad = { ...credential(), AWS_SECRET_ACCESS_KEY: 'another-secret' };
  const id = await submit(from, bad);
  const held = await eventually('the job is held', 60_000, async () => {
    const status = await statusOf(id);
    return status.state === 'held' ? status : undefined;
  });
  expect(JSON.stringify(held)).toContain('CREDENTIAL_EXPIRED');
  expect(JSON.stringify(held)).toContain('403');
  expect((await run(['release', id, '--s3'], credential())).code).toBe(0);
  expect((await run(['wait', id, '--timeout', '100s'])).code).toBe(0);
});

test('the credential goes when the job ends: to try it again takes a new one', async () => {
  const from = object('ended', Buffer.from('ended'));
  const wrong = `${from.slice(0, -64)}${'ab'.repeat(32)}`;
  const id = await submit(wrong, credential());
  expect((await run(['wait', id, '--timeout', '100s'])).code).toBe(1);
  expect(JSON.stringify(await statusOf(id))).toContain('FETCH_MISMATCH');
  const again = await eventually('the credential has gone', 60_000, async () => {
    const ran = await run(['retry', id]);
    return ran.code === 0 ? undefined : ran;
  });
  expect(again.stderr).toContain('--s3');
  expect((await run(['retry', id, '--s3'], credential())).code).toBe(0);
  expect((await run(['wait', id, '--timeout', '100s'])).code).toBe(1);
});
