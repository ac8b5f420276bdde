import { suggestion } from '../nearest.ts';
import { formatDependency, parseDependency } from './dependency.ts';
import { isJobId } from './job-id.ts';
import { type Collect, isRecord, type Path, scalarText } from './parse-value.ts';
import { CONDITIONS, type Dependency } from './spec.ts';

/** What is wrong with a name that shall stand for a job; undefined where nothing is. */
export type CheckRef = (name: string) => string | undefined;

/** A job that stands alone can only name jobs that the grid has already. */
export const isKnownJob: CheckRef = (name) =>
  isJobId(name) ? undefined : `'${name}' is no job id: \`grid ls\` shows them`;

/** `ID`, `ID:any`, a list of these and of `{job, when}`, or `{ID: any}`. A job that is named twice must have one condition. */
export function parseAfter(
  value: unknown,
  collect: Collect,
  check: CheckRef,
): readonly Dependency[] {
  const found = new Map<string, Dependency>();
  for (const { text, path } of textsOf(value, collect)) {
    const dependency = parseDependency(text);
    if (dependency === undefined) {
      const when = text.slice(text.indexOf(':') + 1);
      const known = CONDITIONS.join(', ');
      collect(path, `'${when}' is no condition: ${known}${suggestion(when, CONDITIONS)}`);
      continue;
    }
    const problem = check(dependency.job);
    const earlier = found.get(dependency.job);
    if (problem !== undefined) collect(path, problem);
    else if (earlier !== undefined && earlier.when !== dependency.when)
      collect(
        path,
        `'${formatDependency(dependency)}' and '${formatDependency(earlier)}' do not agree`,
      );
    else found.set(dependency.job, dependency);
  }
  return [...found.values()];
}

interface WrittenText {
  readonly text: string;
  readonly path: Path;
}

function textsOf(value: unknown, collect: Collect): readonly WrittenText[] {
  if (value === undefined || value === null || value === '') return [];
  if (!Array.isArray(value)) return textsOfItem(value, ['after'], collect);
  return value.flatMap((item: unknown, index) => textsOfItem(item, ['after', index], collect));
}

function textsOfItem(item: unknown, path: Path, collect: Collect): readonly WrittenText[] {
  const text = scalarText(item);
  if (text !== undefined && text !== '') return [{ text, path }];
  if (!isRecord(item)) {
    collect(path, "after must hold job ids, such as 'ID', 'ID: any' or '{job: ID, when: any}'");
    return [];
  }
  const isPair = path.length > 1 && 'job' in item;
  if (!isPair)
    return Object.entries(item).map(([job, when]) => ({
      text: conditional(job, when),
      path: [...path, job],
    }));
  for (const key of Object.keys(item).filter((name) => name !== 'job' && name !== 'when'))
    collect(
      [...path, key],
      `there is no key '${key}' here${suggestion(key, ['job', 'when'])}`,
      'key',
    );
  return [{ text: conditional(scalarText(item['job']) ?? '', item['when']), path }];
}

const conditional = (job: string, when: unknown): string =>
  when === undefined || when === null || when === ''
    ? job
    : `${job}:${scalarText(when) ?? 'a list'}`;
