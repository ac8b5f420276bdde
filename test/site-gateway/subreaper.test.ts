import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { openLog } from '../../service/log.ts';
import { subreaperWords, systemProgram } from '../../site-gateway/lrms/fork/subreaper.ts';
import { needs } from '../setup/needs.ts';
import { testDirs } from '../support/test-dirs.ts';

const dirs = testDirs('subreaper');
const log = openLog('test', 'silent');

test.for(['perl', 'python3'])(
  '%s makes a subreaper, and no signal is ignored behind it',
  async (only) => {
    needs(only, only);
    const [program = '', ...args] = await subreaperWords(log, (name) =>
      name === only ? systemProgram(name) : undefined,
    );
    expect(program).toMatch(new RegExp(`/${only}$`));
    const dir = dirs();
    const until = (file: string): string => `until [ -e ${dir}/${file} ]; do sleep 0.1; done`;
    const orphan = `${until('left')}; ps -o ppid= -p \\$\\$ >&2; : >${dir}/said`;
    const look = `grep SigIgn /proc/self/status; (setsid sh -c "${orphan}" &); : >${dir}/left; echo $$; ${until('said')}`;
    const { stdout, stderr } = await promisify(execFile)(program, [...args, '/bin/sh', '-c', look]);
    const [ignored, own] = stdout.trim().split('\n');
    expect([ignored, stderr.trim()]).toEqual(['SigIgn:\t0000000000000000', own]);
  },
);
