import type { BatchOrder, BatchSystem } from '../../site-gateway/lrms/batch/batch-system.ts';
import { loadTemplate, shippedTemplate } from '../../site-gateway/lrms/command/load-template.ts';
import { openCommand } from '../../site-gateway/lrms/command/open-command.ts';
import { commandOptionsOf } from './command-options.ts';

/**
 * For templates whose batch systems no test can run. What the commands say in these tests is what users of such systems
 * have published, with jobs of ours in it; the order of the words of a command is that of the manuals.
 */
export const TOKEN = '00112233aabbccdd';
export const OTHER = 'ffeeddccbbaa9988';

export const openTemplate = (
  name: Parameters<typeof shippedTemplate>[0],
  bin: string,
): BatchSystem =>
  openCommand(
    commandOptionsOf(loadTemplate(shippedTemplate(name)), {
      path: bin,
      account: 'phys1',
      user: 'hanse',
      extraArgs: ['-l', 'x=1'],
    }),
  );

export const orderOf = (needs: Partial<BatchOrder['needs']> = {}): BatchOrder => ({
  token: TOKEN,
  directory: `/srv/hanse/submissions/${TOKEN}`,
  script: '/srv/hanse/batch-script',
  count: 1,
  comment: 'grid attempt a1',
  needs: { cpus: 4, memoryBytes: 2 ** 31, gpus: 0, nodes: 1, walltimeMs: 5_400_000, ...needs },
});

export const missing = (token: string, job: string) => ({ token, index: 1, job });
