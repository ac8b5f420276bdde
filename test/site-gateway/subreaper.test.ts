import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { openLog } from '../../service/log.ts';
import { subreaperWords, systemProgram } from '../../site-gateway/lrms/fork/subreaper.ts';
import { needs } from '../setup/needs.ts';

const log = openLog('test', 'silent');

test.for(['perl', 'python3'])(
  '%s makes a subreaper, and no signal is ignored behind it',
  async (only) => {
    needs(only, only);
    const [program = '', ...args] = await subreaperWords(log, (name) =>
      name === only ? systemProgram(name) : undefined,
    );
    expect(program).toMatch(new RegExp(`/${only}$`));
    const orphan = '(setsid sh -c "sleep 0.3; ps -o ppid= -p \\$\\$" >&2 &); echo $$; sleep 1';
    const look = `grep SigIgn /proc/self/status; ${orphan}`;
    const { stdout, stderr } = await promisify(execFile)(program, [...args, '/bin/sh', '-c', look]);
    const [ignored, own] = stdout.trim().split('\n');
    expect([ignored, stderr.trim()]).toEqual(['SigIgn:\t0000000000000000', own]);
  },
);
