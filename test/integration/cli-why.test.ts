import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type LocalGrid, startLocalGrid } from '../support/local-grid.ts';
import { testDirs } from '../support/test-dirs.ts';

const dirs = testDirs('why');
let grid: LocalGrid;
beforeAll(async () => {
  const bin = dirs();
  for (const name of ['podman', 'apptainer'])
    writeFileSync(join(bin, name), `#!/bin/sh\necho 'Error: no ${name} today' >&2; exit 1\n`, {
      mode: 0o755,
    });
  grid = await startLocalGrid({ sites: 2, siteSettings: [{ path: `${bin}:/usr/bin:/bin` }, {}] });
});
afterAll(() => grid[Symbol.asyncDispose]());

const BIG = ['-m', '900T', '-t', '5m', '--', 'true'];

test('a dry run shows the job on stdout and what the sites say beside it', async () => {
  const { code, stdout, stderr } = await grid.grid(['submit', '--dry-run', ...BIG]);
  expect([code, stdout]).toEqual([0, expect.stringContaining('memory: 900T\n')]);
  expect(stderr).toContain('it would wait: no single site is large enough');
  expect(stderr).toMatch(/too-little-memory {2}needs 900 TiB, offers/);
  expect(stderr).toMatch(/-> with `memory: \d+[MG]`, \d sites? could run it/);
  const asJson = await grid.grid(['submit', '--dry-run', '--json', ...BIG]);
  expect(JSON.parse(asJson.stdout)).toMatchObject([
    {
      spec: { memory: '900T' },
      why: { changes: [{ startsNow: false }], sites: [{ lasting: true }, { lasting: true }] },
    },
  ]);
});

test('a gang that no single site can hold is told so, with what each site has', async () => {
  const { stderr } = await grid.grid(['submit', '--dry-run', '--nodes', '2', '--', 'true']);
  expect(stderr.replaceAll('\n', ' ')).toContain(
    'no single site is large enough, and a task never spreads over',
  );
  expect(stderr).toMatch(/too-many-nodes {2}needs 2 nodes, offers 1\n.*needs 2 nodes, offers 1\n/);
  expect(stderr).toContain('-> with `nodes: 1`');
});

test('why says the same of the job when it waits, and what is advised can be submitted', async () => {
  const { stdout: id } = await grid.grid(['submit', ...BIG]);
  const { stdout } = await grid.grid(['why', id.trim()]);
  const advised = /with `memory: (\d+[MG])`/.exec(stdout)?.[1] ?? '';
  expect(stdout.split('\n').filter(({ length }) => length > 80)).toEqual([]);
  const smaller = await grid.grid(['submit', '--dry-run', '-m', advised, '-t', '5m', '--', 'true']);
  expect(smaller.stderr).toMatch(/it (could be placed now at|would wait: .* full)/);
  expect((await grid.grid(['cancel', id.trim()])).code).toBe(0);
});

test('the status of a site says why it runs no images', async () => {
  const status = ['site', 'status', grid.plan.sites[0]?.name ?? ''];
  expect((await grid.grid(status)).stdout).toMatch(
    /^images +not run here: podman: Error: no podman today; *\n? *apptainer: Error: no apptainer today$/m,
  );
  expect(JSON.parse((await grid.grid([...status, '--json'])).stdout)).toMatchObject({
    imagesTrouble: 'podman: Error: no podman today; apptainer: Error: no apptainer today',
    certificateTrouble: '',
  });
});

test('the status of a task that was tried again says where to read why', async () => {
  const { stdout } = await grid.grid(['submit', '--retries', '1', '--', 'false']);
  const id = stdout.trim();
  await grid.grid(['wait', id]);
  expect((await grid.grid(['status', id])).stdout).toMatch(
    new RegExp(`^attempts +2: why, says grid job events ${id}$`, 'm'),
  );
  expect((await grid.grid(['job', 'events', id])).stdout.match(/EXIT_NONZERO/g)).toHaveLength(3);
});
