import { execFileSync, spawnSync } from 'node:child_process';
import { resolve } from 'node:path';
import { expect, test } from 'vitest';
import { setLowest } from '../../site-gateway/lrms/fork/lowest-priority.ts';

const MODULE = resolve(import.meta.dirname, '../../site-gateway/lrms/fork/lowest-priority.ts');
/** The kernel takes few of these orders in a second from an account other than root. */
const SCRIPT = `import('${MODULE}').then(async ({ setLowest }) => {
  if (process.getuid() === 0) process.setuid(65534);
  const { spawn } = require('node:child_process');
  const sessions = Array.from({ length: 4 }, () => spawn('sleep', ['60'], { detached: true }));
  await Promise.all(sessions.map(({ pid }) => setLowest(pid)));
  for (const { pid } of sessions) {
    const file = '/proc/' + pid + '/autogroup';
    const share = require('node:fs').existsSync(file) ? require('node:fs').readFileSync(file, 'utf8') : 'nice 19';
    console.log(require('node:os').getPriority(pid), /nice .*/.exec(share)[0]);
  }
  for (const session of sessions) session.kill();
})`;

test('sessions that begin at one time all get the lowest priority and share', () => {
  const said = execFileSync(process.execPath, ['-e', SCRIPT], { encoding: 'utf8' });
  expect(said).toBe('19 nice 19\n'.repeat(4));
});

test('a session that has ended meanwhile is no trouble', async () => {
  const { pid } = spawnSync('true');
  await expect(setLowest(pid)).resolves.toBeUndefined();
});
