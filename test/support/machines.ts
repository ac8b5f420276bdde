/**
 * Machines in network namespaces: each has an address and a name of its own, all hang on one switch. They share the
 * file system, so each gets a directory. Needs root and iproute2.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { endProcessesBelow, stopPid } from '../../cli/up/process.ts';
import { needs } from '../setup/needs.ts';
import { eventually, GRID, type Ran, runGridWith } from './local-grid.ts';

/** A machine with a name, `NAME.example.org`. */
export interface Machine {
  readonly name: string;
  readonly host: string;
  readonly address: string;
  /** Its own directory: HANSE_HOME is `home` below it. */
  readonly dir: string;
  grid(args: readonly string[], env?: Readonly<Record<string, string>>): Promise<Ran>;
  /** Starts a program and waits until its stdout holds `ready` (at once if that is empty). */
  start(command: readonly string[], ready: string): Promise<ChildProcess>;
  /** Cuts or mends its link to the switch. */
  link(state: 'up' | 'down'): void;
}

export interface Machines extends AsyncDisposable {
  readonly dir: string;
  readonly machine: (name: string) => Machine;
}

const ip = (...args: string[]): void => {
  execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'] });
};

/** Makes machines with these names; disposing of them ends their programs and removes all traces. */
export async function makeMachines(names: readonly string[]): Promise<Machines> {
  needs('ip', 'iproute2');
  const dir = mkdtempSync(join(tmpdir(), 'hanse-net-'));
  const prefix = basename(dir);
  const hosts = names.map((name, at) => `10.209.77.${at + 1} ${name}.example.org ${name}`);
  const programs: ChildProcess[] = [];
  const namespaceOf = (name: string): string => `${prefix}-${name}`;
  const bridge = namespaceOf('switch');
  ip('netns', 'add', bridge);
  ip('-n', bridge, 'link', 'add', 'br0', 'type', 'bridge');
  ip('-n', bridge, 'link', 'set', 'br0', 'up');
  for (const [at, name] of names.entries()) plug(namespaceOf(name), name, at, bridge, hosts);
  const machine = (name: string): Machine => {
    const namespace = namespaceOf(name);
    const own = join(dir, name);
    mkdirSync(own, { recursive: true });
    const inside = ['ip', 'netns', 'exec', namespace];
    const env = { ...process.env, HOME: own, HANSE_HOME: join(own, 'home'), NO_COLOR: '1' };
    return {
      name,
      host: `${name}.example.org`,
      address: `10.209.77.${names.indexOf(name) + 1}`,
      dir: own,
      grid: (args, more = {}) =>
        runGridWith([...inside, GRID, ...args], { cwd: own, env: { ...env, ...more } }),
      start: async (command, ready) => {
        const out = join(own, `${programs.length}.out`);
        const log = openSync(join(own, `${programs.length}.log`), 'w');
        const [program = '', ...args] = [...inside, ...command];
        const stdio = ['ignore', openSync(out, 'w'), log] as const;
        const child = spawn(program, args, { cwd: own, env, detached: true, stdio: [...stdio] });
        programs.push(child);
        await eventually(`${command.join(' ')} is ready`, 60_000, async () =>
          readFileSync(out, 'utf8').includes(ready) ? true : undefined,
        );
        return child;
      },
      link: (state) => ip('-n', bridge, 'link', 'set', `to-${at4(names, name)}`, state),
    };
  };
  const made = new Map(names.map((name) => [name, machine(name)]));
  return {
    dir,
    machine: (name) => {
      const found = made.get(name);
      if (found === undefined) throw new Error(`no machine ${name}`);
      return found;
    },
    [Symbol.asyncDispose]: async () => {
      for (const { pid } of programs.toReversed()) if (pid !== undefined) await stopPid(pid);
      await endProcessesBelow(dir);
      for (const name of [...names, 'switch']) {
        ip('netns', 'del', namespaceOf(name));
        rmSync(`/etc/netns/${namespaceOf(name)}`, { recursive: true, force: true });
      }
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

const at4 = (names: readonly string[], name: string): string => String(names.indexOf(name) + 1);

function plug(
  namespace: string,
  name: string,
  at: number,
  bridge: string,
  hosts: readonly string[],
): void {
  ip('netns', 'add', namespace);
  ip('-n', namespace, 'link', 'set', 'lo', 'up');
  ip(
    '-n',
    namespace,
    'link',
    'add',
    'eth0',
    'type',
    'veth',
    'peer',
    'name',
    `to-${at + 1}`,
    'netns',
    bridge,
  );
  ip('-n', namespace, 'address', 'add', `10.209.77.${at + 1}/24`, 'dev', 'eth0');
  ip('-n', namespace, 'link', 'set', 'eth0', 'up');
  ip('-n', bridge, 'link', 'set', `to-${at + 1}`, 'master', 'br0', 'up');
  // `ip netns exec` lays these files over /etc.
  const etc = join('/etc/netns', namespace);
  mkdirSync(etc, { recursive: true });
  writeFileSync(join(etc, 'hosts'), ['127.0.0.1 localhost', ...hosts, ''].join('\n'));
  writeFileSync(join(etc, 'hostname'), `${name}\n`);
}
