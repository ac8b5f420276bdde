import { basename } from 'node:path';
import { GridError, type Problem } from '../../core/errors.ts';
import { isRecord } from '../../core/job/parse-value.ts';
import { invalidJobs, type JobText, readJobText, type WrittenJob } from './job-file.ts';

const DIRECTIVE = /^#GRID(?=\s|$)\s*/;
/** Interpreters that take a program as an argument, for a script that comes over stdin. */
const INLINE = /^(?:sh|bash|dash|ash|ksh|zsh|python\d?(?:\.\d+)?)$/;

/** Whether a text is a script and not a job file. */
export const looksLikeScript = (name: string, text: string): boolean =>
  text.startsWith('#!') ||
  (!/\.(?:ya?ml|json)$/i.test(name) && (/^#GRID\s/m.test(text) || /\.(?:sh|py|pl|R)$/.test(name)));

/** A script: is it a file that can be sent along, and executable? `args` are its arguments. */
export interface ScriptSource extends JobText {
  /** Path of the file, relative to `base`; undefined where the text came over stdin. */
  readonly file: string | undefined;
  readonly executable: boolean;
  readonly args: readonly string[];
}

/** A script with `#GRID key: value` lines; the script becomes an input and the command. */
export function readScript(source: ScriptSource): WrittenJob {
  const raw: Record<string, unknown> = {};
  const places = new Map<string, WrittenJob['where']>();
  const problems: Problem[] = [];
  for (const [index, text] of source.text.split('\n').entries()) {
    const prefix = DIRECTIVE.exec(text)?.[0];
    if (prefix === undefined) continue;
    readDirective({ source, line: index + 1, prefix, text, raw, places, problems });
  }
  const inputs = raw['inputs'];
  const written = Array.isArray(inputs) ? inputs : inputs === undefined ? [] : [inputs];
  const script =
    source.file === undefined ? [] : [{ from: source.file, to: basename(source.file) }];
  return {
    raw: {
      name:
        basename(source.name)
          .replace(/\.[^.]*$/, '')
          .replace(/[^\w.-]/g, '') || 'script',
      ...raw,
      command: commandOf(source),
      inputs: [...written, ...script],
    },
    base: source.base,
    problems,
    where: (path, about, offset) =>
      places.get(String(path[0]))?.(path, about, offset) ?? `${source.name}:1:1`,
  };
}

interface Directive {
  readonly source: ScriptSource;
  readonly line: number;
  readonly prefix: string;
  readonly text: string;
  readonly raw: Record<string, unknown>;
  readonly places: Map<string, WrittenJob['where']>;
  readonly problems: Problem[];
}

/** Each directive is a YAML document of one line, moved to where it stands in the script. */
function readDirective({ source, line, prefix, text, raw, places, problems }: Directive): void {
  const before = '\n'.repeat(line - 1) + ' '.repeat(prefix.length);
  const here = `${source.name}:${line}:${prefix.length + 1}`;
  const wanted = text.slice(prefix.length);
  const found =
    wanted === '' ? undefined : readLine({ ...source, text: before + wanted }, problems);
  if (found === undefined && wanted !== '') return;
  const entries = isRecord(found?.raw) ? Object.entries(found.raw) : [];
  if (entries.length === 0)
    problems.push({
      where: here,
      message: "write '#GRID key: value', for instance '#GRID cpus: 4'",
    });
  for (const [key, value] of entries) {
    if (key === 'command') problems.push({ where: here, message: 'the script is the command' });
    else if (key in raw) problems.push({ where: here, message: `'${key}' is there twice` });
    raw[key] = value;
    if (found !== undefined) places.set(key, found.where);
  }
}

function readLine(text: JobText, problems: Problem[]): WrittenJob | undefined {
  try {
    return readJobText(text)[0];
  } catch (error) {
    if (!(error instanceof GridError)) throw error;
    problems.push(...error.problems);
    return undefined;
  }
}

/** What the kernel would make of the first line, without relying on the execute bit. */
function commandOf(source: ScriptSource): readonly string[] {
  const [, program = '/bin/sh', argument] = /^#!\s*(\S+)(?:[ \t]+(\S.*?))?\s*$/m.exec(
    source.text.startsWith('#!') ? (source.text.split('\n')[0] ?? '') : '',
  ) ?? [''];
  const interpreter = argument === undefined ? [program] : [program, argument];
  if (source.file !== undefined) {
    const script = `./${basename(source.file)}`;
    return source.executable ? [script, ...source.args] : [...interpreter, script, ...source.args];
  }
  const language = basename(/\benv$/.test(program) ? (argument ?? '') : program);
  if (!INLINE.test(language))
    throw invalidJobs([
      {
        where: `${source.name}:1:1`,
        message: `a script over stdin must be for a shell or Python, not for '${language}'`,
      },
    ]);
  const rest = language.startsWith('python') ? source.args : [source.name, ...source.args];
  return [...interpreter, '-c', source.text, ...rest];
}
