import { suggestion } from '../nearest.ts';
import { type Collect, isRecord, type Path, scalarText } from './parse-value.ts';
import type { JobSpec } from './spec.ts';
import { parseTarget } from './spec-path.ts';

type Outputs = Pick<JobSpec, 'outputs' | 'liveOutputs'>;

const KEYS = ['path', 'live'];

/** A glob, `{path: GLOB, live: true}`, or a list of these. A glob that is there twice is live if one of them is. */
export function parseOutputs(value: unknown, collect: Collect): Outputs {
  if (value === undefined || value === null || value === '') return { outputs: [] };
  const items = Array.isArray(value) ? value : [value];
  const written = items.flatMap((item: unknown, index) => {
    const output = outputOf(item, Array.isArray(value) ? ['outputs', index] : ['outputs'], collect);
    return output === undefined ? [] : [output];
  });
  const outputs = [...new Set(written.map(({ path }) => path))];
  const live = new Set(written.filter(({ isLive }) => isLive).map(({ path }) => path));
  return live.size === 0 ? { outputs } : { outputs, liveOutputs: [...live] };
}

interface WrittenOutput {
  readonly path: string;
  readonly isLive: boolean;
}

function outputOf(item: unknown, path: Path, collect: Collect): WrittenOutput | undefined {
  const text = scalarText(item);
  if (text !== undefined) return checked(text, path, false, collect);
  if (!isRecord(item)) {
    collect(path, "an output is a glob, or a set of 'path' and 'live'");
    return undefined;
  }
  for (const key of Object.keys(item).filter((name) => !KEYS.includes(name)))
    collect([...path, key], `an output has no key '${key}'${suggestion(key, KEYS)}`, 'key');
  const live = item['live'] ?? false;
  if (typeof live !== 'boolean' && live !== 'true' && live !== 'false')
    collect([...path, 'live'], "'live' must be true or false");
  const glob = scalarText(item['path']);
  if (glob === undefined) {
    collect(path, "an output needs 'path'");
    return undefined;
  }
  return checked(glob, [...path, 'path'], live === true || live === 'true', collect);
}

function checked(
  glob: string,
  path: Path,
  isLive: boolean,
  collect: Collect,
): WrittenOutput | undefined {
  const parsed = parseTarget(glob);
  if (parsed.ok) return { path: parsed.path, isLive };
  collect(path, parsed.message);
  return undefined;
}
