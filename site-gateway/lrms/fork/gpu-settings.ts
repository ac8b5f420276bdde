import { accessSync, constants, statSync } from 'node:fs';
import * as z from 'zod';
import { GridError, type Problem } from '../../../core/errors.ts';
import { filePath } from '../../../service/config.ts';
import { schemaWords } from '../../../service/schema-words.ts';
import { findGpus, type Gpu } from './find-gpus.ts';

const MOST = 64;

const DECLARED = z.strictObject({
  model: z.string().min(1).max(128).describe('as jobs may ask for it'),
  devices: z
    .array(filePath())
    .min(1)
    .max(16)
    .describe('device files, its own first; others may be shared'),
  env: z
    .record(z.string().regex(/^[A-Za-z_]\w*$/, 'must be the name of a variable'), z.string())
    .default({})
    .describe('variables by which programs find it; values of several GPUs are joined with commas'),
});

const LIST = z.array(DECLARED).max(MOST);
const COUNT = z.union([z.literal('auto'), z.int().min(0).max(MOST)], {
  error: `must be auto, a number from 0 to ${MOST}, or a list of GPUs with model and devices`,
});

/** GPUs of a machine of its own. What is wrong in a list is told of the list alone. */
export const GPUS_CONFIG = z
  .unknown()
  .transform((raw, context): z.output<typeof LIST> | z.output<typeof COUNT> => {
    const words = { error: schemaWords };
    const parsed = Array.isArray(raw) ? LIST.safeParse(raw, words) : COUNT.safeParse(raw, words);
    if (parsed.success) return parsed.data;
    for (const { path, message } of parsed.error.issues)
      context.addIssue({ code: 'custom', path, message });
    return z.NEVER;
  })
  .default('auto')
  .describe(
    'GPUs of this machine that tasks may have (lrms: fork): auto for those that are found, how many of them, or a list',
  );

/** What tasks may have; throws CONFIG_INVALID where a device file that the site names is none, or cannot be opened. */
export async function gpusOf(
  gpus: z.output<typeof GPUS_CONFIG>,
  path: string,
): Promise<readonly Gpu[]> {
  if (gpus === 0) return [];
  if (gpus === 'auto') return findGpus({ root: '/', path });
  if (typeof gpus === 'number') return (await findGpus({ root: '/', path })).slice(0, gpus);
  const problems = gpus.flatMap(({ devices }) => devices.flatMap(faultOf));
  const own = gpus.map(({ devices }) => devices[0]);
  const twice = own.filter((file, at) => own.indexOf(file) !== at);
  problems.push(...twice.map((file) => gpuProblem(`${file} stands first in two GPUs`)));
  if (problems.length > 0)
    throw new GridError('CONFIG_INVALID', "the 'gpus' of the site are not there", { problems });
  return gpus;
}

const gpuProblem = (message: string): Problem => ({ where: 'gpus', message });

function faultOf(file: string): readonly Problem[] {
  try {
    if (!statSync(file).isCharacterDevice()) return [gpuProblem(`${file} is no device file`)];
    accessSync(file, constants.R_OK | constants.W_OK);
    return [];
  } catch (error) {
    return [gpuProblem(error instanceof Error ? error.message : String(error))];
  }
}
