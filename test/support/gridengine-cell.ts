import { copyFileSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Files of a Grid Engine cell: what its own installer would lay out, and what qconf reads. */

export const PROGRAMS = '/usr/lib/gridengine';
const SHARE = '/usr/share/gridengine';
export const PORTS = { qmaster: 6_444, execd: 6_445 } as const;

export interface CellSize {
  readonly hosts: number;
  /** Of each host. */
  readonly slots: number;
  readonly memoryMb: number;
  /** A host that is busy for so long without a word is not taken for one that is lost. */
  readonly silentSeconds?: number;
}

/** Where each host has the directories of its jobs: they are called after numbers that another cell gives, too. */
export const tmpOf = (dir: string): string => join(dir, 'tmp');

export const namesOf = ({ hosts }: CellSize): readonly string[] =>
  Array.from({ length: hosts }, (_, at) => `n${at + 1}`);

/** The addresses of its machines, in a network of their own. */
export const HUB = { name: 'master', address: '10.0.0.1' } as const;
export const addressOf = (at: number): string => `10.0.0.${at + 11}`;

export function layOutCell(dir: string, size: CellSize): void {
  const common = join(dir, 'default/common');
  for (const name of ['default/common', 'bin', 'lib', 'utilbin', 'spool/qmaster', 'spool/execd'])
    mkdirSync(join(dir, name), { recursive: true });
  for (const name of ['spool/db', 'log', 'login']) mkdirSync(join(dir, name), { recursive: true });
  mkdirSync(tmpOf(dir));
  for (const name of ['bin', 'lib', 'utilbin']) symlinkSync(PROGRAMS, join(dir, name, 'lx-amd64'));
  symlinkSync(join(SHARE, 'util'), join(dir, 'util'));
  writeLines(join(common, 'bootstrap'), bootstrapOf(dir));
  writeLines(join(common, 'act_qmaster'), [HUB.name]);
  copyFileSync(join(SHARE, 'default-configuration'), join(dir, 'configuration'));
  change(join(dir, 'configuration'), {
    execd_spool_dir: join(dir, 'spool/execd'),
    min_uid: '0',
    min_gid: '0',
    load_report_time: '00:00:01',
    max_unheard: `00:00:${String(size.silentSeconds ?? 30).padStart(2, '0')}`,
    mailer: '/bin/true',
    loglevel: 'log_info',
    execd_params: 'ENABLE_ADDGRP_KILL=true',
    reporting_params:
      'accounting=true reporting=false flush_time=00:00:01 accounting_flush_time=00:00:01 joblog=false sharelog=00:00:00',
  });
  const hosts = namesOf(size).map((name, at) => `${addressOf(at)} ${name}`);
  writeLines(join(dir, 'hosts'), ['127.0.0.1 localhost', `${HUB.address} ${HUB.name}`, ...hosts]);
}

/** Steps of qconf in which each has the text of a file. */
export function objectsOf(
  dir: string,
  size: CellSize,
): readonly (readonly [option: string, text: string])[] {
  const host = (name: string): string =>
    textOf({
      hostname: name,
      load_scaling: 'NONE',
      complex_values: `slots=${size.slots},mem_free=${size.memoryMb}M`,
      user_lists: 'NONE',
      xuser_lists: 'NONE',
      projects: 'NONE',
      xprojects: 'NONE',
      usage_scaling: 'NONE',
      report_variables: 'NONE',
    });
  const names = namesOf(size);
  const tmpdir = tmpOf(dir);
  return [
    ...names.map((name) => ['-Ae', host(name)] as const),
    ['-Ahgrp', textOf({ group_name: '@allhosts', hostlist: names.join(' ') })],
    ['-Ap', environment('smp', '$pe_slots')],
    ['-Ap', environment('mpi-2', '2')],
    ['-Ap', environment('mpi-4', '4')],
    ['-Ap', environment('fill', '$fill_up')],
    [
      '-Aq',
      queue({ qname: 'main.q', pe_list: 'smp mpi-2 mpi-4 fill', h_rt: '1:00:00', tmpdir }, size),
    ],
    ['-Aq', queue({ qname: 'long.q', pe_list: 'smp', h_rt: 'INFINITY', tmpdir }, size)],
  ];
}

const environment = (name: string, rule: string): string =>
  textOf({
    pe_name: name,
    slots: '999',
    user_lists: 'NONE',
    xuser_lists: 'NONE',
    start_proc_args: 'NONE',
    stop_proc_args: 'NONE',
    allocation_rule: rule,
    control_slaves: 'TRUE',
    job_is_first_task: 'FALSE',
    urgency_slots: 'min',
    accounting_summary: 'TRUE',
    qsort_args: 'NONE',
  });

const NONE = ['load_thresholds', 'suspend_thresholds', 'ckpt_list', 'prolog', 'epilog'];
const MORE_NONE = ['starter_method', 'suspend_method', 'resume_method', 'terminate_method'];
const LISTS = ['owner_list', 'user_lists', 'xuser_lists', 'subordinate_list', 'complex_values'];
const MORE_LISTS = ['projects', 'xprojects', 'calendar'];
const LIMITS = ['rt', 'cpu', 'fsize', 'data', 'stack', 'core', 'rss', 'vmem'];

function queue(own: Readonly<Record<string, string>>, { slots }: CellSize): string {
  const none = [...NONE, ...MORE_NONE, ...LISTS, ...MORE_LISTS].map((name) => [name, 'NONE']);
  const limits = LIMITS.flatMap((name) => [`s_${name}`, `h_${name}`]);
  return textOf({
    hostlist: '@allhosts',
    seq_no: '0',
    nsuspend: '1',
    suspend_interval: '00:05:00',
    priority: '0',
    min_cpu_interval: '00:05:00',
    processors: 'UNDEFINED',
    qtype: 'BATCH INTERACTIVE',
    rerun: 'TRUE',
    slots: String(slots),
    shell: '/bin/sh',
    shell_start_mode: 'unix_behavior',
    notify: '00:01:00',
    initial_state: 'default',
    ...Object.fromEntries(none),
    ...Object.fromEntries(limits.map((name) => [name, 'INFINITY'])),
    ...own,
  });
}

const bootstrapOf = (dir: string): readonly string[] => [
  'admin_user none',
  'default_domain none',
  'ignore_fqdn true',
  'spooling_method berkeleydb',
  'spooling_lib libspoolb',
  `spooling_params ${dir}/spool/db`,
  `binary_path ${dir}/bin`,
  `qmaster_spool_dir ${dir}/spool/qmaster`,
  'security_mode none',
  'listener_threads 2',
  'worker_threads 2',
  'scheduler_threads 1',
];

/** Sets values of `name value` lines. */
export function changed(text: string, values: Readonly<Record<string, string>>): string {
  return text
    .split('\n')
    .map((line) => {
      const name = line.split(/\s/)[0] ?? '';
      const value = values[name];
      return value === undefined ? line : `${name} ${value}`;
    })
    .join('\n');
}

const change = (file: string, values: Readonly<Record<string, string>>): void =>
  writeFileSync(file, changed(readFileSync(file, 'utf8'), values));
const textOf = (values: Readonly<Record<string, string>>): string =>
  Object.entries(values)
    .map(([name, value]) => `${name} ${value}\n`)
    .join('');
const writeLines = (file: string, lines: readonly string[]): void =>
  writeFileSync(file, `${lines.join('\n')}\n`);
