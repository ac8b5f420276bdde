import { parseImage } from './image.ts';

/** What a job wants to find installed beside its own files. */
export interface SoftwareDemand {
  /** Environment modules of the site, loaded in this order; one without a version is any version of it. */
  readonly modules?: readonly string[];
  /** Container image that the program runs in. */
  readonly image?: string;
}

/** What is wrong with an image beside the rest of a job; undefined for nothing. */
export function imageFault(
  { image, modules = [] }: SoftwareDemand,
  nodes: number,
): string | undefined {
  if (image === undefined) return undefined;
  if (parseImage(image) === undefined)
    return `'${image.slice(0, 80)}' is no name of an image: write for instance docker.io/library/python:3.12, or tool.sif`;
  if (modules.length > 0)
    return 'an image brings its own software, modules are the site’s: take one of the two';
  return nodes > 1 ? 'a program in an image runs on one node' : undefined;
}

const PART = '[A-Za-z0-9_][A-Za-z0-9_.+@=-]*';
const MODULE = new RegExp(`^${PART}(?:/${PART})*$`);
const MAX_MODULE_LENGTH = 128;

/** `gcc`, `gcc/13.2`, `bio/samtools/1.19`: nothing in it means anything to a shell or is read as a flag. */
export const isModuleName = (text: string): boolean =>
  text.length <= MAX_MODULE_LENGTH && MODULE.test(text);

/** The first of the modules that are wanted which is not there. */
export const missingModule = (
  wanted: readonly string[],
  there: readonly string[],
): string | undefined =>
  wanted.find((name) => !there.some((one) => one === name || one.startsWith(`${name}/`)));

const SHOWN = 5;

/** What a site has in place of a module, for a message: its other versions, else that there are none. */
export function modulesLike(wanted: string, there: readonly string[]): string {
  const name = wanted.slice(0, wanted.includes('/') ? wanted.lastIndexOf('/') : undefined);
  const kin = there.filter((one) => one === name || one.startsWith(`${name}/`));
  if (kin.length === 0) return there.length === 0 ? 'no modules' : 'no module of that name';
  const more = kin.length > SHOWN ? ` and ${kin.length - SHOWN} more` : '';
  return `${kin.slice(0, SHOWN).join(', ')}${more}`;
}
