import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { sha256 } from '../../service/staging/chunk-store.ts';
import { newNkey, openStaging } from '../../service/staging/connect-staging.ts';
import { type LocalGrid, type Ran, startLocalGrid } from '../support/local-grid.ts';

let grid: LocalGrid;
let dir: string;
const SIZE = 3_000_000;
beforeAll(async () => {
  grid = await startLocalGrid({ sites: 1, cpusPerSite: 2 });
  dir = join(grid.layout.dir, 'data-test');
  mkdirSync(join(dir, 'genome/sub'), { recursive: true });
  writeFileSync(join(dir, 'genome/big'), randomBytes(SIZE));
  writeFileSync(join(dir, 'genome/sub/small'), 'small\n');
  writeFileSync(join(dir, '../elsewhere.txt'), 'elsewhere\n');
});
afterAll(() => grid[Symbol.asyncDispose]());

const run = (...args: readonly string[]): Promise<Ran> => grid.grid(args, { cwd: dir });
const out = async (...args: readonly string[]): Promise<string> => {
  const { code, stdout, stderr } = await run(...args);
  expect([code, stderr]).toEqual([0, expect.anything()]);
  return stdout.trimEnd();
};
const json = async <T>(...args: readonly string[]): Promise<T> =>
  JSON.parse(await out(...args, '--json')) as T;

interface Put {
  readonly id: string;
  readonly sentBytes: number;
  readonly savedBytes: number;
}

describe('a dataset', () => {
  test('is put once, and of a changed tree the change only', async () => {
    const first = await json<Put>('data', 'put', 'genome', 'hg38');
    expect(first).toMatchObject({ id: '/demo/hg38@v1' });
    expect(first.sentBytes).toBeGreaterThan(SIZE);
    expect(await json<Put>('data', 'put', 'genome', 'hg38')).toMatchObject({
      id: '/demo/hg38@v1',
      sentBytes: 0,
    });
    writeFileSync(join(dir, 'genome/sub/small'), 'other\n');
    const second = await json<Put>('data', 'put', 'genome', '/demo/hg38');
    expect(second).toMatchObject({ id: '/demo/hg38@v2' });
    expect(second.sentBytes).toBeLessThan(10_000);
  });

  test('comes back as it was, each version', async () => {
    await out('data', 'get', 'hg38@v1', 'old');
    expect(readFileSync(join(dir, 'old/sub/small'), 'utf8')).toBe('small\n');
    await out('data', 'get', 'grid:/demo/hg38');
    expect(readFileSync(join(dir, 'hg38/sub/small'), 'utf8')).toBe('other\n');
    expect(readFileSync(join(dir, 'hg38/big')).equals(readFileSync(join(dir, 'genome/big')))).toBe(
      true,
    );
  });

  test('is compared with another version, and with a directory', async () => {
    const versions = await run('data', 'diff', 'hg38@v1', 'hg38@v2', '--json');
    expect(versions.code).toBe(1);
    expect(JSON.parse(versions.stdout)).toEqual([{ path: 'sub/small', kind: 'changed', bytes: 6 }]);
    expect((await run('data', 'diff', 'hg38', './genome')).code).toBe(0);
    expect((await run('data', 'diff', 'hg38', 'genome')).stderr).toContain("here is './genome'");
  });

  test('shows how much room it takes alone', async () => {
    const usage = await json<{
      readonly datasets: readonly { readonly id: string; readonly aloneBytes: number }[];
      readonly storedBytes: number;
    }>('data', 'du');
    expect(usage.datasets.map(({ id }) => id)).toEqual(['/demo/hg38@v2', '/demo/hg38@v1']);
    expect(usage.datasets.every(({ aloneBytes }) => aloneBytes === 6)).toBe(true);
    expect(usage.storedBytes).toBe(SIZE + 12);
    const one = await json<typeof usage>('data', 'du', 'hg38@v1');
    expect(one.datasets.map(({ id }) => id)).toEqual(['/demo/hg38@v1']);
  });

  test.for(['nope', 'hg38@v9'])('of %s, which is none, no room is shown', async (name) => {
    const { code, stdout, stderr } = await run('data', 'du', 'hg38', name);
    expect([code, stdout]).toEqual([4, '']);
    expect(stderr).toContain(`DATASET_NOT_FOUND: there is no dataset /demo/${name}`);
  });

  test('is an input of a job, which keeps its version, and is warm at the site afterwards', async () => {
    const id = await out(
      ...['submit', '-q', '-i', 'grid:/demo/hg38@v1=ref', '-i', 'grid:/demo/hg38'],
      ...['-i', '../elsewhere.txt', '-i', `${dir}/../elsewhere.txt=in/x`],
      ...['--', 'cat', 'ref/sub/small', 'hg38/sub/small', 'elsewhere.txt', 'in/x'],
    );
    expect((await run('wait', id)).code).toBe(0);
    expect(await out('logs', id)).toBe('small\nother\nelsewhere\nelsewhere');
    const { spec } = await json<{ readonly spec: { readonly inputs: readonly object[] } }>(
      'status',
      id,
    );
    expect(spec.inputs).toEqual([
      { from: 'grid:/demo/hg38@v1', to: 'ref' },
      { from: 'grid:/demo/hg38@v2', to: 'hg38' },
      { from: join(dir, '../elsewhere.txt'), to: 'elsewhere.txt' },
      { from: join(dir, '../elsewhere.txt'), to: 'in/x' },
    ]);
    expect(await out('status', id)).toContain('grid:/demo/hg38@v1=ref, grid:/demo/hg38@v2=hg38');
    await expect.poll(() => out('data', 'where', 'hg38@v1')).not.toBe('');
  });

  test('of its job the output is told of where it is not looked for', async () => {
    const id = await out('submit', '-q', '--', 'sh', '-c', 'echo trouble >&2');
    expect((await run('wait', id)).code).toBe(0);
    expect(await run('logs', id)).toEqual({
      code: 0,
      stdout: '',
      stderr: `nothing on standard output; there is text on standard error: \`grid logs ${id} --stderr\`\n`,
    });
    expect(await run('logs', id, '--stderr')).toEqual({ code: 0, stdout: 'trouble\n', stderr: '' });
  });

  test('is sound in the store, and says so', async () => {
    expect(await out('data', 'verify', 'hg38')).toMatch(/chunks, .*, all sound$/);
  });

  test('keeps its chunks when the store is swept', async () => {
    const swept = await json<{ readonly stored: number }>('data', 'sweep');
    expect(swept).toMatchObject({ condemned: 0, removed: 0 });
    expect(swept.stored).toBeGreaterThan(3);
  });

  test('that is false in the store is mended by putting it again, once somebody has read it', async () => {
    const bytes = randomBytes(1_000);
    writeFileSync(join(dir, 'poisoned'), bytes);
    const nkey = newNkey();
    using broker = await grid.broker();
    await using store = openStaging({
      nkey,
      vo: 'demo',
      ticket: () => broker.call.issueStagingTicket({ vo: 'demo', nkey: nkey.publicKey }),
      caPem: readFileSync(join(grid.layout.authority, 'ca.pem'), 'utf8'),
    });
    await store.put(sha256(bytes), Buffer.from('false'));
    expect(await json<Put>('data', 'put', 'poisoned', 'p')).toMatchObject({ sentBytes: 0 });
    const spoiled = await run('data', 'get', 'p');
    expect([spoiled.code, spoiled.stderr]).toEqual([6, expect.stringContaining('CHUNK_CORRUPT')]);
    expect(await json<Put>('data', 'put', 'poisoned', 'p')).toMatchObject({ sentBytes: 1_000 });
    await out('data', 'get', 'p');
    expect(readFileSync(join(dir, 'p/poisoned')).equals(bytes)).toBe(true);
    await out('data', 'rm', 'p', '--all');
  });

  test('survives a broker that crashes, and is gone when it is removed', async () => {
    await grid.crash('broker');
    await grid.processes.startBroker();
    const names = async (...of: readonly string[]): Promise<readonly string[]> =>
      (await json<readonly { readonly id: string }[]>('data', 'ls', '--versions', ...of)).map(
        ({ id }) => id,
      );
    expect(await names()).toEqual(['/demo/hg38@v2', '/demo/hg38@v1']);
    expect(await names('hg38@v1')).toEqual(['/demo/hg38@v2', '/demo/hg38@v1']);
    const unclear = await run('data', 'rm', 'hg38');
    expect([unclear.code, unclear.stderr]).toEqual([2, expect.stringContaining('--all')]);
    expect(await out('data', 'rm', 'hg38@v2')).toBe('removed /demo/hg38@v2');
    expect(await names()).toEqual(['/demo/hg38@v1']);
    expect(await json<Put>('data', 'put', 'genome', 'hg38')).toMatchObject({
      id: '/demo/hg38@v3',
      sentBytes: 0,
    });
  });

  test.for<readonly [readonly string[], number, string]>([
    [['ls', '--vo', 'biomed'], 4, 'VO_NOT_FOUND: this broker does not serve VO biomed'],
    [['get', 'nothing'], 4, 'DATASET_NOT_FOUND: there is no dataset /demo/nothing'],
    [['put', 'genome', '/biomed/x'], 4, 'VO_NOT_FOUND: this broker does not serve VO biomed'],
    [['put', 'genome', 'x@v3'], 2, 'versions are numbered by the grid'],
    [['put', 'nowhere', 'x'], 6, "there is no '"],
    [['put', 'genome/big/x', 'x'], 6, 'lies below something that is no directory'],
    [['ls', '--limit', '3'], 2, '--everybody and --limit go with --jobs'],
    [['diff', './genome', 'hg38'], 2, "the directory './genome' comes second"],
    [['put', 'genome', '../x'], 2, 'has a part that is not'],
    [['get', 'hg38@v99'], 4, 'there is no dataset /demo/hg38@v99'],
    [['pin', 'hg38', '--for', 'soon'], 2, "--for 'soon' is not a duration"],
    [
      ['put', 'genome', 'x', '--keep', '0s'],
      2,
      "--keep '0s' is not a duration of more than nothing",
    ],
  ])('%j is refused', async ([args, exit, words]) => {
    const { code, stderr } = await run('data', ...args);
    expect([code, stderr]).toEqual([exit, expect.stringContaining(words)]);
  });

  test('says for how long it stays as it was told to', async () => {
    const pin = ['data', 'pin', 'hg38@v1', '--for'] as const;
    expect(await out(...pin, '30d')).toBe('/demo/hg38@v1 stays for 30d');
    expect(await out(...pin, '36h')).toBe('/demo/hg38@v1 stays for 1d12h');
  });

  test('that is not there keeps a job from being submitted', async () => {
    const { code, stderr } = await run('submit', '-i', 'grid:/demo/nothing', '--', 'true');
    expect([code, stderr]).toEqual([2, expect.stringContaining('inputs[0].from')]);
  });
});

describe('the results of a job', () => {
  test('are listed, and let go before their time', async () => {
    const task = 'head -c 500000 /dev/urandom > made';
    const id = await out('submit', '-q', '-n', 'maker', '-o', 'made', '--', 'sh', '-c', task);
    expect((await run('wait', id)).code).toBe(0);
    const [first] = await json<readonly object[]>('data', 'ls', '--jobs');
    expect(first).toMatchObject({ id: `job:${id}`, name: 'maker', totalBytes: 500_000 });
    expect(await out('data', 'ls', '--jobs')).toMatch(/maker +3 +488 KiB +done/);
    const du = await json<{ readonly datasets: readonly object[] }>('data', 'du', `job:${id}`);
    expect(du.datasets).toEqual([
      { id: `job:${id}`, totalBytes: 500_000, storedBytes: 500_000, aloneBytes: 500_000 },
    ]);
    const used = async (): Promise<number> =>
      (await json<readonly { readonly usedBytes: number }[]>('data', 'quota'))[0]?.usedBytes ?? 0;
    const before = await used();
    expect(await out('data', 'rm', `job:${id}`)).toBe(
      `removed the results of job ${id}: 3 files, 488 KiB`,
    );
    expect(await used()).toBe(before - 500_000);
    expect(await json('data', 'rm', `job:${id}`)).toEqual({ id, files: 0, totalBytes: 0 });

    const removed = `RESULTS_REMOVED: the results of job ${id} were removed by /DC=org`;
    for (const args of [
      ['get', id],
      ['logs', id],
      ['data', 'put', `job:${id}`, 'made'],
      ['submit', '-i', `job:${id}=in`, '--', 'true'],
    ]) {
      const { code, stderr } = await run(...args);
      expect([code, stderr]).toEqual([4, expect.stringContaining(removed)]);
    }
    expect(await out('status', id)).toMatch(/results +removed by \/DC=org.* at 2/);
    const status = await json<object>('status', id);
    expect(status).toMatchObject({ resultsRemoved: { by: expect.stringContaining('/DC=org') } });
    const gone = await run('data', 'rm', 'job:nowhere');
    expect([gone.code, gone.stderr]).toEqual([4, expect.stringContaining('JOB_NOT_FOUND')]);
  });
});

describe('a quota', () => {
  interface Quota {
    readonly owner: string;
    readonly usedBytes: number;
    readonly limitBytes: number | null;
  }
  const quotas = (): Promise<readonly Quota[]> => json<readonly Quota[]>('data', 'quota');
  const stored = async (): Promise<number> => {
    const swept = await json<{ readonly stored: number }>('data', 'sweep');
    return swept.stored;
  };

  test('refuses before anything is sent, what is known already and what jobs bring, until there is room', async () => {
    const [vo] = await quotas();
    const used = vo?.usedBytes ?? 0;
    expect(vo).toMatchObject({ owner: '', limitBytes: null });
    expect(used).toBeGreaterThan(SIZE);
    expect(
      await out('data', 'quota', 'demo', '--everybody', '--limit', `${used + 1_000}B`),
    ).toMatch(/^everybody else: at most /);
    writeFileSync(join(dir, 'genome/more'), randomBytes(1_500_000));
    const before = await stored();
    const refused = await run('data', 'put', 'genome', 'hg38');
    expect([refused.code, refused.stderr]).toEqual([4, expect.stringContaining('STORE_QUOTA')]);
    expect(refused.stderr).toMatch(/may store .*: .* are stored, and 1\.4 MiB more are wanted/);
    const job = await run('submit', '-i', 'genome/more', '--', 'true');
    expect([job.code, job.stderr]).toEqual([4, expect.stringContaining('STORE_QUOTA')]);
    expect(await stored()).toBe(before);
    // As large as the quota, but nothing of it is new.
    expect((await run('data', 'put', 'hg38', 'copy')).code).toBe(0);
    expect((await run('submit', '--', 'true')).code).toBe(0);
    expect((await run('data', 'du')).stderr).toContain('VO demo: ');
    expect((await json<{ readonly quotas: readonly Quota[] }>('data', 'du')).quotas).toEqual(
      await quotas(),
    );
    await out('data', 'quota', '--everybody', '--limit', `${used + 2_000_000}B`);
    expect((await run('data', 'put', 'genome', 'hg38')).code).toBe(0);
    await out('data', 'quota', '--everybody', '--limit', 'none');
  });

  test('is doubted for a name that no member has, and for no other', async () => {
    const grace = '/DC=org/DC=example/CN=Grace Hopper';
    await out('vo', 'add', 'demo', grace);
    const quota = (...args: readonly string[]) => run('data', 'quota', ...args);
    expect((await quota('--user', grace, '--limit', '1G')).stderr).toBe('');
    expect((await quota('--user', grace)).stderr).toBe('');
    const close = '/DC=org/DC=example/CN=Grace Hoper';
    const doubt = `VO demo has no member ${close}; did you mean '${grace}'?\n  -> see \`grid vo members demo\`\n`;
    expect(await quota('--user', close, '--limit', '1G')).toMatchObject({ code: 0, stderr: doubt });
    expect(await quota('--user', close)).toMatchObject({ code: 0, stderr: doubt });
    const alone = { cwd: dir, env: { HANSE_AUTHORITY: 'localhost:1' } };
    expect(await grid.grid(['data', 'quota', '--user', close], alone)).toMatchObject({
      code: 0,
      stderr: expect.stringContaining('the authority does not say whether that is a member'),
    });
  });

  test.for<readonly [readonly string[], number, string]>([
    [['--limit', 'much'], 2, "--limit 'much' is neither a size such as 500G nor none"],
    [['--limit', '-1'], 2, "'-1'"],
    [['--everybody'], 2, '--everybody needs --limit'],
    [['--user', '*', '--limit', '1G'], 2, "'*' is no DN"],
    [['--user', 'Ada', '--limit', '1G'], 2, 'is no DN such as'],
    [['biomed', '--limit', '1G'], 4, 'does not serve VO biomed'],
  ])('%j is refused', async ([args, exit, words]) => {
    const { code, stderr } = await run('data', 'quota', ...args);
    expect([code, stderr]).toEqual([exit, expect.stringContaining(words)]);
  });
});
