import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { attemptId } from '../../core/ids.ts';
import { openLog } from '../../service/log.ts';
import type { Gpu } from '../../site-gateway/lrms/fork/find-gpus.ts';
import { openGpuPool } from '../../site-gateway/lrms/fork/gpu-pool.ts';

const log = openLog('test', 'silent');
const nvidia = (model: string, minor: number): Gpu => ({
  model,
  devices: [`/dev/nvidia${minor}`, '/dev/nvidiactl'],
  env: { CUDA_VISIBLE_DEVICES: `GPU-${minor}` },
});
const amd = (minor: number): Gpu => ({
  model: 'AMD navi31 gfx1100',
  devices: [`/dev/dri/renderD${minor}`, '/dev/kfd'],
  env: { ROCR_VISIBLE_DEVICES: String(minor - 128) },
});
const GPUS = [nvidia('NVIDIA GeForce RTX 3090', 0), nvidia('NVIDIA A100', 1), amd(128), amd(129)];

let spool: string;
beforeEach(() => {
  spool = mkdtempSync(join(tmpdir(), 'hanse-gpus-'));
});
afterEach(() => rmSync(spool, { recursive: true }));
const open = (gpus = GPUS) => openGpuPool(gpus, spool, log);
const task = (id: string, gpus: number, gpuModel = '') => ({ id: attemptId(id), gpus, gpuModel });

test('a GPU is for one task at a time, of the model that it asks for', () => {
  const pool = open();
  pool.take(task('one', 1, 'a100'));
  expect(pool.devicesOf('one')).toEqual(['/dev/nvidia1', '/dev/nvidiactl']);
  expect([pool.fits(task('two', 1, 'A100')), pool.fits(task('two', 1, 'navi31'))]).toEqual([
    false,
    true,
  ]);
  pool.take(task('two', 2));
  expect(pool.devicesOf('two')).toEqual([
    '/dev/nvidia0',
    '/dev/nvidiactl',
    '/dev/dri/renderD128',
    '/dev/kfd',
  ]);
  expect(pool.fits(task('three', 2))).toBe(false);
  expect([pool.give('one'), pool.give('one')]).toEqual([true, false]);
  expect(pool.fits(task('three', 2))).toBe(true);
});

test('what this machine has not is refused in words', () => {
  const pool = open();
  expect(pool.refusal(task('one', 4))).toBe('');
  expect(pool.refusal(task('one', 5))).toBe('it asks for 5 GPUs, and this machine has 4');
  expect(pool.refusal(task('one', 2, 'a100'))).toBe(
    'it asks for 2 GPUs of model a100, and this machine has 1',
  );
  expect(open([]).refusal(task('one', 0))).toBe('');
});

test('variables name the GPUs of a task: by number, those that it sees', () => {
  const pool = open();
  pool.take(task('one', 2, 'navi31'));
  pool.take(task('two', 1, 'nvidia'));
  // Where all device files are to be seen, others are ruled out.
  expect(pool.envOf('one', false)).toEqual({
    CUDA_VISIBLE_DEVICES: '',
    ROCR_VISIBLE_DEVICES: '0,1',
  });
  pool.give('one');
  pool.take(task('three', 1, 'navi31'));
  pool.take(task('four', 1, 'navi31'));
  expect(pool.envOf('four', false)).toEqual({
    CUDA_VISIBLE_DEVICES: '',
    ROCR_VISIBLE_DEVICES: '1',
  });
  expect(pool.envOf('four', true)).toEqual({ ROCR_VISIBLE_DEVICES: '0' });
  expect(pool.envOf('two', true)).toEqual({ CUDA_VISIBLE_DEVICES: 'GPU-0' });
  expect(pool.envOf('none', true)).toEqual({});
  expect(open([]).envOf('none', false)).toEqual({});
});

test('a later run knows who has which GPU', () => {
  const pool = open();
  pool.take(task('one', 1, 'a100'));
  pool.take(task('two', 1, 'navi31'));
  const later = open();
  later.resume('one');
  later.resume('nobody');
  expect(later.devicesOf('one')).toEqual(pool.devicesOf('one'));
  expect(later.fits(task('three', 1, 'a100'))).toBe(false);
  // One that is taken up only after others have come and gone.
  later.take(task('four', 1, 'rtx'));
  later.give('four');
  const last = open();
  last.resume('two');
  expect(last.devicesOf('two')).toEqual(['/dev/dri/renderD128', '/dev/kfd']);
});

test('a file that is no record of it is none', () => {
  writeFileSync(join(spool, 'gpus.json'), '{"one":');
  const pool = open();
  pool.resume('one');
  pool.take(task('two', 4));
  expect(pool.devicesOf('two')).toHaveLength(6);
});

test('a spool that takes nothing costs the record alone', () => {
  const pool = openGpuPool(GPUS, join(spool, 'nowhere'), log);
  pool.take(task('one', 1));
  expect(pool.devicesOf('one')).toHaveLength(2);
  expect(existsSync(join(spool, 'nowhere'))).toBe(false);
});
