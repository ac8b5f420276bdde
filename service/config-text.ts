import type { Setting } from './config.ts';

/** Columns of a line of explanation, which is a comfortable width for reading. */
const WIDTH = 98;

/**
 * The settings as `--print-config` shows them: a configuration file that says the same, with the meaning of each setting above
 * it and its source behind it. What is not set stands there as a remark.
 */
export function formatSettings(settings: readonly Setting[]): string {
  const lines: string[] = [];
  let open: readonly string[] = [];
  for (const { path, value, source, description, isAbsent } of settings) {
    const [key = '', ...outer] = path.split('.').toReversed();
    const sections = outer.toReversed();
    const mark = isAbsent ? '# ' : '';
    for (const [depth, name] of sections.entries())
      if (open[depth] !== name) lines.push(`${mark}${indent(depth)}${name}:`);
    open = sections;
    const margin = indent(sections.length);
    for (const line of wrapped(description, WIDTH - margin.length))
      lines.push(`${mark}${margin}# ${line}`);
    const isSet = value !== undefined;
    const shown = isSet ? ` ${JSON.stringify(value)}` : '';
    const behind = isSet ? whence(source) : 'not set';
    lines.push(`${mark}${margin}${isSet || isAbsent ? '' : '# '}${key}:${shown}  # ${behind}`);
  }
  return `${lines.join('\n')}\n`;
}

const indent = (depth: number): string => '  '.repeat(depth);

/** `default`, or `line 7`: which file it is, whoever asks knows. */
const whence = (source: string): string => source.replace(/^.*:(\d+)$/, 'line $1');

function* wrapped(text: string, width: number): Generator<string> {
  let line = '';
  for (const word of text.split(/\s+/)) {
    if (line !== '' && line.length + 1 + word.length > width) {
      yield line;
      line = '';
    }
    line = line === '' ? word : `${line} ${word}`;
  }
  if (line !== '') yield line;
}
