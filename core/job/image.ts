/** How a site runs container images. */
export interface Containers {
  /** `podman`, `apptainer`; another one only where the site's gateway is newer. */
  readonly runtime: string;
  /** How the names of images begin that it runs; empty for all. */
  readonly images: readonly string[];
}

/** An image as it is asked of a runtime. */
export interface Image {
  /** In a registry or the store of the runtime, or a file of Apptainer. */
  readonly kind: 'registry' | 'file';
  /** The whole name, its registry in front: `docker.io/library/python:3.12`; the path of a file. */
  readonly name: string;
}

const LABEL = '[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?';
const PORT = ':[0-9]{1,5}';
/** What comes first is a registry where it has a dot or a port, or is this machine. */
const HOST = `localhost(?:${PORT})?|${LABEL}(?:\\.${LABEL})+(?:${PORT})?|${LABEL}${PORT}`;
const PART = '[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*';
const REFERENCE = new RegExp(
  `^(?:docker://)?(?:(?<host>${HOST})/)?(?<path>${PART}(?:/${PART})*)(?<tag>:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?<digest>@sha256:[0-9a-f]{64})?$`,
);
const FILE = /^\/?[A-Za-z0-9_][A-Za-z0-9_.+@=-]*(?:\/[A-Za-z0-9_][A-Za-z0-9_.+@=-]*)*\.sif$/;
const MAX_LENGTH = 400;

/**
 * `python:3.12`, `docker://ghcr.io/lab/tool@sha256:...`, `/cvmfs/images/tool.sif`, or `tool.sif` for an input; undefined for
 * what is none. Nothing in it means anything to a shell or is read as a flag. A name without a registry is one of
 * docker.io, at every site alike. A digest makes its tag superfluous.
 */
export function parseImage(text: string): Image | undefined {
  if (text.length > MAX_LENGTH) return undefined;
  if (FILE.test(text)) return { kind: 'file', name: text };
  const { host = '', path = '', tag = '', digest } = REFERENCE.exec(text)?.groups ?? {};
  if (path === '') return undefined;
  return {
    kind: 'registry',
    name: `${host || 'docker.io'}/${placeOf(host, path)}${digest ?? tag}`,
  };
}

/** Names of one part are official ones of docker.io. */
const placeOf = (host: string, path: string): string =>
  host === '' && !path.includes('/') ? `library/${path}` : path;

/** How the names of images may begin: `docker.io/library/`, `ghcr.io/lab/tool`, `/cvmfs/images/`. */
export const isImagePrefix = (text: string): boolean =>
  text.length <= MAX_LENGTH && /^[A-Za-z0-9/][A-Za-z0-9_.+@:/-]*$/.test(text);

const begins = (name: string, prefix: string): boolean =>
  name.startsWith(prefix) &&
  (prefix.endsWith('/') || ['', ':', '@', '/'].includes(name.charAt(prefix.length)));

/** What a site has in place of the runtime that an image takes, for a message; undefined where it can run it. */
export function withoutImage(text: string, containers: Containers | undefined): string | undefined {
  if (containers === undefined) return 'no containers';
  const image = parseImage(text);
  if (image === undefined) return 'nothing for that';
  const { runtime, images } = containers;
  if (image.kind === 'file' && runtime !== 'apptainer')
    return `${runtime}, which runs no .sif files`;
  if (images.length === 0 || images.some((prefix) => begins(image.name, prefix))) return undefined;
  return `images of ${images.join(', ')} only`;
}
