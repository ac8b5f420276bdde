import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { hasGpuModel } from '../../../core/match/gpu-model.ts';
import type { Log } from '../../../service/log.ts';
import type { LrmsTask } from '../lrms.ts';
import type { Gpu } from './find-gpus.ts';

type Asked = Pick<LrmsTask, 'id' | 'gpus' | 'gpuModel'>;

/** The GPUs of this machine, each with one task at a time. */
export interface GpuPool {
  readonly models: readonly string[];
  /** Why a task can never have what it asks for; '' where it can. */
  refusal(task: Asked): string;
  /** Whether what it asks for is free. */
  fits(task: Asked): boolean;
  /** Gives it what it asks for, as far as that is free. */
  take(task: Asked): void;
  /** A task of an earlier run goes on with what it had. */
  resume(id: string): void;
  /** Whether it had any; nothing of it uses them any more. */
  give(id: string): boolean;
  /** Device files of the GPUs of a task. */
  devicesOf(id: string): readonly string[];
  /**
   * Variables by which its program finds its GPUs, and no others. Where it sees no device files but its own, numbers count
   * these; where it sees all, a task without GPUs is told so.
   */
  envOf(id: string, isApart: boolean): Readonly<Record<string, string>>;
}

/** Own device files of the GPUs that tasks have, by task. */
type Held = Readonly<Record<string, readonly string[]>>;

const keyOf = ({ devices: [own = ''] }: Gpu): string => own;

/** Who has which GPU stands in the spool, for a later run. */
export function openGpuPool(gpus: readonly Gpu[], spool: string, log: Log): GpuPool {
  const file = join(spool, 'gpus.json');
  const before = new Map(Object.entries(heldIn(file)));
  const taken = new Map<string, readonly Gpu[]>();
  const isFree = (gpu: Gpu): boolean => [...taken.values()].every((some) => !some.includes(gpu));
  const those = ({ gpuModel = '' }: Asked): readonly Gpu[] =>
    gpus.filter(({ model }) => gpuModel === '' || hasGpuModel([model], gpuModel));
  const of = (id: string): readonly Gpu[] => taken.get(id) ?? [];
  const keep = (): void => {
    const held = [...taken].map(([id, some]) => [id, some.map(keyOf)] as const);
    keepIn(file, Object.fromEntries([...before, ...held]), log);
  };
  return {
    models: gpus.map(({ model }) => model),
    refusal: (task) => {
      const most = those(task).length;
      if (task.gpus <= most) return '';
      const model = (task.gpuModel ?? '') === '' ? '' : ` of model ${task.gpuModel}`;
      return `it asks for ${task.gpus} GPUs${model}, and this machine has ${most}`;
    },
    fits: (task) => task.gpus === 0 || those(task).filter(isFree).length >= task.gpus,
    take: (task) => {
      if (task.gpus === 0) return;
      taken.set(task.id, those(task).filter(isFree).slice(0, task.gpus));
      keep();
    },
    resume: (id) => {
      const keys = before.get(id) ?? [];
      before.delete(id);
      if (keys.length > 0)
        taken.set(
          id,
          gpus.filter((gpu) => keys.includes(keyOf(gpu))),
        );
    },
    give: (id) => {
      const had = taken.delete(id) || before.delete(id);
      if (had) keep();
      return had;
    },
    devicesOf: (id) => [...new Set(of(id).flatMap(({ devices }) => devices))],
    envOf: (id, isApart) => {
      const names = [...new Set(gpus.flatMap(({ env }) => Object.keys(env)))];
      const entries = names.map((name) => [name, valueOf(of(id), name, isApart)] as const);
      return Object.fromEntries(isApart ? entries.filter(([, value]) => value !== '') : entries);
    },
  };
}

function valueOf(gpus: readonly Gpu[], name: string, isApart: boolean): string {
  const values = gpus.flatMap(({ env }) => env[name] ?? []);
  const areNumbers = values.every((value) => /^\d+$/.test(value));
  return (isApart && areNumbers ? [...values.keys()] : values).join(',');
}

function heldIn(file: string): Held {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Held;
  } catch {
    return {};
  }
}

function keepIn(file: string, held: Held, log: Log): void {
  try {
    writeFileSync(`${file}.new`, JSON.stringify(held));
    renameSync(`${file}.new`, file);
  } catch (error) {
    log.warn({ err: error }, 'a later run of the gateway will not know who has which GPU');
  }
}
