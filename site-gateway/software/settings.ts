import * as z from 'zod';
import { isImagePrefix } from '../../core/job/image.ts';
import { isModuleName } from '../../core/job/software.ts';
import { filePath } from '../../service/config.ts';

/** `modules` of a site's configuration. */
export const MODULES_CONFIG = z
  .strictObject({
    init: filePath().describe('what sh sources to get `module`, on all nodes'),
    offer: z
      .array(z.string().refine(isModuleName, 'must be the name of a module such as gcc/13'))
      .optional()
      .describe('modules that jobs may load (default: what `module avail` lists at start)'),
  })
  .optional()
  .describe('environment modules, as jobs may ask for them');

/** `containers` of a site's configuration. */
export const CONTAINERS_CONFIG = z
  .strictObject({
    runtime: z
      .enum(['auto', 'podman', 'apptainer', 'none'])
      .default('auto')
      .describe('what runs images; auto for what this machine has, with lrms: fork'),
    program: z
      .string()
      .min(1)
      .optional()
      .describe('its path on all nodes (default: found by `path`)'),
    args: z
      .array(z.string())
      .default([])
      .describe('further arguments of `podman run` or `apptainer exec`'),
    images: z
      .array(z.string().refine(isImagePrefix, 'must be like docker.io/library/ or ghcr.io/lab/x'))
      .default([])
      .describe('how the names of images begin that jobs may run; empty for all'),
  })
  .prefault({})
  .describe('container images, as jobs may ask for them');
