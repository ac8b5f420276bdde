/** No GPU is in the machines that these tests run on: what drivers show was published by their users, with the source beside it. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { GridError } from '../../core/errors.ts';
import { amdGpu, findGpus, nvidiaGpu } from '../../site-gateway/lrms/fork/find-gpus.ts';
import { gpusOf } from '../../site-gateway/lrms/fork/gpu-settings.ts';

/** Driver 590.48.01; a dashboard's tests of `/proc/driver/nvidia/gpus`. */
const RTX_3090 = `Model: \t\t NVIDIA GeForce RTX 3090
IRQ:   \t\t 77
GPU UUID: \t GPU-eaf23aa1-4d3d-596c-da66-b86b0e5db584
Video BIOS: \t 94.02.26.40.81
Bus Type: \t PCI
DMA Size: \t 47 bits
DMA Mask: \t 0x7fffffffffff
Bus Location: \t 0000:01:00.0
Device Minor: \t 0
GPU Firmware: \t 590.48.01
GPU Excluded:\t No
`;
/** An older driver; a note about Colab. */
const K80 = `Model: \t\t Tesla K80
IRQ:   \t\t 33
GPU UUID: \t GPU-c6398fd0-9366-8e15-5d6a-369da852f85b
Video BIOS: \t 80.21.25.00.02
Bus Type: \t PCI
DMA Size: \t 40 bits
DMA Mask: \t 0xffffffffff
Bus Location: \t 0000:00:04.0
Device Minor: \t 0
Blacklisted:\t No
`;
/** A driver of 2017 that does not say the minor number; canonical/lxd issue 3950. */
const GTX_650 = `Model:           GeForce GTX 650
IRQ:             44
GPU UUID:        GPU-e3f822b9-8c5f-95a5-b379-8dfdeefd7758
Bus Location:    0000:04:00.0
`;
/** An MI100; tests of a library for `/sys/class/kfd`. */
const MI100 = `cpu_cores_count 0
simd_count 480
mem_banks_count 1
gfx_target_version 90008
vendor_id 4098
device_id 29580
location_id 8960
domain 0
drm_render_minor 128
hive_id 0
unique_id 7809984429061111111
num_xcc 1
`;
/** A card of RDNA 4, whose kernel tells no id; a test of an installer. */
const RDNA4 = `cpu_cores_count 0
simd_count 128
gfx_target_version 120001
vendor_id 4098
device_id 30032
drm_render_minor 129
`;
const PROCESSOR = `cpu_cores_count 192
simd_count 0
gfx_target_version 0
vendor_id 0
device_id 0
drm_render_minor 0
`;

test.for([
  [RTX_3090, 'NVIDIA GeForce RTX 3090', 'GPU-eaf23aa1-4d3d-596c-da66-b86b0e5db584'],
  [K80, 'Tesla K80', 'GPU-c6398fd0-9366-8e15-5d6a-369da852f85b'],
] as const)("a GPU of NVIDIA's is known by its driver: %s", ([text, model, uuid]) => {
  expect(nvidiaGpu(text)).toEqual({
    model,
    devices: ['/dev/nvidia0', '/dev/nvidiactl', '/dev/nvidia-uvm', '/dev/nvidia-uvm-tools'],
    env: { CUDA_VISIBLE_DEVICES: uuid },
  });
});

test.for([
  ['without a device file', GTX_650],
  ['that the driver leaves out', RTX_3090.replace('Excluded:\t No', 'Excluded:\t Yes')],
  [
    'that it leaves out, as older drivers say it',
    K80.replace('Blacklisted:\t No', 'Blacklisted:\t Yes'),
  ],
  [
    'that nobody has used yet',
    RTX_3090.replace(/GPU-[0-9a-f-]+/, 'GPU-????????-????-????-????-????????????'),
  ],
  ['of which there is nothing', ''],
] as const)('one %s is none', ([, text]) => {
  expect(nvidiaGpu(text)).toBeUndefined();
});

test('a GPU of AMD is known by its id, or else by its place among all', () => {
  expect(amdGpu('arcturus', MI100, 0)).toEqual({
    model: 'AMD arcturus gfx908',
    devices: ['/dev/dri/renderD128', '/dev/kfd'],
    env: { ROCR_VISIBLE_DEVICES: 'GPU-6c62a3758b84fd47' },
  });
  expect(amdGpu('', RDNA4, 1)).toEqual({
    model: 'AMD 7550 gfx1201',
    devices: ['/dev/dri/renderD129', '/dev/kfd'],
    env: { ROCR_VISIBLE_DEVICES: '1' },
  });
});

test.for([
  [[{ model: 'X', devices: ['/dev/null'] }], []],
  [
    [{ model: 'X', devices: ['/dev/no-such-card'] }],
    ["gpus: ENOENT: no such file or directory, stat '/dev/no-such-card'"],
  ],
  [
    [{ model: 'X', devices: ['/dev/null', '/etc/passwd'] }],
    ['gpus: /etc/passwd is no device file'],
  ],
  [
    [1, 2].map((n) => ({ model: `X${n}`, devices: ['/dev/null'] })),
    ['gpus: /dev/null stands first in two GPUs'],
  ],
] as const)('GPUs that a site declares are looked at: %o', async ([declared, problems]) => {
  const gpus = declared.map((one) => ({ ...one, devices: [...one.devices], env: {} }));
  const found = gpusOf(gpus, '').catch((error: GridError) =>
    error.problems?.map(({ where, message }) => `${where}: ${message}`),
  );
  expect(await found).toEqual(problems.length === 0 ? gpus : problems);
});

describe('what a machine shows', () => {
  let root: string;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'hanse-gpus-'));
  });
  afterEach(() => rmSync(root, { recursive: true }));
  const show = (file: string, text = ''): void => {
    mkdirSync(dirname(join(root, file)), { recursive: true });
    writeFileSync(join(root, file), text);
  };
  const nodes = 'sys/class/kfd/kfd/topology/nodes';
  const find = () => findGpus({ root, path: '' });

  test('may be nothing', async () => expect(await find()).toEqual([]));

  test('is found where it can be opened, in order', async () => {
    show('proc/driver/nvidia/gpus/0000:01:00.0/information', RTX_3090);
    for (const [number, text] of [PROCESSOR, MI100, RDNA4].entries()) {
      show(`${nodes}/${number}/properties`, text);
      show(`${nodes}/${number}/name`, '\n');
    }
    for (const file of ['nvidia0', 'nvidiactl', 'kfd', 'dri/renderD129']) show(`dev/${file}`);
    expect(await find()).toMatchObject([
      { model: 'NVIDIA GeForce RTX 3090', devices: ['/dev/nvidia0', '/dev/nvidiactl'] },
      { devices: ['/dev/dri/renderD129', '/dev/kfd'], env: { ROCR_VISIBLE_DEVICES: '1' } },
    ]);
  });
});
