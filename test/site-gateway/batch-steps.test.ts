import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { STEP_SCRIPTS, stepUsage } from '../../site-gateway/lrms/batch/batch-steps.ts';

const MIB = 1_024;
const file = (node: string, ...lines: readonly string[]) => ({
  node,
  text: lines.map((line) => `${line}\n`).join(''),
});

test('no steps use nothing', () => {
  expect(stepUsage([])).toEqual({ cpuMs: 0, peakMemoryBytes: 0 });
});

test('CPU time of all steps comes together, the most that is known of each', () => {
  const files = [
    file('n1', `${5 * MIB} 100 10.00`, '0 150 12.50', `${6 * MIB} 140 12.60`),
    file('n2', '0 0 11.00', '0 50 12.00'),
  ];
  expect(stepUsage(files)).toEqual({ cpuMs: 2_000, peakMemoryBytes: 6 * 2 ** 20 });
});

test('steps that ran on a node at the same time are taken together, others are not', () => {
  const files = [
    file('n1', `${5 * MIB} 0 10.00`, `${5 * MIB} 0 20.00`),
    file('n1', `${3 * MIB} 0 15.00`, `${3 * MIB} 0 25.00`),
    file('n1', `${6 * MIB} 0 21.00`, `${6 * MIB} 0 22.00`),
    file('n2', `${7 * MIB} 0 16.00`, `${7 * MIB} 0 17.00`),
  ];
  expect(stepUsage(files).peakMemoryBytes).toBe(9 * 2 ** 20);
});

test('lines that were cut short, and others, do not count', () => {
  const text = '100 10 5.00\nnonsense\n-1 2 3\n900 90 6.0';
  expect(stepUsage([{ node: 'n1', text }])).toEqual({ cpuMs: 100, peakMemoryBytes: 102_400 });
});

test.for(Object.entries(STEP_SCRIPTS))('%s is shell text', ([, text]) => {
  expect(execFileSync('sh', ['-n'], { input: text }).toString()).toBe('');
});
