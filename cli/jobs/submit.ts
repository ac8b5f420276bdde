import { randomUUID } from 'node:crypto';
import { EMPTY_TREE, type TreeRef } from '../../core/data/manifest.ts';
import { GridError } from '../../core/errors.ts';
import { voName } from '../../core/ids.ts';
import { outsidePath } from '../../core/job/outside.ts';
import { fileInputs, type JobSpec, taskCount } from '../../core/job/spec.ts';
import { counted, formatBytes } from '../../core/units.ts';
import type {
  BrokerService,
  SubmitRequest,
  SubmitResponse,
} from '../../proto/gen/grid/v1/broker.ts';
import { pause } from '../../service/background.ts';
import type { CheckedJob } from '../../service/documents/check-jobs.ts';
import type { RpcClient } from '../../service/rpc/rpc.ts';
import { specToWire, treeToWire } from '../../service/rpc/wire.ts';
import { type SendRequest, sendTree } from '../../service/staging/send-tree.ts';
import type { Context } from '../context.ts';
import { chooseVo, knownDirOf, openUserStaging } from '../data/staging.ts';
import type { Input } from '../input.ts';
import { openProgress } from '../progress.ts';
import { noteIfNowhere } from './nowhere.ts';
import { readJobs } from './read-jobs.ts';
import { s3For } from './s3-credentials.ts';

/** A job that the broker has. */
export interface SubmittedJob {
  readonly id: string;
  readonly spec: JobSpec;
}

/** `grid submit`. */
export async function submit(context: Context, input: Input): Promise<number> {
  const jobs = input.on('snakemake')
    ? await (await import('../snakemake/read-job.ts')).readSnakemakeJob(context, input)
    : await readJobs(context, input);
  if (input.on('dry-run')) return (await import('./dry-run.ts')).showDryRun(context, jobs);
  using broker = await context.openBroker();
  const submitted = await submitJobs(context, broker.call, jobs, input.text('submit-key'));
  if (context.json) {
    const shown = submitted.map(({ id, spec }) => ({
      id,
      name: spec.name,
      vo: spec.vo,
      tasks: taskCount(spec),
    }));
    context.terminal.out(JSON.stringify(shown));
    return 0;
  }
  for (const { id, spec } of submitted) {
    context.terminal.out(id);
    const tasks = taskCount(spec);
    context.terminal.note(
      `${spec.name} submitted${tasks === 1 ? '' : `, ${tasks} tasks`}: grid status ${id}`,
    );
    if (context.terminal.showsProgress) await noteIfNowhere(context, broker.call, id);
  }
  return 0;
}

/**
 * Sends inputs and submits, all or none. Sends what it must and asks again with the same key while the broker is away,
 * so that a lost answer never makes a second job.
 */
export async function submitJobs(
  context: Context,
  broker: RpcClient<BrokerService>,
  jobs: readonly CheckedJob[],
  submitKey: string = randomUUID(),
): Promise<readonly SubmittedJob[]> {
  const isUnnamed = jobs.some(({ spec }) => spec.vo === '');
  const vo = isUnnamed ? await chooseVo(context, broker) : '';
  const specs = jobs.map(({ spec }) => (spec.vo === '' ? { ...spec, vo: voName(vo) } : spec));
  const s3 = s3For(specs, context.env);
  const trees = await sendInputs(context, broker, jobs, specs);
  const request: SubmitRequest = {
    submitKey,
    jobs: specs.map((spec, index) => ({
      spec: specToWire(spec),
      inputs: treeToWire(trees[index] ?? EMPTY_TREE),
      node: '',
    })),
    flow: undefined,
    s3,
  };
  const { jobIds } = await submitSent(context, broker, request, () =>
    sendInputs(context, broker, jobs, specs),
  );
  return specs.map((spec, index) => ({ id: jobIds[index] ?? '', spec }));
}

/** Submits what has been sent, and sends it once more where the store has lost some of it meanwhile. */
export async function submitSent(
  context: Context,
  broker: RpcClient<BrokerService>,
  request: SubmitRequest,
  sendAgain: () => Promise<unknown>,
): Promise<SubmitResponse> {
  const submitOnce = (): Promise<SubmitResponse> =>
    persistently(context, () => broker.submit(request, { signal: context.signal }));
  return submitOnce().catch(async (error: unknown) => {
    if (!(error instanceof GridError) || error.code !== 'CHUNK_MISSING') throw error;
    // What the store had when we asked was swept before the broker heard of it.
    await sendAgain();
    return submitOnce();
  });
}

/** Inputs that are files here; the others are on the grid already. */
export const pathsOf = (spec: JobSpec): readonly string[] => [
  ...new Set(fileInputs(spec).map(({ from }) => from)),
];

async function sendInputs(
  context: Context,
  broker: RpcClient<BrokerService>,
  jobs: readonly CheckedJob[],
  specs: readonly JobSpec[],
): Promise<readonly TreeRef[]> {
  const trees: TreeRef[] = [];
  // One connection per VO, and the same files once only.
  for (const vo of new Set(specs.map((spec) => spec.vo))) {
    await using disposer = new AsyncDisposableStack();
    let store: Awaited<ReturnType<typeof openUserStaging>> | undefined;
    const sent = new Map<string, TreeRef>();
    for (const [index, spec] of specs.entries()) {
      const paths = pathsOf(spec);
      const root = jobs[index]?.base ?? context.cwd;
      if (spec.vo !== vo || paths.length === 0) continue;
      const key = JSON.stringify([root, paths]);
      store ??= disposer.use(await openUserStaging(context, broker, vo));
      const tree = sent.get(key) ?? (await sendOne(context, store, root, paths));
      sent.set(key, tree);
      trees[index] = tree;
    }
  }
  return trees;
}

/** Sends files and directories as one tree: `paths` are places in it, below `root` or outside of it. */
export async function sendOne(
  context: Context,
  store: Awaited<ReturnType<typeof openUserStaging>>,
  root: string,
  paths: readonly string[],
): Promise<TreeRef> {
  const progress = await openProgress(context, 'sending');
  try {
    const { signal } = context;
    const knownDir = knownDirOf(await context.settings());
    const { isHeld, askRoom } = store;
    const options = { onProgress: progress.update, signal, knownDir, isHeld, askRoom };
    const sent = await sendTree(store, sourcesOf(root, paths), options);
    progress.stop();
    const { tree, sentBytes } = sent;
    const files = counted(tree.files, 'file');
    context.terminal.note(
      `${files}, ${formatBytes(tree.totalBytes)}: ${sentBytes === 0 ? 'on the grid already' : `sent ${formatBytes(sentBytes)}`}`,
    );
    return tree;
  } finally {
    progress.stop();
  }
}

function sourcesOf(root: string, places: readonly string[]): SendRequest {
  const outside = places.flatMap((path) => {
    const at = outsidePath(path);
    return at === undefined ? [] : [{ at, path }];
  });
  return { root, paths: places.filter((path) => outsidePath(path) === undefined), outside };
}

const RETRIES_MS = [200, 500, 1_000, 2_000];

/** Tries again while the service is away; only for calls that may come twice. */
export async function persistently<T>(context: Context, call: () => Promise<T>): Promise<T> {
  for (const waitMs of RETRIES_MS) {
    try {
      return await call();
    } catch (error) {
      if (!(error instanceof GridError && error.code === 'UNAVAILABLE')) throw error;
      await pause(waitMs, context.signal);
      context.signal.throwIfAborted();
    }
  }
  return call();
}
