import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { isMap, isNode, isScalar, isSeq, LineCounter, parseDocument, type YAMLMap } from 'yaml';
import * as z from 'zod';
import { type ErrorCode, GridError, type Problem } from '../core/errors.ts';
import { suggestion } from '../core/nearest.ts';
import { counted, LONGEST_MS, parseBytes, parseDuration, TOO_LONG } from '../core/units.ts';
import { schemaWords } from './schema-words.ts';
import { readTrouble } from './staging/file-errors.ts';

/** A file or directory; relative to the directory of the configuration file. */
export const filePath = (): z.ZodString => z.string().min(1).meta({ kind: 'path' });

const NO_DURATION = 'is no duration: write for instance 30s, 5m or 1h30m';
const NO_SIZE = 'is no size: write for instance 512M or 4GiB';

/** A text; of a number in its place, which YAML makes of `5`, it says what is wanted. */
const unitText = (words: string): z.ZodString =>
  z.string({
    error: ({ input }) => (typeof input === 'number' ? `'${input}' ${words}` : undefined),
  });

/** A duration such as `30s` or `1h30m`, in ms once parsed. */
export const duration = (): z.ZodType<number, string> =>
  unitText(NO_DURATION).transform((text, context) => {
    const ms = parseDuration(text);
    if (ms === undefined) context.addIssue(`'${text}' ${NO_DURATION}`);
    else if (ms > LONGEST_MS) context.addIssue(`'${text}' ${TOO_LONG}`);
    return ms ?? 0;
  });

/** A size such as `512M` or `4GiB`, in bytes once parsed. */
export const byteSize = (): z.ZodType<number, string> =>
  unitText(NO_SIZE).transform((text, context) => {
    const bytes = parseBytes(text);
    if (bytes === undefined) context.addIssue(`'${text}' ${NO_SIZE}`);
    return bytes ?? 0;
  });

/** An address to listen on or connect to, `host:port`. */
export const hostPort = (): z.ZodType<{ readonly host: string; readonly port: number }, string> =>
  z.string().transform((text, context) => {
    const parts = /^(.+):(\d{1,5})$/.exec(text);
    const port = Number(parts?.[2] ?? Number.NaN);
    if (parts === null || port > 65_535) {
      context.addIssue(`'${text}' is no address: write host:port, for instance 0.0.0.0:7450`);
      return { host: '', port: 0 };
    }
    return { host: (parts[1] ?? '').replace(/^\[(.*)\]$/, '$1'), port };
  });

const NO_SETTINGS = 'file: must have settings, each a line such as `name: value`';

/** One setting as `--print-config` shows it. */
export interface Setting {
  readonly path: string;
  /** As written, before durations and sizes became numbers. */
  readonly value: unknown;
  /** `default`, or the line of the file. */
  readonly source: string;
  readonly description: string;
  /** It is of a section that the file does not have, and that means something when it is there. */
  readonly isAbsent: boolean;
}

/**
 * Reads a service's YAML file; throws CONFIG_INVALID (or `code`) with every fault at its line. Unknown keys are faults.
 * The schema is a strict object; nested objects are sections; `.describe()` is what `--print-config` explains.
 */
export function loadConfig<S extends z.ZodObject>(
  schema: S,
  file: string,
  code: ErrorCode = 'CONFIG_INVALID',
): { readonly config: z.output<S>; readonly settings: readonly Setting[] } {
  const counter = new LineCounter();
  const document = parseDocument(readConfigFile(file, code), {
    lineCounter: counter,
    prettyErrors: false,
  });
  const at = (offset: number | undefined): string => `${file}:${counter.linePos(offset ?? 0).line}`;
  const syntax = document.errors.map((error) => ({
    where: at(error.pos[0]),
    message: error.message,
  }));
  if (syntax.length > 0) throw invalid(file, syntax, code);
  const root = isMap(document.contents) ? document.contents : undefined;
  const lineOf = (path: readonly PropertyKey[]): string => at(offsetOf(root, path));
  const content: unknown = document.toJS() ?? {};
  if (!isMapping(content)) {
    const where = at(document.contents?.range?.[0]);
    throw invalid(file, [{ where, message: NO_SETTINGS }], code);
  }
  const input = resolvePaths(schema, content, dirname(resolve(file)));
  const result = schema.strict().safeParse(input, { error: schemaWords });
  if (!result.success) {
    throw invalid(
      file,
      result.error.issues.flatMap((issue) =>
        issue.code === 'unrecognized_keys'
          ? issue.keys.map((key) => unknownKey(schema, [...issue.path, key], lineOf))
          : [
              {
                where: lineOf(issue.path),
                message: `${issue.path.join('.') || 'file'}: ${issue.message}`,
              },
            ],
      ),
      code,
    );
  }
  return {
    config: result.data as z.output<S>,
    settings: settingsOf(lineOf, schema, input, { path: [], isAbsent: false }),
  };
}

/** A setting that there is not, with the one that was meant in its section, or else the section that has it. */
function unknownKey(
  schema: z.ZodObject,
  path: readonly PropertyKey[],
  lineOf: (path: readonly PropertyKey[]) => string,
): Problem {
  const key = String(path.at(-1));
  const section = sectionAt(schema, path.slice(0, -1));
  const known = section === undefined ? [] : Object.keys(section.shape);
  const elsewhere = Object.entries(schema.shape)
    .filter(([, field]) => {
      const inner = unwrap(field);
      return inner instanceof z.ZodObject && key in inner.shape;
    })
    .map(([name]) => `'${name}.${key}'`);
  const hint =
    dottedHint(schema, key) ||
    suggestion(key, known) ||
    (elsewhere.length > 0 ? `; did you mean ${elsewhere.join(' or ')}?` : '');
  const where = path.slice(0, -1).join('.') || 'file';
  return { where: lineOf(path), message: `${where}: there is no setting '${key}'${hint}` };
}

/** For who writes a section and its setting in one word, as we speak of them. */
function dottedHint(schema: z.ZodObject, key: string): string {
  const [name = '', ...below] = key.split('.');
  const field = schema.shape[name];
  return below.length > 0 && field !== undefined && unwrap(field) instanceof z.ZodObject
    ? `: write \`${name}:\`, and \`${below.join('.')}:\` indented below it`
    : '';
}

/** The object that `path` leads to, through sections and lists; undefined where there is none. */
function sectionAt(schema: z.ZodObject, path: readonly PropertyKey[]): z.ZodObject | undefined {
  let at: z.core.$ZodType = schema;
  for (const key of path) {
    const field: unknown = at instanceof z.ZodObject ? at.shape[String(key)] : undefined;
    if (at instanceof z.ZodArray) at = unwrap(at.element);
    else if (field instanceof z.ZodType) at = unwrap(field);
    else return undefined;
  }
  return at instanceof z.ZodObject ? at : undefined;
}

type Json = { [key: string]: unknown };

function readConfigFile(file: string, code: ErrorCode): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new GridError(code, `cannot read ${file}: it ${readTrouble(error)}`, { cause: error });
  }
}

function invalid(file: string, problems: readonly Problem[], code: ErrorCode): GridError {
  const count = counted(problems.length, 'fault');
  return new GridError(code, `${file} has ${count}`, { problems });
}

/** Offset of the deepest node on `path` that the file has, so that an unset key points at its section. */
function offsetOf(root: YAMLMap | undefined, path: readonly PropertyKey[]): number | undefined {
  let offset = root?.range?.[0];
  let node: unknown = root;
  for (const key of path) {
    const pair = isMap(node)
      ? node.items.find((item) => isScalar(item.key) && item.key.value === key)
      : undefined;
    node = isSeq(node) ? node.items[Number(key)] : pair?.value;
    const place = pair === undefined ? node : pair.key;
    if (!isNode(place)) return offset;
    offset = place.range?.[0] ?? offset;
  }
  return offset;
}

function unwrap(schema: z.core.$ZodType): z.core.$ZodType {
  if (
    schema instanceof z.ZodDefault ||
    schema instanceof z.ZodPrefault ||
    schema instanceof z.ZodOptional
  ) {
    return unwrap(schema.unwrap());
  }
  return schema;
}

const metaOf = (schema: z.core.$ZodType): Record<string, unknown> | undefined =>
  z.globalRegistry.get(schema) ?? (unwrap(schema) === schema ? undefined : metaOf(unwrap(schema)));

const isMapping = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function resolvePaths(schema: z.ZodObject, input: Json, base: string): Json {
  const output: Json = { ...input };
  for (const [key, field] of Object.entries(schema.shape)) {
    const value = input[key];
    const inner = unwrap(field);
    if (inner instanceof z.ZodObject && isMapping(value)) {
      output[key] = resolvePaths(inner, value, base);
    } else if (typeof value === 'string' && value !== '' && metaOf(inner)?.['kind'] === 'path') {
      output[key] = resolve(base, value);
    }
  }
  return output;
}

interface Place {
  readonly path: readonly string[];
  readonly isAbsent: boolean;
}

function settingsOf(
  lineOf: (path: readonly PropertyKey[]) => string,
  schema: z.ZodObject,
  input: Json,
  { path, isAbsent }: Place,
): Setting[] {
  return Object.entries(schema.shape).flatMap(([key, field]) => {
    const here = [...path, key];
    const inner = unwrap(field);
    const given = input[key];
    if (inner instanceof z.ZodObject) {
      const isGone = isAbsent || (given === undefined && field instanceof z.ZodOptional);
      return settingsOf(lineOf, inner, (given ?? {}) as Json, { path: here, isAbsent: isGone });
    }
    const described = metaOf(field)?.['description'];
    const description = typeof described === 'string' ? described : '';
    const common = { path: here.join('.'), description, isAbsent };
    return given === undefined
      ? [{ ...common, value: defaultOf(field), source: 'default' }]
      : [{ ...common, value: given, source: lineOf(here) }];
  });
}

function defaultOf(field: z.core.$ZodType): unknown {
  if (field instanceof z.ZodDefault || field instanceof z.ZodPrefault)
    return field.def.defaultValue;
  return undefined;
}
