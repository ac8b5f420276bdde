import { glob, isDynamicPattern } from 'tinyglobby';

/** What the output globs of a job found. */
export interface FoundOutputs {
  /** Files relative to the task's directory. */
  readonly files: readonly string[];
  /** The globs that found nothing. */
  readonly missing: readonly string[];
}

/**
 * Looks for outputs. Links are not followed, names with a leading dot are found by name only. What was staged in is no
 * output, unless it is named without a wildcard.
 */
export async function findOutputs(
  work: string,
  globs: readonly string[],
  inputs: ReadonlySet<string>,
): Promise<FoundOutputs> {
  const files = new Set<string>();
  const missing: string[] = [];
  for (const pattern of globs) {
    const found = await glob(pattern, {
      cwd: work,
      dot: false,
      followSymbolicLinks: false,
      onlyFiles: true,
    });
    const wanted = isDynamicPattern(pattern) ? found.filter((file) => !inputs.has(file)) : found;
    if (wanted.length === 0) missing.push(pattern);
    for (const file of wanted) files.add(file);
  }
  files.delete('.grid/stdout');
  files.delete('.grid/stderr');
  return { files: [...files], missing };
}
