import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';

test('a command waits for whoever reads its output slowly', () => {
  const early = "data:text/javascript,process.stdout.write('x'.repeat(300000))";
  const script = '"$0" --import "$1" bin/grid.js completion bash | { sleep 2.5; tail -n 1; }';
  const read = execFileSync('sh', ['-c', script, process.execPath, early], { encoding: 'utf8' });
  expect(read).toBe('complete -o filenames -o bashdefault -F _grid grid\n');
});
