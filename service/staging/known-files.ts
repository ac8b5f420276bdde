import { randomUUID } from 'node:crypto';
import { readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Piece } from '../../core/data/pack-plan.ts';
import { ensureDirectory } from '../directories.ts';
import { mapAtOnce } from './at-once.ts';
import { sha256 } from './chunk-store.ts';
import type { FoundFile } from './walk.ts';

/** A chunk as it was sent. */
interface KnownChunk {
  readonly digest: string;
  readonly parts: readonly Piece<FoundFile & { readonly digest: string }>[];
}

/** What is known of files that were sent before: those that have not been written since need not be read again. */
export interface KnownFiles {
  /** Digest of the file's content. */
  digestOf(file: FoundFile): string | undefined;
  /** Digest of the chunk that would be made of these pieces. */
  chunkOf(parts: readonly Piece<FoundFile>[]): string | undefined;
  /** Digests of some of the chunks, at most `count`, spread over the tree. */
  someChunks(count: number): readonly string[];
  /** Puts what has been sent in the place of what was known. */
  replace(chunks: readonly KnownChunk[]): Promise<void>;
}

interface KnownOptions {
  /** Directory with a file of what is known for each of the latest trees. */
  readonly dir: string;
  /** What names the tree: the same files sent again have the same. */
  readonly tree: string;
  /** When the files were looked at. */
  readonly walkedAtMs: number;
}

/** What is kept of one tree: JSON behind a line with its digest. */
interface Kept {
  /** Stamp and digest by path. */
  readonly files: Readonly<Record<string, readonly [string, string]>>;
  /** Digests of chunks by what was packed into them. */
  readonly chunks: Readonly<Record<string, string>>;
}

const NOTHING: Kept = { files: {}, chunks: {} };
const MAX_TREES = 64;
/** More than this is not kept: it would take long to load. */
const MAX_KNOWN = 500_000;
/**
 * A file that was written this short a time before it was looked at may have been written again in the same tick of its file
 * system's clock: its times would not tell, so it is read the next time too.
 */
const RACY_MS = 2_000;

export async function loadKnownFiles(options: KnownOptions): Promise<KnownFiles> {
  const { dir, tree, walkedAtMs } = options;
  const place = join(dir, `${sha256(Buffer.from(tree))}.json`);
  const { files, chunks } = await read(place);
  const digestOf = (file: FoundFile): string | undefined => {
    const known = Object.hasOwn(files, file.path) ? files[file.path] : undefined;
    return known?.[0] === stampOf(file) ? known[1] : undefined;
  };
  return {
    digestOf,
    chunkOf: (parts) => {
      const pieces = parts.map((part) => ({ ...part, digest: digestOf(part.file) }));
      return pieces.some(({ digest }) => digest === undefined) ? undefined : chunks[keyOf(pieces)];
    },
    someChunks: (count) => {
      const digests = Object.values(chunks);
      const every = Math.ceil(digests.length / count);
      return digests.filter((_, at) => at % every === 0);
    },
    replace: async (sent) => {
      const settled = (file: FoundFile): boolean =>
        Math.max(file.mtimeMs, file.ctimeMs) < walkedAtMs - RACY_MS;
      const parts = sent.flatMap((chunk) => chunk.parts).filter(({ file }) => settled(file));
      if (parts.length > MAX_KNOWN) return;
      const kept: Kept = {
        files: Object.fromEntries(
          parts.map(({ file }) => [file.path, [stampOf(file), file.digest] as const]),
        ),
        chunks: Object.fromEntries(
          sent.map(({ digest, parts: of }) => [
            keyOf(of.map((part) => ({ ...part, digest: part.file.digest }))),
            digest,
          ]),
        ),
      };
      // Without it the files are read again the next time, and that is all.
      await keep(dir, place, kept).catch(() => undefined);
    },
  };
}

/** Another stamp says that the file has been written, replaced or renamed over since. */
const stampOf = ({ inode, sizeBytes, mtimeMs, ctimeMs }: FoundFile): string =>
  [sizeBytes, mtimeMs, ctimeMs, inode].join(' ');

/** Of one piece its text, of several the digest of their text. */
function keyOf(
  pieces: readonly {
    readonly digest: string | undefined;
    readonly offset: number;
    readonly length: number;
  }[],
): string {
  const text = pieces
    .map(({ digest, offset, length }) => `${digest} ${offset} ${length}`)
    .join(' ');
  return pieces.length === 1 ? text : sha256(Buffer.from(text));
}

async function read(place: string): Promise<Kept> {
  const text = await readFile(place, 'utf8').catch(() => '');
  const [digest, json = ''] = text.split('\n');
  return digest === sha256(Buffer.from(json)) ? (JSON.parse(json) as Kept) : NOTHING;
}

async function keep(dir: string, place: string, kept: Kept): Promise<void> {
  ensureDirectory(dir, 0o700);
  const json = JSON.stringify(kept);
  const partial = `${place}.${randomUUID()}`;
  await writeFile(partial, `${sha256(Buffer.from(json))}\n${json}`, { mode: 0o600 });
  await rename(partial, place);
  await forgetOldest(dir);
}

async function forgetOldest(dir: string): Promise<void> {
  const names = await readdir(dir);
  if (names.length <= MAX_TREES) return;
  const dated = await mapAtOnce(MAX_TREES, names, async (name) => {
    const stats = await stat(join(dir, name)).catch(() => undefined);
    return { name, mtimeMs: stats?.mtimeMs ?? 0 };
  });
  const oldest = dated.toSorted((a, b) => b.mtimeMs - a.mtimeMs).slice(MAX_TREES);
  await mapAtOnce(MAX_TREES, oldest, ({ name }) => rm(join(dir, name), { force: true }));
}
