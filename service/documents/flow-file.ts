import type { Problem } from '../../core/errors.ts';
import { dependenciesOf } from '../../core/job/dependency.ts';
import { isNodeName, MAX_NODES, orderNodes } from '../../core/job/flow.ts';
import { isJobId } from '../../core/job/job-id.ts';
import { type CheckRef, parseAfter } from '../../core/job/parse-after.ts';
import { parseInputs } from '../../core/job/parse-inputs.ts';
import { isRecord, type Path, scalarText } from '../../core/job/parse-value.ts';
import { suggestion } from '../../core/nearest.ts';
import { type CheckedJob, checkJobs } from './check-jobs.ts';
import { invalidJobs, type JobText, readJobText, type WrittenJob } from './job-file.ts';

/** A job of a flow that may be sent. */
interface CheckedNode extends CheckedJob {
  readonly node: string;
}

/** A flow that may be sent; each node comes behind all those it names. */
export interface CheckedFlow {
  readonly name: string;
  readonly nodes: readonly CheckedNode[];
}

const FLOW_KEYS = ['name', 'defaults', 'jobs'] as const;

type Raw = Readonly<Record<string, unknown>>;

/**
 * The flow of a YAML or JSON text: `jobs` by name, `defaults` for all of them, `name`. `settings` are laid under the
 * defaults. Throws SPEC_INVALID with everything that is wrong, cycles among it.
 */
export async function readFlow(source: JobText, settings: Raw = {}): Promise<CheckedFlow> {
  const problems: Problem[] = [];
  const { document, raw, jobs } = readOutline(source, problems);
  const collect = collectInto(problems, document);
  const names = Object.keys(jobs);
  if (names.length > MAX_NODES)
    collect(['jobs'], `${names.length} jobs, at most ${MAX_NODES} in one flow`);
  for (const name of names.filter((text) => !isNodeName(text)))
    collect(
      ['jobs', name],
      `'${name}' is no name for a job: letters, digits, '.', '_', '-'`,
      'key',
    );
  const written = new Map(
    names.map((name) => [name, nodeOf(document, { ...settings, ...defaultsOf(raw) }, name)]),
  );
  const check = refsAmong(names);
  const { order, cycles } = orderNodes(edgesOf(written, check));
  for (const cycle of cycles)
    collect(
      ['jobs', cycle[0] ?? ''],
      `the jobs wait for one another: ${cycle.join(' -> ')}`,
      'key',
    );
  const ordered = order.flatMap((name) => written.get(name) ?? []);
  const checked = await checkJobs(ordered, check, problems);
  return {
    name: scalarText(raw['name']) ?? '',
    nodes: checked.map((job, index) => ({ ...job, node: order[index] ?? '' })),
  };
}

type Collector = (path: Path, message: string, about?: 'key') => void;
const collectInto =
  (problems: Problem[], document: WrittenJob): Collector =>
  (path, message, about) =>
    void problems.push({ where: document.where(path, about), message });

interface Outline {
  readonly document: WrittenJob;
  readonly raw: Raw;
  readonly jobs: Raw;
}

function readOutline(source: JobText, problems: Problem[]): Outline {
  const [document, second] = readJobText(source);
  if (document === undefined) throw invalidJobs(problems);
  const collect = collectInto(problems, document);
  const raw = isRecord(document.raw) ? document.raw : {};
  if ('command' in raw && !('jobs' in raw)) {
    const one = 'this is a job, not a flow: `grid submit` takes it';
    const several = 'these are jobs, not a flow: `grid submit` takes them';
    collect([], second === undefined ? one : several);
    throw invalidJobs(problems);
  }
  if (second !== undefined)
    problems.push({ where: second.where([]), message: 'a flow is one YAML document' });
  for (const key of Object.keys(raw).filter((name) => !FLOW_KEYS.some((known) => known === name)))
    collect([key], `a flow has no key '${key}'${suggestion(key, FLOW_KEYS)}`, 'key');
  const { jobs } = raw;
  if (isRecord(jobs) && Object.keys(jobs).length > 0) return { document, raw, jobs };
  collect(jobs === undefined ? [] : ['jobs'], "a flow has 'jobs: {NAME: {command: ...}, ...}'");
  throw invalidJobs(problems);
}

const defaultsOf = (raw: Raw): Raw => (isRecord(raw['defaults']) ? raw['defaults'] : {});

/** A job with the defaults laid under it, variable by variable for `env`; each value knows where it was written. */
function nodeOf(document: WrittenJob, defaults: Raw, name: string): WrittenJob {
  const jobs: unknown = isRecord(document.raw) ? document.raw['jobs'] : {};
  const own = isRecord(jobs) ? jobs[name] : undefined;
  const where: WrittenJob['where'] = (path, about, offset) => {
    const [key = '', inner = ''] = path;
    const mine = isRecord(own) ? own : {};
    const env = isRecord(mine['env']) ? mine['env'] : {};
    const isMine = key === 'env' && path.length > 1 ? inner in env : key in mine;
    const isDefault = !isMine && String(key) in defaults;
    return document.where([...(isDefault ? ['defaults'] : ['jobs', name]), ...path], about, offset);
  };
  if (!isRecord(own)) return { raw: own, base: document.base, where };
  const env = [defaults['env'], own['env']].filter(isRecord);
  const raw = { name, ...defaults, ...own };
  const merged = env.length > 1 ? { ...raw, env: Object.assign({}, ...env) as Raw } : raw;
  return { raw: merged, base: document.base, where };
}

/** A job of a flow may name the others, and jobs that the grid has already. */
const refsAmong =
  (names: readonly string[]): CheckRef =>
  (name) =>
    names.includes(name) || isJobId(name)
      ? undefined
      : `there is no job '${name}' in this flow${suggestion(name, names)}`;

function edgesOf(
  written: ReadonlyMap<string, WrittenJob>,
  check: CheckRef,
): ReadonlyMap<string, readonly string[]> {
  const ignore = (): void => undefined;
  return new Map(
    [...written].map(([name, { raw }]) => {
      const fields = isRecord(raw) ? raw : {};
      const after = parseAfter(fields['after'], ignore, check);
      const inputs = parseInputs(fields['inputs'], ignore, check);
      return [name, dependenciesOf({ after, inputs }).map(({ job }) => job)];
    }),
  );
}
