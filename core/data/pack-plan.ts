import { CHUNK_BYTES } from './manifest.ts';

/** A file to be sent. */
export interface PackInput {
  readonly path: string;
  readonly sizeBytes: number;
}

/** `length` bytes of `file` from `offset` in it; pieces stand in the chunk one after the other. */
export interface Piece<File> {
  readonly file: File;
  readonly offset: number;
  readonly length: number;
}

/** The pieces of one chunk, at most CHUNK_BYTES together with the list of a pack. */
export type PlannedChunk<File> = readonly Piece<File>[];

const LIST_HEAD_BYTES = 12;
const LIST_ROW_BYTES = 36;

/** Bytes of the list before the files of a pack of so many; a file that is alone in its chunk is no pack. */
export const packListBytes = (files: number): number =>
  files === 1 ? 0 : LIST_HEAD_BYTES + files * LIST_ROW_BYTES;

/** From this size on a file has chunks of its own, so that the same file in another tree is the same chunks. */
const ALONE_BYTES = CHUNK_BYTES / 4;
/** A pack of at least this size may end early. */
const EARLY_BYTES = CHUNK_BYTES / 4;

/**
 * Which bytes go into which chunk: large files are cut, small ones are packed together in their order. A pack ends when it
 * is full, or after a file whose name says so: then a file that grows moves only what is packed up to the next such name,
 * and the packs behind it stay what the store already has.
 */
export function planPacks<File extends PackInput>(
  files: readonly File[],
): readonly PlannedChunk<File>[] {
  const cuts: PlannedChunk<File>[] = [];
  const packs: Piece<File>[][] = [[]];
  let packBytes = 0;
  const listBytes = (more: number): number => packListBytes((packs.at(-1)?.length ?? 0) + more);
  const endPack = (): void => {
    packs.push([]);
    packBytes = 0;
  };
  for (const file of files) {
    const { path, sizeBytes } = file;
    if (sizeBytes === 0) continue;
    if (sizeBytes >= ALONE_BYTES) {
      // One by one: a file of some hundred GiB has more pieces than a call takes arguments.
      for (const cut of cutFile(file)) cuts.push(cut);
      continue;
    }
    if (listBytes(1) + packBytes + sizeBytes > CHUNK_BYTES) endPack();
    packs.at(-1)?.push({ file, offset: 0, length: sizeBytes });
    packBytes += sizeBytes;
    if (packBytes >= EARLY_BYTES && endsPack(path)) endPack();
  }
  return [...packs.filter((pack) => pack.length > 0), ...cuts];
}

function cutFile<File extends PackInput>(file: File): readonly PlannedChunk<File>[] {
  const { sizeBytes } = file;
  return Array.from({ length: Math.ceil(sizeBytes / CHUNK_BYTES) }, (_, index) => {
    const offset = index * CHUNK_BYTES;
    return [{ file, offset, length: Math.min(CHUNK_BYTES, sizeBytes - offset) }];
  });
}

/** True of one name in eight, by FNV-1a. */
function endsPack(path: string): boolean {
  let hash = 0x811c9dc5;
  for (let index = 0; index < path.length; index += 1) {
    hash = Math.imul(hash ^ path.charCodeAt(index), 0x01000193);
  }
  return (hash >>> 13) % 8 === 0;
}
