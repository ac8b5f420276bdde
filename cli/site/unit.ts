import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { GridError } from '../../core/errors.ts';
import { runTool } from '../../service/run-tool.ts';
import { gridProgram } from '../up/process.ts';

/** A systemd unit that runs the gateway of a configuration file; tasks outlive its restarts (KillMode). */
export const unitOf = (site: string, config: string): string =>
  [
    '[Unit]',
    `Description=Hanse site gateway ${site}`,
    'Wants=network-online.target',
    'After=network-online.target',
    '',
    '[Service]',
    `ExecStart=${[process.execPath, gridProgram(), 'site', 'serve', '--config', config].map(word).join(' ')}`,
    `User=${userInfo().username}`,
    'Restart=always',
    'KillMode=process',
    'LimitNOFILE=65536',
    '',
    '[Install]',
    'WantedBy=multi-user.target',
    '',
  ].join('\n');

/** As systemd.service(5) reads a word. */
const word = (text: string): string =>
  /^[\w@:,.+/-]+$/.test(text)
    ? text
    : `"${text.replaceAll(/["\\]/g, '\\$&').replaceAll('%', '%%').replaceAll('$', '$$$$')}"`;

/** Whether units can be installed: systemd runs the machine and we are root. */
export const hasSystemd = (): boolean =>
  process.getuid?.() === 0 && existsSync('/run/systemd/system');

/** Installs and starts the unit; throws UNAVAILABLE with systemctl's words. Gives the unit's name. */
export async function startUnit(
  site: string,
  config: string,
  signal: AbortSignal,
): Promise<string> {
  const name = `hanse-site-${site}.service`;
  await writeFile(`/etc/systemd/system/${name}`, unitOf(site, config), { mode: 0o644 });
  for (const words of [['daemon-reload'], ['enable', '--now', name]]) {
    const { ok, output } = await runTool('systemctl', words, { timeoutMs: 60_000, signal });
    if (!ok) throw new GridError('UNAVAILABLE', `systemctl ${words.join(' ')}: ${output.trim()}`);
  }
  return name;
}
