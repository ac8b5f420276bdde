/** A site goes while a task of it runs: the task moves, and never runs twice at a time. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type LocalGrid, startLocalGrid } from '../support/local-grid.ts';

const SOON = { interval: 200 };
let grid: LocalGrid;
let scratch: string;
let names: readonly string[];
beforeAll(async () => {
  grid = await startLocalGrid({ sites: 3 });
  names = grid.plan.sites.map(({ name }) => name);
  scratch = mkdtempSync(join(tmpdir(), 'hanse-move-'));
});
afterAll(async () => {
  await grid[Symbol.asyncDispose]();
  rmSync(scratch, { recursive: true, force: true });
});

/** Runs the CLI; it must say yes. */
async function said(...args: readonly string[]): Promise<string> {
  const ran = await grid.grid(args);
  expect(ran).toMatchObject({ code: 0 });
  return ran.stdout.trim();
}

/**
 * Writes down where it runs, and each process of an earlier copy that is still there; a copy at the first site does not
 * hear TERM and has a child that hides.
 */
const SCRIPT = `
for pid in $(sed -n 's/^.* //p' "$1" 2>/dev/null); do
  ! grep -s ^State: "/proc/$pid/status" | grep -qv zombie || echo "overlap $pid" >>"$1"
done
echo "$GRID_SITE $$" >>"$1"
[ "$GRID_SITE" = "$2" ] || { echo moved; exit 0; }
trap '' TERM
(env -i setsid sh -c 'echo "hidden $$" >>"$0"; sleep 300 & wait' "$1" &)
while :; do sleep 1; done`;

const WAYS: readonly (readonly [string, number, readonly string[]])[] = [
  ['drain --move --wait', 0, ['site', 'drain', '--move', '--wait']],
  ['leave --move', 1, ['site', 'leave', '--move']],
];

test.for(WAYS)(
  'a running task moves on %s, once its first copy has ended',
  async ([, at, command]) => {
    const [first = '', second = '', ...others] = [...names.slice(at), ...names.slice(0, at)];
    for (const site of [second, ...others]) await said('site', 'drain', site);
    const log = join(scratch, `log-${at}`);
    const words = ['sh', '-c', SCRIPT, 'sh', log, first];
    const id = await said('submit', '--retries', '0', '--', ...words);
    const lines = (): readonly string[] =>
      readFileSync(log, { encoding: 'utf8', flag: 'a+' }).trim().split('\n');
    await expect.poll(lines, SOON).toHaveLength(2);
    await said('site', 'resume', second);

    await said(...command, first);
    expect(await said('wait', '--timeout', '200s', id)).toContain('done');
    const places = lines().map((line) => line.split(' ')[0]);
    expect(places).toEqual([first, 'hidden', second]);
    expect(await said('logs', id)).toBe('moved');
    expect(await said('job', 'events', id)).toContain('SITE_DRAINED');
  },
);
