import { execFile } from 'node:child_process';
import { accessSync, constants, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** A GPU of this machine, which one task has at a time. */
export interface Gpu {
  /** As its driver calls it: `NVIDIA GeForce RTX 3090`. */
  readonly model: string;
  /** Device files, its own first; of the others a task may share some with tasks that have other GPUs. */
  readonly devices: readonly string[];
  /** Variables by which programs find it. Of several GPUs the values are joined with commas. */
  readonly env: Readonly<Record<string, string>>;
}

/** Where drivers show what there is: `/`, or a tree of files with what another machine shows. */
export interface GpuHost {
  readonly root: string;
  /** PATH of the programs by which NVIDIA's driver makes its device files; '' where none are to be run. */
  readonly path: string;
}

const PROGRAM_TIMEOUT_MS = 20_000;

/** GPUs that this account can open, those of NVIDIA and then those of AMD. Others have to be declared. */
export async function findGpus({ root, path }: GpuHost): Promise<readonly Gpu[]> {
  const nvidia = join(root, 'proc/driver/nvidia/gpus');
  const slots = entriesOf(nvidia);
  if (slots.length > 0 && path !== '') await wakeNvidia(path);
  const found = [
    ...slots.map((slot) => nvidiaGpu(textOf(join(nvidia, slot, 'information')))),
    ...amdGpus(join(root, 'sys/class/kfd/kfd/topology/nodes')),
  ].filter((gpu) => gpu !== undefined);
  return found
    .map((gpu) => ({ ...gpu, devices: gpu.devices.filter((file) => isThere(join(root, file))) }))
    .filter(({ devices: [own] }, at) => own !== undefined && own === found[at]?.devices[0]);
}

/** Until somebody has used them there may be no device files, and a driver that does not know their names. */
async function wakeNvidia(path: string): Promise<void> {
  const options = { env: { PATH: path, LC_ALL: 'C' }, timeout: PROGRAM_TIMEOUT_MS };
  // Without them what is there has to do.
  for (const [program, ...args] of [
    ['nvidia-smi', '-L'] as const,
    ['nvidia-modprobe', '-u', '-c=0'] as const,
  ])
    await promisify(execFile)(program, args, options).catch(() => undefined);
}

const SHARED = ['/dev/nvidiactl', '/dev/nvidia-uvm', '/dev/nvidia-uvm-tools'];

/** Of `/proc/driver/nvidia/gpus/SLOT/information`; undefined for one that the driver leaves out, or does not know enough of. */
export function nvidiaGpu(text: string): Gpu | undefined {
  const field = (name: string): string =>
    new RegExp(`^${name}:[ \\t]*(.*)$`, 'm').exec(text)?.[1]?.trim() ?? '';
  const [model, uuid, minor] = [field('Model'), field('GPU UUID'), field('Device Minor')];
  const isLeftOut = field('GPU Excluded') === 'Yes' || field('Blacklisted') === 'Yes';
  if (isLeftOut || model === '' || !/^GPU-[0-9a-f-]+$/.test(uuid) || !/^\d+$/.test(minor))
    return undefined;
  const devices = [`/dev/nvidia${minor}`, ...SHARED];
  return { model, devices, env: { CUDA_VISIBLE_DEVICES: uuid } };
}

const AMD = 0x1002;

/** In the order in which ROCm numbers them. */
function amdGpus(nodes: string): readonly Gpu[] {
  const numbers = entriesOf(nodes)
    .map(Number)
    .toSorted((a, b) => a - b);
  return numbers
    .map((number) => join(nodes, String(number)))
    .map((node) => ({
      name: textOf(join(node, 'name')).trim(),
      text: textOf(join(node, 'properties')),
    }))
    .filter(({ text }) => isAmdGpu(text))
    .map(({ name, text }, index) => amdGpu(name, text, index));
}

const property = (text: string, name: string): bigint =>
  BigInt(new RegExp(`^${name} (\\d+)$`, 'm').exec(text)?.[1] ?? 0);

/** Processors are nodes too. */
const isAmdGpu = (text: string): boolean =>
  property(text, 'vendor_id') === BigInt(AMD) &&
  property(text, 'simd_count') > 0n &&
  property(text, 'drm_render_minor') > 0n;

/** Of a node of KFD's topology: what it is called (`navi31`), its properties, and its place among all GPUs. */
export function amdGpu(name: string, text: string, index: number): Gpu {
  const unique = property(text, 'unique_id');
  const id = unique > 0n ? `GPU-${unique.toString(16).padStart(16, '0')}` : String(index);
  return {
    model: `AMD ${name || property(text, 'device_id').toString(16)} ${target(text)}`,
    devices: [`/dev/dri/renderD${property(text, 'drm_render_minor')}`, '/dev/kfd'],
    env: { ROCR_VISIBLE_DEVICES: id },
  };
}

/** 110000 -> `gfx1100`, 90010 -> `gfx90a`. */
function target(text: string): string {
  const version = Number(property(text, 'gfx_target_version'));
  const [major, minor, step] = [
    Math.floor(version / 10_000),
    Math.floor(version / 100) % 100,
    version % 100,
  ];
  return `gfx${major}${minor.toString(16)}${step.toString(16)}`;
}

function entriesOf(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

function isThere(file: string): boolean {
  try {
    accessSync(file, constants.R_OK | constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
