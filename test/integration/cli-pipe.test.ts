import { execFileSync, spawnSync } from 'node:child_process';
import { openSync } from 'node:fs';
import { describe, expect, test } from 'vitest';

test('a command waits for whoever reads its output slowly', () => {
  const early = "data:text/javascript,process.stdout.write('x'.repeat(300000))";
  const script = '"$0" --import "$1" bin/grid.js completion bash | { sleep 2.5; tail -n 1; }';
  const read = execFileSync('sh', ['-c', script, process.execPath, early], { encoding: 'utf8' });
  expect(read).toBe('complete -o filenames -o bashdefault -F _grid grid\n');
});

describe('a disk that is full', () => {
  const full = openSync('/dev/full', 'w');
  const ran = (stdio: ('pipe' | number)[], ...argv: readonly string[]) =>
    spawnSync(process.execPath, argv, { stdio: ['ignore', ...stdio], encoding: 'utf8' });

  test('under the output of a command is named', () => {
    const text = ran([full, 'pipe'], 'bin/grid.js', 'completion', 'bash');
    expect([text.status, text.stderr]).toEqual([
      6,
      "grid: DISK_FULL: no room for 'stdout' (ENOSPC)\n  -> free some space\n",
    ]);
    const json = ran([full, 'pipe'], 'bin/grid.js', 'completion', 'bash', '--json');
    expect(JSON.parse(json.stderr)).toMatchObject({ error: { code: 'DISK_FULL', exit: 6 } });
  });

  test('under the remarks of a command does not end it', () => {
    expect(ran(['pipe', full], 'bin/grid.js', 'data', 'putt').status).toBe(2);
  });

  test('under the log of a service does not end it', () => {
    const service = `const { openLog } = await import(${JSON.stringify(new URL('../../service/log.ts', import.meta.url).href)});
      const log = openLog('service', 'info');
      for (let line = 0; line < 100_000; line += 1) log.info({ line }, 'said');
      process.stdout.write('serves');`;
    const { status, stdout } = ran(['pipe', full], '--input-type=module', '-e', service);
    expect([status, stdout]).toEqual([0, 'serves']);
  });
});
