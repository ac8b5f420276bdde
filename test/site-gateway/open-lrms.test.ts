import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { systemClock } from '../../service/clock.ts';
import { loadConfig } from '../../service/config.ts';
import { openLog } from '../../service/log.ts';
import { SITE_CONFIG } from '../../site-gateway/config.ts';
import { openLrms } from '../../site-gateway/lrms/open-lrms.ts';
import { testDirs } from '../support/test-dirs.ts';

const freshDir = testDirs('open-lrms');
const AROUND = { clock: systemClock, log: openLog('test', 'silent'), accounts: [] };
const LISTENER = {
  started: () => undefined,
  ended: () => undefined,
  changed: () => undefined,
};

test.for(['slurm', 'gridengine', 'htcondor', 'command'])(
  'commands of %s from a directory that is not there are refused, not looked for elsewhere',
  async (lrms) => {
    const dir = freshDir();
    const file = join(dir, 'site.yaml');
    const lines = ['site: campus', 'certificate: c', 'key: k', 'trust: t', 'broker-dn: /CN=b'];
    const own = ['spool: spool', `lrms: ${lrms}`, `${lrms}:`, '  bin: nowhere'];
    writeFileSync(file, [...lines, ...own].join('\n'));
    const opened = openLrms(loadConfig(SITE_CONFIG, file).config, AROUND, LISTENER);
    await expect(opened).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: `the directory of '${lrms}.bin' cannot be used`,
      problems: [
        {
          where: join(dir, 'nowhere'),
          message: `${lrms}.bin: there is no such directory: name that of the commands, or leave it out`,
        },
      ],
    });
  },
);
