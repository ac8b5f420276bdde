import { userInfo } from 'node:os';
import type { CommandOptions } from '../../site-gateway/lrms/command/open-command.ts';
import type { CommandTemplate } from '../../site-gateway/lrms/command/template.ts';

/** What the command LRMS needs beside its template. */
export const commandOptionsOf = (
  template: CommandTemplate,
  part: Partial<CommandOptions> = {},
): CommandOptions => ({
  template,
  path: process.env['PATH'] ?? '',
  env: {},
  account: '',
  extraArgs: [],
  capacity: {
    cpus: 2,
    memoryBytes: 2 ** 30,
    gpus: 0,
    usableCpus: 2,
    usableMemoryBytes: 2 ** 30,
    usableGpus: 0,
    maxNodes: 1,
    maxWalltimeMs: 0,
    queues: [],
  },
  uid: process.getuid?.() ?? 0,
  user: userInfo().username,
  ...part,
});
