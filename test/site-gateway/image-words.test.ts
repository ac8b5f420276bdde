import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { bindOf, divide, imageName } from '../../site-gateway/software/image-task.ts';
import { inImage } from '../../site-gateway/software/run-image.ts';

const TASK = {
  id: 'a1',
  directory: '/spool/attempts/a1',
  image: 'python:3.12',
  network: 'any',
  command: ['python', '-c', 'print("$HOME")', '--env=X'],
  env: {
    HOME: '/spool/attempts/a1/work',
    GRID_JOB_ID: 'j1',
    TOKEN: 'secret',
    LD_PRELOAD: '/evil.so',
    CONTAINERS_CONF: '/evil',
  },
} as const;
const PODMAN = { name: 'podman', program: '/usr/bin/podman', args: ['--device=x'] } as const;
const APPTAINER = { name: 'apptainer', program: 'apptainer', args: ['--nv'] } as const;

test('podman gets what is secret by name, and what it would read itself by value', () => {
  const { command, env, boxed, afterwards } = inImage(PODMAN, TASK);
  expect(boxed).toBe('beside');
  expect(env).toEqual({ GRID_JOB_ID: 'j1', TOKEN: 'secret' });
  expect(command.slice(4, 8)).toEqual([
    '/usr/bin/podman',
    'grid-a1',
    '/spool/attempts/a1/container',
    'docker.io/library/python:3.12',
  ]);
  expect(command).toEqual(
    expect.arrayContaining([
      '--env=TOKEN',
      '--env=GRID_JOB_ID',
      '--env=LD_PRELOAD=/evil.so',
      '--env=CONTAINERS_CONF=/evil',
      '--env=HOME=/spool/attempts/a1/work',
      '--network=host',
      '--workdir=/spool/attempts/a1/work',
    ]),
  );
  expect(command.slice(-6)).toEqual([
    '--device=x',
    'docker.io/library/python:3.12',
    ...TASK.command,
  ]);
  expect(command.join(' ')).not.toContain('secret');
  expect(afterwards?.slice(-3)).toEqual([
    '/usr/bin/podman',
    'grid-a1',
    '/spool/attempts/a1/container',
  ]);
});

test('a task without a network has none in either runtime', () => {
  const task = { ...TASK, network: 'none' } as const;
  expect(inImage(PODMAN, task).command).toContain('--network=none');
  expect(inImage(PODMAN, task).command).not.toContain('--network=host');
  expect(inImage(APPTAINER, task).command).toEqual(
    expect.arrayContaining(['--net', '--network=none']),
  );
  expect(inImage(APPTAINER, TASK).command).not.toContain('--net');
});

test('apptainer gets images of registries and files of its own', () => {
  const { command, env, boxed, afterwards } = inImage(APPTAINER, TASK);
  // The batch script finds it among its own processes.
  expect(boxed).toBe('below');
  expect(command.slice(4)).toEqual([
    'apptainer',
    'exec',
    '--contain',
    '--pid',
    '--ipc',
    '--no-privs',
    '--no-eval',
    '--home=/spool/attempts/a1/work',
    '--mount=type=bind,src=/spool/attempts/a1/work,dst=/spool/attempts/a1/work',
    '--mount=type=bind,src=/spool/attempts/a1/tmp,dst=/spool/attempts/a1/tmp',
    '--pwd=/spool/attempts/a1/work',
    '--nv',
    'docker://docker.io/library/python:3.12',
    ...TASK.command,
  ]);
  expect(env).toEqual({
    GRID_JOB_ID: 'j1',
    TOKEN: 'secret',
    APPTAINERENV_LD_PRELOAD: '/evil.so',
    APPTAINERENV_CONTAINERS_CONF: '/evil',
  });
  expect(afterwards).toBeUndefined();
  const file = (image: string) => inImage(APPTAINER, { ...TASK, image }).command.at(-5);
  expect(file('/cvmfs/tool.sif')).toBe('/cvmfs/tool.sif');
  expect(file('tool.sif')).toBe('/spool/attempts/a1/work/tool.sif');
});

test('a site that has lost its runtime says so in place of the program', () => {
  const { command, env } = inImage(undefined, TASK);
  expect(command.slice(-2)).toEqual(['grid-image', 'python:3.12']);
  expect(env['TOKEN']).toBe('secret');
});

test('paths with commas and quotes are fields of their own', () => {
  expect(bindOf('/a,"b', 'work')).toBe('type=bind,"src=/a,""b/work","dst=/a,""b/work"');
});

test('variables that speak to a runtime or a loader are told from those of a program', () => {
  const names = [
    'PATH',
    'LD_LIBRARY_PATH',
    'XDG_RUNTIME_DIR',
    'HTTP_PROXY',
    'no_proxy',
    'DOCKER_HOST',
    'SHELLOPTS',
    'PS4',
    'BASH_ENV',
    'IFS',
    '_grid_pid',
    'GLIBC_TUNABLES',
  ];
  const mine = ['LANG', 'OMP_NUM_THREADS', 'GRID_TASK', 'MY_PATH', 'CONTAINERS', 'PROXY'];
  const env = Object.fromEntries([...names, ...mine].map((name) => [name, 'x']));
  expect(Object.keys(divide(env).own)).toEqual(names);
  expect(Object.keys(divide(env).shared)).toEqual(mine);
});

test('a name that is none is never run', () => {
  expect(() => imageName({ image: '-v', directory: '/d' })).toThrow("'-v' is no name of an image");
});

test.each([
  ['Error: invalid internal status, try resetting the pause process', true],
  ['Error: please run "podman system migrate" and restart', true],
  ['Error: database is locked', false],
])('podman begins anew for an account only where it says so: %s', (said, isMended) => {
  const dir = mkdtempSync(join(tmpdir(), 'hanse-podman-'));
  mkdirSync(join(dir, 'container'));
  const tool = (name: string, text: string): string => {
    const path = join(dir, name);
    writeFileSync(path, `#!/bin/sh\n${text}\n`);
    chmodSync(path, 0o755);
    return path;
  };
  tool('id', 'echo 4711');
  tool('getent', `echo 'one:x:4711:4711::${dir}:/bin/sh'`);
  const failing = `if [ "$1" = ps ]; then echo '${said}' >&2; exit 1; fi`;
  const program = tool('podman', `echo "$1 $2" >>'${dir}/calls'\n${failing}`);
  const [shell = '', ...words] = inImage(
    { ...PODMAN, program },
    { ...TASK, directory: dir },
  ).command;
  execFileSync(shell, words, { env: { PATH: `${dir}:${process.env['PATH']}` }, input: '' });
  const calls = readFileSync(join(dir, 'calls'), 'utf8');
  expect(calls).toMatch(/^run /m);
  expect(calls.includes('system migrate')).toBe(isMended);
  rmSync(dir, { recursive: true });
});
