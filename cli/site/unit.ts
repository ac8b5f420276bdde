import { existsSync, readFileSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { GridError } from '../../core/errors.ts';
import { pause } from '../../service/background.ts';
import { runTool } from '../../service/run-tool.ts';
import { gridProgram } from '../up/process.ts';
import type { SiteLayout } from './layout.ts';
import { dnOfUnit } from './unit-owner.ts';
import { unitRun, untilServing } from './unit-ready.ts';

/** Where podman of root has a lock, with netavark or with CNI; it runs no container where it cannot take that. */
const PODMAN_LOCKS = '-/etc/containers/networks -/etc/cni/net.d';

/** What the unit of a gateway depends on. */
export interface UnitWish {
  readonly site: string;
  readonly layout: Pick<SiteLayout, 'config' | 'spool'>;
  /** Account that the gateway runs as. */
  readonly user: string;
  /** Version of systemd, as of `systemctl --version`. */
  readonly systemd: number;
}

/** From this version on systemd itself starts a service below its group (DelegateSubgroup). */
const KNOWS_SUBGROUPS = 254;

/** What the unit is called that opens the control group of a site. */
export const openerName = (site: string): string => `hanse-site-${site}-open.service`;

/**
 * A group that shares its controllers out to the groups of running tasks can be entered by nobody, not even by an older
 * systemd with the next gateway. This unit, which comes before each start, takes them back; the gateway, having moved
 * down, shares them out again. While a gateway runs, it does nothing.
 */
export const openerOf = (site: string): string => {
  const group = `/sys/fs/cgroup/system.slice/${unitName(site)}`;
  const files = 'hanse-*/cgroup.subtree_control cgroup.subtree_control';
  // What else is left where the gateway was (podman may have begun a process of its own there) is in nobody's way.
  const isRunning = `[ "$(systemctl show -p MainPID --value ${unitName(site)})" != 0 ]`;
  const script = `${isRunning} && exit 0; cd ${group} || exit 0; for f in ${files}; do [ ! -e "$f" ] || echo "$(sed 's/[^ ][^ ]*/-&/g' "$f")" >"$f"; done`;
  return [
    '[Unit]',
    `Description=Control group of the tasks of Hanse site ${site}, opened to the next gateway`,
    '',
    '[Service]',
    'Type=oneshot',
    `ExecStart=${['/bin/sh', '-c', script].map(word).join(' ')}`,
    'StandardError=null',
    '',
  ].join('\n');
};

/** A systemd unit that runs the gateway of a configuration file; tasks outlive its restarts (KillMode). */
export const unitOf = ({ site, layout, user, systemd }: UnitWish): string => {
  const { config, spool } = layout;
  const needed = [dirname(config), spool].map(path).join(' ');
  const written = user === 'root' ? `${needed} ${PODMAN_LOCKS}` : needed;
  const command = [process.execPath, gridProgram(), 'site', 'serve', '--config', config];
  const opener = needsOpener(systemd) ? ` ${openerName(site)}` : '';
  return [
    '[Unit]',
    `Description=Hanse site gateway ${site}`,
    `Wants=network-online.target${opener}`,
    `After=network-online.target${opener}`,
    `RequiresMountsFor=${needed}`,
    'StartLimitIntervalSec=0',
    '',
    '[Service]',
    'Type=exec',
    `ExecStart=${command.map(word).join(' ')}`,
    `User=${user}`,
    'Restart=always',
    'RestartSec=5',
    '# Tasks outlive the gateway; each has a control group of its own with its limits.',
    'KillMode=process',
    'Delegate=yes',
    ...(needsOpener(systemd) ? [] : ['DelegateSubgroup=gateway']),
    'OOMPolicy=continue',
    'TasksMax=infinity',
    'LimitNOFILE=65536',
    '# Holds for tasks, too: no programs and no configuration of the machine can be changed.',
    'ProtectSystem=full',
    `ReadWritePaths=${written}`,
    '',
    '[Install]',
    'WantedBy=multi-user.target',
    '',
  ].join('\n');
};

/** As systemd.syntax(7) reads a path. */
const path = (text: string): string =>
  /^[\w@:,.+/-]+$/.test(text)
    ? text
    : `"${text.replaceAll(/["\\]/g, '\\$&').replaceAll('%', '%%')}"`;

/** As systemd.service(5) reads a word of a command, in which it replaces variables. */
const word = (text: string): string => path(text).replaceAll('$', '$$$$');

/** Whether a unit for this version of systemd needs another one that opens its control group. */
export const needsOpener = (systemd: number): boolean => systemd < KNOWS_SUBGROUPS;

/** What the unit of a site's gateway is called. */
export const unitName = (site: string): string => `hanse-site-${site}.service`;
const DIRECTORY = '/etc/systemd/system';
const unitFile = (site: string): string => join(DIRECTORY, unitName(site));
const openerFile = (site: string): string => join(DIRECTORY, openerName(site));

/** Whether units can be installed: systemd runs the machine and we are root. */
export const hasSystemd = (): boolean =>
  process.getuid?.() === 0 && existsSync('/run/systemd/system');

/** Its version; where it is not here, that of the oldest that units are made for. */
export async function systemdVersion(signal: AbortSignal): Promise<number> {
  const { output } = await runTool('systemctl', ['--version'], { timeoutMs: 10_000, signal });
  return Number(/^systemd (\d+)/.exec(output)?.[1] ?? 0);
}

/** Account of the unit that is there; undefined where there is none. */
export function unitUser(site: string): string | undefined {
  if (!existsSync(unitFile(site))) return undefined;
  return /^User=(.+)$/m.exec(readFileSync(unitFile(site), 'utf8'))?.[1];
}

/**
 * Installs and starts the unit, again where it is another one now, and waits until it serves. Throws UNAVAILABLE with the
 * words of systemctl, or of the gateway. Gives its name.
 */
export async function startUnit(wish: UnitWish, signal: AbortSignal): Promise<string> {
  const name = unitName(wish.site);
  const file = unitFile(wish.site);
  const text = unitOf(wish);
  const before = existsSync(file) ? readFileSync(file, 'utf8') : text;
  const isNew = before !== text;
  const ran = await unitRun(name, signal);
  if (needsOpener(wish.systemd))
    await writeFile(openerFile(wish.site), openerOf(wish.site), { mode: 0o644 });
  await writeFile(file, text, { mode: 0o644 });
  await systemctl(['daemon-reload'], signal);
  await systemctl(['enable', name], signal);
  await systemctl([isNew ? 'restart' : 'start', name], signal);
  if (isNew || !ran.isRunning) await untilServing(name, signal);
  return name;
}

/**
 * The unit of a site's gateway on this machine: whether it was removed, could not be by us, or is left alone, being of a site of
 * this name in another grid, or of one that cannot be told.
 */
export interface UnitLeft {
  readonly unit: string;
  readonly became: 'removed' | 'for-root' | 'left-alone';
}

/**
 * Stops the gateway of a site, ends all that it has left and removes its unit; undefined where this machine has none. A unit whose gateway has another certificate than `dn` stays as it is.
 */
export async function removeUnit(
  site: string,
  dn: string,
  signal: AbortSignal,
): Promise<UnitLeft | undefined> {
  if (!existsSync(unitFile(site))) return undefined;
  const unit = unitName(site);
  if (dnOfUnit(readFileSync(unitFile(site), 'utf8')) !== dn) return { unit, became: 'left-alone' };
  if (!hasSystemd()) return { unit, became: 'for-root' };
  await systemctl(['disable', '--now', unit], signal);
  await emptyUnit(unit, signal);
  await rm(unitFile(site));
  await rm(openerFile(site), { force: true });
  await systemctl(['daemon-reload'], signal);
  return { unit, became: 'removed' };
}

/**
 * Ends tasks of a site that was given up, and what podman leaves running; that there is nothing is no failure. systemd removes
 * the control groups of a unit when they are empty, but not those of one that it does not know any more.
 */
async function emptyUnit(name: string, signal: AbortSignal): Promise<void> {
  const timeoutMs = 10_000;
  await runTool('systemctl', ['kill', '--signal=KILL', name], { timeoutMs, signal });
  for (let tries = 0; tries < 50; tries += 1) {
    const words = ['show', '-p', 'ControlGroup', name];
    const { output } = await runTool('systemctl', words, { timeoutMs, signal });
    if (!/^ControlGroup=./m.test(output)) return;
    await pause(100, signal);
  }
}

async function systemctl(words: readonly string[], signal: AbortSignal): Promise<void> {
  const { ok, output } = await runTool('systemctl', words, { timeoutMs: 100_000, signal });
  if (!ok) throw new GridError('UNAVAILABLE', `systemctl ${words.join(' ')}: ${output.trim()}`);
}
