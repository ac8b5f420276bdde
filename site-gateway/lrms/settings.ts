import * as z from 'zod';
import { isLicenceName } from '../../core/job/spec.ts';
import { byteSize, duration, filePath } from '../../service/config.ts';
import { SHIPPED_TEMPLATES } from './command/load-template.ts';

const count = (least: number): z.ZodNumber => z.int().min(least).max(1_000_000);

/** Lines of a submit file. */
const ONE_LINE = /^[^\n]*$/;

/** What a site says of its batch system, one set of settings for each kind. */
export const BATCH_SETTINGS = {
  slurm: z
    .strictObject({
      conf: filePath().optional().describe('slurm.conf (default: that of the commands)'),
      bin: filePath().optional().describe('directory of sbatch, squeue, scancel and scontrol'),
      partitions: z
        .array(z.string().min(1))
        .default([])
        .describe('partitions to use, best first; empty for the default one'),
      account: z.string().default('').describe('account to charge; empty for the default one'),
      reservation: z
        .string()
        .regex(/^[\w.-]*$/, 'must be the name of one reservation')
        .default('')
        .describe('reservation to run in; without it nodes that are reserved are not offered'),
      licences: z
        .record(
          z.string().refine(isLicenceName, 'must be letters, digits and ._@+-'),
          z.string().regex(/^[\w.@+-]+$/, 'must be the name of a licence in Slurm'),
        )
        .default({})
        .describe('licences that Slurm counts, too: its name for each of ours (sbatch -L)'),
      'extra-args': z.array(z.string()).default([]).describe('further arguments of sbatch'),
    })
    .prefault({})
    .describe('for lrms: slurm'),
  gridengine: z
    .strictObject({
      root: filePath().optional().describe('SGE_ROOT (default: that of the commands)'),
      cell: z.string().min(1).default('default').describe('SGE_CELL'),
      'qmaster-port': count(1).optional().describe('SGE_QMASTER_PORT (default: /etc/services)'),
      'execd-port': count(1).optional().describe('SGE_EXECD_PORT (default: /etc/services)'),
      bin: filePath().optional().describe('directory of qsub, qstat, qdel, qalter and qconf'),
      queues: z
        .array(z.string().regex(/^[^\s,@]+$/, 'must be the name of a cluster queue'))
        .default([])
        .describe('cluster queues to use, best first; empty for all that take batch jobs'),
      project: z.string().default('').describe('project of the jobs; empty for the default one'),
      account: z.string().default('').describe('account string of the jobs'),
      memory: z
        .string()
        .default('')
        .describe('complex that memory is asked for by (default: one that can be used up)'),
      gpus: z.string().default('').describe('complex that GPUs are asked for by'),
      licences: z
        .record(
          z.string().refine(isLicenceName, 'must be letters, digits and ._@+-'),
          z.string().regex(/^[\w.-]+$/, 'must be the name of a complex'),
        )
        .default({})
        .describe('licences that Grid Engine counts, too: its complex for each of ours'),
      'host-patience': duration()
        .prefault('10m')
        .describe('a host that is not heard of for so long is lost, and its jobs with it'),
      'extra-args': z.array(z.string()).default([]).describe('further arguments of qsub'),
    })
    .prefault({})
    .describe('for lrms: gridengine'),
  htcondor: z
    .strictObject({
      config: filePath().optional().describe('CONDOR_CONFIG (default: that of the commands)'),
      bin: filePath().optional().describe('directory of condor_submit, condor_q and condor_rm'),
      slots: z
        .string()
        .regex(ONE_LINE, 'must be one line')
        .default('')
        .describe('ClassAd expression over the slots to use, which jobs then require'),
      'accounting-group': z
        .string()
        .regex(/^[\w.]*$/)
        .default('')
        .describe('group to charge'),
      'host-patience': duration()
        .prefault('10m')
        .describe('a node that is not heard of for so long is lost, and its jobs with it'),
      'submit-lines': z
        .array(z.string().regex(ONE_LINE, 'must be one line'))
        .default([])
        .describe('further lines of the submit file'),
    })
    .prefault({})
    .describe('for lrms: htcondor'),
  command: z
    .strictObject({
      template: z
        .enum(SHIPPED_TEMPLATES)
        .optional()
        .describe('batch system with a template in the package'),
      'template-file': filePath().optional().describe('a template of your own: docs/lrms.md'),
      bin: filePath().optional().describe('directory of the commands, before the usual ones'),
      env: z.record(z.string(), z.string()).default({}).describe('variables of the commands'),
      account: z.string().default('').describe('account to charge; empty for the default one'),
      'extra-args': z.array(z.string()).default([]).describe('{extra-args} of the template'),
      queues: z
        .array(
          z.strictObject({
            name: z.string().min(1),
            nodes: count(1),
            cpus: count(1),
            memory: byteSize(),
            gpus: count(0).default(0),
            'max-walltime': duration().prefault('0s'),
          }),
        )
        .default([])
        .describe(
          'queues to use, best first: name, nodes, and of a node cpus, memory, gpus; max-walltime',
        ),
    })
    .prefault({})
    .describe('for lrms: command'),
};
