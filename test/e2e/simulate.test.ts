import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { GRID } from '../support/local-grid.ts';

const run = promisify(execFile);
let dir = '';
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'hanse-simulate-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** A figure of report.json for the policies `fair`, `first-come` and `unreserved`. */
interface Report {
  readonly policies: readonly {
    readonly policy: string;
    readonly unfinished: number;
    readonly voShareError: number;
    readonly users: readonly { readonly name: string; readonly meanWaitMs: number }[];
  }[];
}

test('the example shows what fair share and reservations are good for', async () => {
  const env = { ...process.env, NO_COLOR: '1', HANSE_HOME: dir };
  const words = ['simulate', 'examples/simulate/campus.yaml', '--report', dir];
  const { stdout } = await run(GRID, words, { env });
  expect(stdout).toContain('26 sites with 304 cpus, seed 7');
  const { policies }: Report = JSON.parse(readFileSync(join(dir, 'report.json'), 'utf8'));
  const [fair, firstCome, unreserved] = policies;
  const waitOf = (policy: typeof fair, user: string): number =>
    policy?.users.find(({ name }) => name === user)?.meanWaitMs ?? Number.NaN;
  expect(policies.map(({ policy, unfinished }) => [policy, unfinished])).toEqual([
    ['fair', 0],
    ['first-come', 0],
    ['unreserved', 0],
  ]);
  expect(fair?.voShareError).toBeLessThan((firstCome?.voShareError ?? 0) / 2);
  expect(waitOf(fair, 'climate cleo')).toBeLessThan(waitOf(firstCome, 'climate cleo') / 5);
  expect(waitOf(fair, 'biomed bea')).toBeLessThan(waitOf(unreserved, 'biomed bea'));
  expect(readFileSync(join(dir, 'shares.svg'), 'utf8')).toMatch(/^<svg[^]*<\/svg>\n$/);
});

test('a trace runs on one’s own sites', async () => {
  const words = ['simulate', 'examples/simulate/trace.yaml', '--json'];
  const { stdout } = await run(GRID, words, { env: { ...process.env, HANSE_HOME: dir } });
  expect(JSON.parse(stdout)).toMatchObject({
    remarks: [expect.stringContaining('387 jobs'), expect.stringContaining('13 left out')],
    policies: [
      { tasks: 387, unfinished: 0 },
      { tasks: 387, unfinished: 0 },
    ],
  });
});
