import { join } from 'node:path';
import { loadConfig } from '../../../service/config.ts';
import { type CommandTemplate, TEMPLATE } from './template.ts';

/** Batch systems with a template in the package. */
export const SHIPPED_TEMPLATES = ['lsf', 'pbs', 'slurm', 'torque'] as const;

export const shippedTemplate = (name: (typeof SHIPPED_TEMPLATES)[number]): string =>
  join(import.meta.dirname, 'templates', `${name}.yaml`);

/** Reads a template; throws CONFIG_INVALID with every fault at its line. */
export const loadTemplate = (file: string): CommandTemplate => loadConfig(TEMPLATE, file).config;
