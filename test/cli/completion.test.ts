import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { completionScript } from '../../cli/completion.ts';
import { buildProgram, COMMANDS } from '../../cli/program.ts';
import { testDirs } from '../support/test-dirs.ts';

const program = buildProgram({ version: '', rest: [], chosen: () => undefined });
const file = join(testDirs('completion')(), 'grid.bash');
writeFileSync(file, completionScript('bash', program));

/** What bash offers for the last of the words. */
function offered(...words: readonly string[]): readonly string[] {
  const script = `source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _grid; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const out = execFileSync('bash', ['-c', script, 'bash', file, ...words], { encoding: 'utf8' });
  return out.split('\n').filter((line) => line !== '');
}

test('bash accepts the script', () =>
  expect(() => execFileSync('bash', ['-n', file])).not.toThrow());

test.for<[readonly string[], readonly string[]]>([
  [
    ['grid', 'wh'],
    ['why', 'whoami'],
  ],
  [['grid', 'site', 'dr'], ['drain']],
  [['grid', '--json', 'site', 'dr'], ['drain']],
  [['grid', 'site', 'cache', 've'], ['verify']],
  [['grid', 'ls', '--st'], ['--state']],
  [['grid', 'job', 'ls', '--lim'], ['--limit']],
  [
    ['grid', 'ls', '--state', 'st'],
    ['staging-in', 'staging-out'],
  ],
  [
    ['grid', 'completion', ''],
    ['bash', 'zsh'],
  ],
  [['grid', 'submit', '--', '/etc/passw'], ['/etc/passwd']],
  [['grid', 'get', '/etc/passw'], ['/etc/passwd']],
])('%j offers %j', ([words, expected]) =>
  expect(offered(...words)).toEqual(expect.arrayContaining([...expected])),
);

test('zsh knows every command', () => {
  const script = completionScript('zsh', program);
  for (const { path } of COMMANDS) expect(script).toContain(`\n    '${path}') commands=`);
});
