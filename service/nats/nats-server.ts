import { randomUUID } from 'node:crypto';
import { access, constants, copyFile, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { GridError } from '../../core/errors.ts';
import { ensureDirectory } from '../directories.ts';
import { runTool } from '../run-tool.ts';

/** The release that we build where nothing recent is installed. */
export const NATS_SERVER_VERSION = '2.15.2';

/** A nats-server program that can be started. */
export interface NatsServerBinary {
  readonly path: string;
  /** Three numbers, for instance `2.15.2`. */
  readonly version: string;
  readonly source: 'path' | 'cache' | 'built' | 'package';
  /** One sentence for people, where the version has a known hole. */
  readonly warning?: string;
}

interface FindOptions {
  /** Where built programs are kept, for instance `~/.cache/hanse`. */
  readonly cacheDir: string;
  /** Environment of the tools that are run; its PATH is searched. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Told what is being done, one short sentence each. */
  readonly onProgress?: (text: string) => void;
  readonly signal?: AbortSignal;
}

const BUILD_TIMEOUT_MS = 300_000;
const MODULE = `github.com/nats-io/nats-server/v2@v${NATS_SERVER_VERSION}`;

/**
 * A nats-server: a recent one on PATH, one from the cache, one built with `go`, or Debian's package unpacked into the
 * cache (nothing is installed: its service would start on its own). Throws TOOL_MISSING that says what to do.
 */
export async function findNatsServer(options: FindOptions): Promise<NatsServerBinary> {
  const onPath = await examine(await which('nats-server', options.env), 'path');
  if (onPath !== undefined && isRecent(onPath.version)) return onPath;
  const cached = join(options.cacheDir, `nats-server-v${NATS_SERVER_VERSION}`, 'nats-server');
  const found =
    (await examine(cached, 'cache')) ??
    (await build(cached, options)) ??
    withWarning(onPath) ??
    withWarning(await unpackDebian(options));
  if (found !== undefined) return found;
  options.signal?.throwIfAborted();
  throw new GridError(
    'TOOL_MISSING',
    `no nats-server: install Go (then \`go install ${MODULE}\` runs by itself), or on Debian run ` +
      '`apt-get update && apt-get install nats-server` as root, or put nats-server 2.11.15 or later on PATH',
  );
}

/** 2.11.15, 2.12.6, or later: CVE-2025-30215 and CVE-2026-33248 are mended. */
export function isRecent(version: string): boolean {
  const [major = 0, minor = 0, patch = 0] = version.split('.').map(Number);
  if (major !== 2) return major > 2;
  if (minor === 11) return patch >= 15;
  return minor === 12 ? patch >= 6 : minor > 12;
}

/**
 * One sentence for people about servers that keep several copies of a chunk; '' for 2.14.0 or later. Before, a server that was away
 * while a chunk was taken out and sent anew refuses the new one, as two of one name, and never has all again.
 */
export function clusterWarning(version: string): string {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (major > 2 || (major === 2 && minor >= 14)) return '';
  return (
    `nats-server ${version} in a cluster: one that was away while chunks were swept may never catch up, and the copies are ` +
    'fewer than they seem; install 2.14 or later on all of its machines'
  );
}

/** `nats-server: v2.15.2` -> `2.15.2`. */
export const parseVersion = (text: string): string | undefined =>
  /v(\d+\.\d+\.\d+)/.exec(text)?.[1];

async function which(
  name: string,
  env: Readonly<Record<string, string | undefined>>,
): Promise<string | undefined> {
  for (const folder of (env['PATH'] ?? '').split(delimiter)) {
    const file = join(folder, name);
    if (folder !== '' && (await isExecutable(file))) return file;
  }
  return undefined;
}

const isExecutable = (file: string): Promise<boolean> =>
  access(file, constants.X_OK).then(
    () => true,
    () => false,
  );

async function examine(
  path: string | undefined,
  source: NatsServerBinary['source'],
): Promise<NatsServerBinary | undefined> {
  if (path === undefined || !(await isExecutable(path))) return undefined;
  const run = await runTool(path, ['--version'], { timeoutMs: 10_000 });
  const version = parseVersion(run.output);
  return run.ok && version !== undefined ? { path, version, source } : undefined;
}

function withWarning(binary: NatsServerBinary | undefined): NatsServerBinary | undefined {
  if (binary === undefined) return undefined;
  return {
    ...binary,
    warning:
      `nats-server ${binary.version} has known holes (CVE-2025-30215): it is used with a list of denied subjects ` +
      'and is fit for the loopback interface only; install 2.11.15 or later for anything else',
  };
}

async function build(
  target: string,
  { env, onProgress, signal }: FindOptions,
): Promise<NatsServerBinary | undefined> {
  const go = await which('go', env);
  if (go === undefined) return undefined;
  onProgress?.(`building nats-server ${NATS_SERVER_VERSION} with go, once (a minute)`);
  const bin = await mkdtemp(join(tmpdir(), 'hanse-go-'));
  try {
    const run = await runTool(go, ['install', MODULE], {
      timeoutMs: BUILD_TIMEOUT_MS,
      env: { ...env, GOBIN: bin, CGO_ENABLED: '0' },
      ...(signal === undefined ? {} : { signal }),
    });
    if (!run.ok) {
      onProgress?.(`go could not build nats-server: ${lastLine(run.output)}`);
      return undefined;
    }
    await install(join(bin, 'nats-server'), target);
    return await examine(target, 'built');
  } finally {
    await rm(bin, { recursive: true, force: true });
  }
}

async function unpackDebian({
  cacheDir,
  env,
  onProgress,
  signal,
}: FindOptions): Promise<NatsServerBinary | undefined> {
  const target = join(cacheDir, 'nats-server-debian', 'nats-server');
  const cached = await examine(target, 'package');
  if (cached !== undefined) return cached;
  const [apt, dpkg] = [await which('apt-get', env), await which('dpkg', env)];
  if (apt === undefined || dpkg === undefined) return undefined;
  onProgress?.("fetching Debian's package of nats-server");
  const work = await mkdtemp(join(tmpdir(), 'hanse-deb-'));
  const run = (tool: string, args: readonly string[]) =>
    runTool(tool, args, {
      timeoutMs: BUILD_TIMEOUT_MS,
      cwd: work,
      env,
      ...(signal === undefined ? {} : { signal }),
    });
  const download = ['-q', '-o', 'APT::Sandbox::User=root', 'download', 'nats-server'];
  try {
    if (!(await run(apt, download)).ok) {
      // A fresh machine has no package lists yet; only root can fetch them.
      const again = (await run(apt, ['-q', 'update'])).ok && (await run(apt, download)).ok;
      if (!again) return undefined;
    }
    const deb = (await readdir(work)).find((name) => name.endsWith('.deb'));
    if (deb === undefined || !(await run(dpkg, ['-x', deb, work])).ok) return undefined;
    for (const folder of ['usr/sbin', 'usr/bin']) {
      const file = join(work, folder, 'nats-server');
      if (await isExecutable(file)) await install(file, target);
    }
    return await examine(target, 'package');
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** Copies beside the target and renames, so that two grids which start together never run half a program. */
async function install(file: string, target: string): Promise<void> {
  ensureDirectory(join(target, '..'));
  const partial = `${target}.${randomUUID()}`;
  await copyFile(file, partial);
  await rename(partial, target);
}

const lastLine = (text: string): string => text.trimEnd().split('\n').at(-1) ?? '';
