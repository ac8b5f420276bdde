import { expect, test } from 'vitest';
import { openerOf, unitOf } from '../../cli/site/unit.ts';

const layout = { config: '/srv/my sites/50%/$x"y.yaml', spool: '/srv/a $pool' };
const linesOf = (systemd: number, user = 'hanse'): readonly string[] =>
  unitOf({ site: 'campus', layout, user, systemd }).split('\n');

test('a unit restarts the gateway and leaves its tasks alone, whatever the path is called', () => {
  const lines = linesOf(252);
  expect(lines.join('\n')).toContain('site serve --config "/srv/my sites/50%%/$$x\\"y.yaml"');
  expect(lines).toEqual(
    expect.arrayContaining([
      'User=hanse',
      'KillMode=process',
      'Restart=always',
      'Delegate=yes',
      'OOMPolicy=continue',
      'ReadWritePaths="/srv/my sites/50%%" "/srv/a $pool"',
      'WantedBy=multi-user.target',
    ]),
  );
});

test('podman of root can take its lock in /etc, and nobody else needs it', () => {
  const written = (user: string): string | undefined =>
    linesOf(252, user).find((line) => line.startsWith('ReadWritePaths='));
  expect(written('root')).toMatch(/ -\/etc\/containers\/networks -\/etc\/cni\/net\.d$/);
  expect(written('hanse')).not.toContain('containers');
});

test('the group of running tasks is opened to the next gateway, by systemd itself from 254 on', () => {
  const older = 'After=network-online.target hanse-site-campus-open.service';
  expect(linesOf(252)).toContain(older);
  expect(linesOf(252)).not.toContain('DelegateSubgroup=gateway');
  expect(linesOf(254)).not.toContain(older);
  expect(linesOf(254)).toContain('DelegateSubgroup=gateway');
});

test('the shell text of a unit comes to the shell as it was', () => {
  // Dollars are doubled for systemd, which would put variables of its own in otherwise.
  const [line = ''] = openerOf('campus')
    .split('\n')
    .filter((text) => text.startsWith('ExecStart='));
  expect(line).toContain('system.slice/hanse-site-campus.service || exit 0;');
  expect(line).toContain('>\\"$$f\\"');
  // Not whether something is left in its group: that would keep the next gateway out for ever.
  expect(line).toContain('systemctl show -p MainPID --value hanse-site-campus.service');
  expect(line).not.toMatch(/[^$]\$(?!\$)/);
});
