/**
 * Tasks that open terminals for themselves on a PC that belongs to somebody, with its owner at terminals of his own. Each
 * gateway has a /dev/pts of its own, as a machine has, so that terminals of others do not matter.
 */
import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, test } from 'vitest';
import { State } from '../../proto/gen/grid/v1/common.ts';
import { type LiveGrid, openLiveGrid } from '../fakes/live-grid.ts';
import { specOf, startTestSite, type TestSite } from '../fakes/test-site.ts';
import { needs } from '../setup/needs.ts';
import { openTerminal } from '../support/terminal.ts';

let grid: LiveGrid;
const started: AsyncDisposable[] = [];

beforeAll(async () => {
  needs('tmux', 'tmux');
  needs('python3', 'python3-minimal');
  grid = await openLiveGrid();
});
afterAll(async () => {
  await Promise.all(started.map((one) => one[Symbol.asyncDispose]()));
  await grid[Symbol.asyncDispose]();
});

/** Runs a program in a /dev/pts of its own. */
const OWN_TERMINALS = [
  ...['unshare', '--mount', 'sh', '-c'],
  `mount -t devpts -o newinstance,ptmxmode=0666,mode=0620 devpts /dev/pts &&
    mount --bind /dev/pts/ptmx /dev/ptmx && exec "$@"`,
  'sh',
];

async function startPc(name: string, sandbox: string): Promise<TestSite> {
  const root = join(grid.dir, `${name}-root`);
  mkdirSync(root);
  symlinkSync('/dev', join(root, 'dev'));
  const owner = { root, 'idle-after': '3s', 'resume-after': '2s', 'when-back': 'stop' };
  const settings = ['cpus: 2', 'memory: 4G', 'staging-patience: 0s', `sandbox: ${sandbox}`];
  const site = await startTestSite(
    grid,
    name,
    [...settings, `owner: ${JSON.stringify(owner)}`],
    undefined,
    OWN_TERMINALS,
  );
  started.push(site);
  return site;
}

const nsenter = (site: TestSite): readonly string[] => ['nsenter', '-t', String(site.pid()), '-m'];

/** As a task may: types at a terminal of its own for so long, which counts as typing to the kernel. */
const typesAt = (terminal: string): readonly string[] => [
  'sh',
  '-c',
  `n=0; while [ $n -lt 45 ]; do n=$((n+1)); echo hello; sleep 0.3; done | ${terminal}`,
];
const SCRIPT = `script -qc 'cat >/dev/null' /dev/null >/dev/null`;
/** No process has this one as the terminal of its session. */
const OPENPTY = `python3 -c 'import os, pty, sys
master, slave = pty.openpty()
for line in sys.stdin:
    os.write(master, line.encode())
    os.read(slave, 100)'`;
/** Its server leaves the session of the task, its parents and its environment, and ends later than it is told to. */
const TMUX = `{ ask() { env -i PATH="$PATH" tmux -S tmux.socket "$@"; }
  ask -f /dev/null new-session -d 'cat >/dev/null'
  while read -r line; do ask send-keys "$line" Enter; done
  behind=$(ask display-message -p '#{pid} #{pane_pid}')
  ask kill-server
  for pid in $behind; do while [ -e "/proc/$pid" ]; do sleep 0.1; done; done; }`;

const LONG = { ...specOf({ command: [] }).resources, walltimeMs: 600_000 };

describe.concurrent('the terminals of a PC', { timeout: 300_000 }, () => {
  test.for([
    ['account', 'script', SCRIPT],
    ['account', 'openpty', OPENPTY],
    ['auto', 'script', SCRIPT],
    ['auto', 'openpty', OPENPTY],
    ['auto', 'tmux', TMUX],
    ['namespaces', 'script', SCRIPT],
    ['cgroup', 'script', SCRIPT],
  ] as const)(
    'with sandbox %s a task that opens one by %s is not its owner, who then comes',
    async ([sandbox, kind, terminal], { expect }) => {
      const name = `own-${sandbox}-${kind}`;
      const site = await startPc(name, sandbox);
      await site.place([
        { id: name, spec: { command: typesAt(terminal) } },
        { id: `${name}-on`, spec: { command: ['sleep', '600'], resources: LONG } },
      ]);
      expect(await site.outcomeOf(name)).toMatchObject({ state: State.STATE_DONE, detail: '' });
      using theirs = await openTerminal(nsenter(site));
      using _typing = theirs.typing();
      expect(await site.outcomeOf(`${name}-on`)).toMatchObject({ reason: 'OWNER_RETURNED' });
    },
  );
});
