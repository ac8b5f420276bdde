import type { CachedEntry } from '../../core/data/evict.ts';
import { GridError } from '../../core/errors.ts';
import { counted, formatBytes, parseBytes } from '../../core/units.ts';
import type { Context } from '../context.ts';
import type { Input } from '../input.ts';
import { openProgress } from '../progress.ts';
import { agoText, instantText, table } from '../render.ts';
import { configFile } from '../serve.ts';

/** A cached file as people and programs see it. */
interface CacheLine {
  readonly vo: string;
  readonly digest: string;
  readonly bytes: number;
  readonly usedAtMs: number;
  readonly held: boolean;
}

const lineOf = ({ path, bytes, usedAtMs, held }: CachedEntry): CacheLine => {
  const [vo = '', , name = ''] = path.split('/');
  return { vo, digest: name.replace(/\.x$/, ''), bytes, usedAtMs: Math.round(usedAtMs), held };
};

const open = async (input: Input) => {
  const { openCache } = await import('../../site-gateway/main.ts');
  return openCache(configFile(input));
};

/** `grid site cache ls`. */
export async function listCache(context: Context, input: Input): Promise<number> {
  const { keeper, highBytes } = await open(input);
  const lines = (await keeper.list()).map(lineOf).toReversed();
  const bytes = lines.reduce((sum, line) => sum + line.bytes, 0);
  const shown = lines.slice(0, input.whole('limit') ?? 20);
  const { terminal, colours, json } = context;
  if (json) {
    terminal.out(JSON.stringify({ files: lines.length, bytes, highBytes, entries: shown }));
    return 0;
  }
  terminal.note(
    `${counted(lines.length, 'file')}, ${formatBytes(bytes)}; cleared above ${formatBytes(highBytes)}`,
  );
  if (lines.length === 0) return 0;
  const rows = shown.map(({ vo, digest, bytes: size, usedAtMs, held }) => [
    digest.slice(0, 16),
    vo,
    formatBytes(size),
    `${instantText(usedAtMs)} (${agoText(usedAtMs, Date.now())})`,
    held ? 'a task has it' : '',
  ]);
  terminal.out(table(['digest', 'vo', 'size', 'last used', ''], rows, colours, terminal.columns));
  return 0;
}

/** `grid site cache prune`. */
export async function pruneCache(context: Context, input: Input): Promise<number> {
  const text = input.text('keep') ?? '';
  const keepBytes = text === '0' ? 0 : parseBytes(text);
  if (keepBytes === undefined)
    throw new GridError('USAGE', `--keep '${text}' is no size: write 0, 500M or 10G`);
  const { keeper } = await open(input);
  const pruned = await keeper.prune(keepBytes);
  const words = `${counted(pruned.files, 'file')} taken out, ${formatBytes(pruned.bytes)} freed`;
  context.terminal.out(context.json ? JSON.stringify(pruned) : words);
  const left = await keeper.list();
  const leftBytes = left.reduce((sum, { bytes }) => sum + bytes, 0);
  if (leftBytes > keepBytes)
    context.terminal.note(
      `left: ${counted(left.length, 'file')}, ${formatBytes(leftBytes)}, which a task has or which was used in the last minute`,
    );
  return 0;
}

/** `grid site cache verify`. */
export async function verifyCache(context: Context, input: Input): Promise<number> {
  const { keeper } = await open(input);
  const line = await openProgress(context, 'reading');
  const { files, corrupt } = await keeper.verify(line.update).finally(line.stop);
  const { terminal, json } = context;
  if (json) terminal.out(JSON.stringify({ files, corrupt }));
  else if (corrupt.length === 0) terminal.out(`${counted(files, 'file')}, all sound`);
  else
    terminal.out(
      `spoiled and taken out: ${corrupt.length} of ${counted(files, 'file')}\n${corrupt.join('\n')}`,
    );
  return corrupt.length === 0 ? 0 : 1;
}
