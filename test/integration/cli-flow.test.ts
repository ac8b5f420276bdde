import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadSettings } from '../../cli/config.ts';
import type { Context } from '../../cli/context.ts';
import { submitFlow } from '../../cli/flows/flow-submit.ts';
import { readInput } from '../../cli/input.ts';
import { palette } from '../../cli/palette.ts';
import { GridError } from '../../core/errors.ts';
import { type LocalGrid, startLocalGrid } from '../support/local-grid.ts';

let grid: LocalGrid;
beforeAll(async () => {
  grid = await startLocalGrid({ sites: 1 });
});
afterAll(() => grid[Symbol.asyncDispose]());

/** A diamond; `right` does what `command` says, and whatever comes of it `clean` runs at the end. */
const diamond = (command: string): string => `
name: study
defaults:
  memory: 64M
  walltime: 2m
jobs:
  prep: { command: "cat words.txt > upper", inputs: ../words.txt, outputs: upper }
  left: { command: "wc -w < in/upper > count", inputs: "job:prep=in", outputs: count }
  right: { command: ${JSON.stringify(command)}, inputs: "job:prep=in", outputs: sorted }
  merge:
    command: cat left/count right/sorted
    inputs: ["job:left", "job:right"]
  alarm: { command: echo failed, after: { right: not-ok } }
  clean: { command: echo clean, after: [merge:any, alarm:any] }
`;

/** Its input lies above it. */
const write = async (text: string): Promise<void> => {
  await mkdir(join(grid.layout.dir, 'flow'), { recursive: true });
  await writeFile(join(grid.layout.dir, 'words.txt'), 'b\na\n');
  await writeFile(join(grid.layout.dir, 'flow/flow.yaml'), text);
};
const run = async (...args: string[]) => {
  const ran = await grid.grid(args);
  expect(ran.stderr).not.toContain('INTERNAL');
  return ran;
};
const nodesOf = async (id: string): Promise<Record<string, string>> => {
  const { nodes } = JSON.parse((await run('flow', 'status', id, '--json')).stdout) as {
    nodes: { node: string; jobs: number; job: { state: string; reason: string } }[];
  };
  return Object.fromEntries(
    nodes.map(({ node, jobs, job }) => [node, `${jobs} ${job.state} ${job.reason}`.trimEnd()]),
  );
};

test('a flow with a job that fails is resumed with the mended file', async () => {
  await write(diamond('sort in/uper > sorted'));
  const plan = await run('flow', 'submit', 'flow/flow.yaml', '--dry-run');
  expect(plan.stdout.split('\n').map((line) => line.split(/\s+/)[0])).toEqual([
    ...['JOB', 'prep', 'left', 'right', 'merge', 'alarm', 'clean', ''],
  ]);
  const id = (await run('flow', 'submit', 'flow/flow.yaml')).stdout.trim();
  const ended = await run('flow', 'wait', id);
  expect(ended).toMatchObject({
    code: 1,
    stdout: `${id} failed 4/6 done, 1 failed, 1 cancelled\n`,
  });
  expect(ended.stderr).toContain('right failed (EXIT_NONZERO)');
  expect(await nodesOf(id)).toEqual({
    prep: '1 done',
    left: '1 done',
    right: '1 failed EXIT_NONZERO',
    merge: '1 cancelled DEPENDENCY_FAILED',
    alarm: '1 done',
    clean: '1 done',
  });

  await write(diamond('sort in/upper > sorted'));
  const wanted = await run('flow', 'resume', id, 'flow/flow.yaml', '--dry-run');
  expect(wanted.stdout).toContain('kept as they are: prep, left');
  expect(await run('flow', 'resume', id, 'flow/flow.yaml')).toMatchObject({
    code: 0,
    stdout: `${id}\n`,
    stderr: expect.stringContaining('4 jobs submitted, 2 kept as they are'),
  });
  expect(await run('flow', 'wait', id)).toMatchObject({ code: 0, stdout: `${id} done 6/6 done\n` });
  expect(await nodesOf(id)).toEqual({
    prep: '1 done',
    left: '1 done',
    right: '2 done',
    merge: '2 done',
    alarm: '2 cancelled NOT_NEEDED',
    clean: '2 done',
  });
  const { nodes } = JSON.parse((await run('flow', 'status', id, '--json')).stdout) as {
    nodes: { node: string; job: { id: string } }[];
  };
  const merge = nodes.find(({ node }) => node === 'merge')?.job.id ?? '';
  expect((await run('logs', merge)).stdout).toBe('2\na\nb\n');
  expect((await run('status', merge)).stdout).toContain(`${id} (merge)`);
  expect((await run('flow', 'status', id)).stdout).toMatch(/clean +merge:any, alarm:any +done/);
  const again = await run('flow', 'resume', id);
  expect(again).toMatchObject({ code: 0, stderr: `nothing is left to run of flow ${id}\n` });
});

test('a flow is resumed as it was, listed and cancelled', async () => {
  await write('jobs:\n  a: { command: "sleep 60" }\n  b: { command: "true", after: a }\n');
  const id = (await run('flow', 'submit', 'flow/flow.yaml')).stdout.trim();
  expect(await run('flow', 'resume', id)).toMatchObject({ code: 4 });
  expect(await run('flow', 'wait', id, '--timeout', '1s')).toMatchObject({ code: 124 });
  expect((await run('flow', 'cancel', id)).stdout).toBe(`${id}: cancelling 2 of 2 jobs\n`);
  expect(await run('flow', 'wait', id)).toMatchObject({ code: 1 });
  expect((await run('flow', 'resume', id)).stdout).toBe(`${id}\n`);
  const { stdout } = await run('flow', 'ls', '--json');
  expect(JSON.parse(stdout)).toMatchObject([
    { id, nodes: 2 },
    { name: 'study', state: 'done' },
  ]);
  await run('flow', 'cancel', id);
  expect(await run('flow', 'status', 'f00000000000')).toMatchObject({
    code: 4,
    stderr: expect.stringContaining('FLOW_NOT_FOUND'),
  });
});

test('files that were swept before the flow was submitted are sent again', async () => {
  await write('jobs:\n  a: { command: "true", inputs: ../words.txt }\n');
  const said: string[] = [];
  const { layout } = grid;
  const env = { HANSE_HOME: layout.user };
  let asked = 0;
  const context: Context = {
    ...{ env, cwd: layout.dir, json: false, quiet: false, colours: palette(false) },
    signal: new AbortController().signal,
    settings: () => loadSettings(env, layout.dir, { broker: undefined }),
    terminal: {
      out: (text) => void said.push(text),
      drawn: () => undefined,
      note: (text) => void said.push(text),
      write: () => Promise.resolve(),
      columns: 80,
      showsProgress: false,
      readStdin: () => Promise.resolve(''),
    },
    openBroker: async () => {
      const broker = await grid.broker();
      const submit: typeof broker.call.submit = (...call) => {
        asked += 1;
        if (asked > 1) return broker.call.submit(...call);
        return Promise.reject(new GridError('CHUNK_MISSING', '1 of 2 chunks is not there'));
      };
      return { ...broker, call: { ...broker.call, submit } };
    },
  };
  expect(await submitFlow(context, readInput(new Map(), ['flow/flow.yaml'], []))).toBe(0);
  expect({ asked, said }).toEqual({
    asked: 2,
    said: [
      '1 file, 4 B: on the grid already',
      '1 file, 4 B: on the grid already',
      expect.stringMatching(/^f/),
      expect.stringContaining('1 job submitted'),
    ],
  });
});

test('jobs that wait for one another are refused with their place', async () => {
  await write(
    'jobs:\n  align: { command: x, after: sort }\n  sort: { command: x, after: align }\n',
  );
  const { code, stderr } = await run('flow', 'submit', 'flow/flow.yaml');
  expect(code).toBe(2);
  expect(stderr).toContain('flow.yaml:2:3 the jobs wait for one another: align -> sort -> align');
});
