import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';

/** What a group of version 2 comes to that a process leaves, the shell text `first` having run. */
function leaveGroupAfter(first: string): string {
  const group = mkdtempSync(join(tmpdir(), 'hanse-mount-'));
  const module = resolve(import.meta.dirname, '../../site-gateway/lrms/sandbox/cgroup-layout.ts');
  const leave = `const at = process.argv[1] + '/' + process.argv[2];
    const child = require('child_process').spawn('sleep', ['60']);
    child.once('spawn', () => import('${module}').then((m) => {
      const names = new Map([[String(process.pid), 'gateway'], [String(child.pid), 'child']]);
      const say = (leaf) => leaf + ': ' + require('fs').readFileSync(at + '/' + leaf + '/cgroup.procs', 'utf8').trim().split('\\n').map((pid) => names.get(pid) ?? pid).join(' ');
      let said = '';
      // This kernel may have its controllers elsewhere: there is nothing to share out then.
      try { m.openTree({ tree: at + '/tree' }); } catch (error) { said = error.message; }
      console.log(said.includes('processes') ? said : ['.', 'gateway', 'others'].map(say).join('; '));
      child.kill();
    }))`;
  const script = `mount -t cgroup2 none "$1" && cd "$1" && mkdir "$2" || exit
    join() { echo 0 >"$2/cgroup.procs"; shift 2; exec "$@"; }
    (${first}) && (join "$1" "$2" "$3" -e "$4" "$1" "$2")
    until [ -z "$(cat "$2/cgroup.procs" "$2"/*/cgroup.procs)" ]; do kill $(cat "$2/cgroup.procs"); sleep 0.1; done
    find "$2" -depth -type d -exec rmdir {} +`;
  const words = ['-m', 'sh', '-c', script, 'sh', group, `hanse-test-${process.pid}`];
  try {
    return execFileSync('unshare', [...words, process.execPath, leave], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
  } finally {
    rmdirSync(group);
  }
}

test('what the gateway has started before it makes way goes along', () => {
  expect(leaveGroupAfter(':')).toBe('.: ; gateway: gateway; others: child\n');
});

test('a group that others had before is left alone', () => {
  // The kernel counts starts in hundredths of a second: the gateway's is in a later one.
  const others =
    'join "$1" "$2" sleep 60 & until sleep 0.1; read -r pid <"$2/cgroup.procs"; do :; done';
  expect(leaveGroupAfter(others)).toMatch(/has other processes than the gateway/);
});
