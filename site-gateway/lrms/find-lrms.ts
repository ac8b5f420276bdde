import { existsSync } from 'node:fs';
import { hostname } from 'node:os';
import { delimiter, join } from 'node:path';
import { counted } from '../../core/units.ts';
import { BatchSilence, type CommandRunner, openCommandRunner } from './batch/batch-command.ts';

/** A batch system of this machine that answers, and what it says of itself. */
interface FoundLrms {
  /** As the configuration names it. */
  readonly lrms: string;
  /** For people: `Slurm 22.05.8, partitions main, long`. */
  readonly words: string;
  /** Sections of the gateway's configuration that it needs. */
  readonly settings: Readonly<Record<string, unknown>>;
  /** Whether tasks run on other machines than this one, which must see the spool then. */
  readonly elsewhere: boolean;
}

/** Why none can be chosen, for people. */
interface NoLrms {
  /** USAGE where only the administrator can say which it is. */
  readonly code: 'UNAVAILABLE' | 'USAGE';
  readonly trouble: string;
}

type Env = Readonly<Record<string, string | undefined>>;

interface Kind {
  readonly lrms: string;
  readonly name: string;
  /** The program that tells that it is installed. */
  readonly program: string;
  readonly variables: readonly string[];
  /** Throws BatchSilence. */
  readonly look: (run: CommandRunner) => Promise<Pick<FoundLrms, 'words' | 'elsewhere'>>;
  readonly settings: (env: Env) => Readonly<Record<string, unknown>>;
}

const LOOK_MS = 10_000;
const EVERYWHERE = '/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin';

const KINDS: readonly Kind[] = [
  {
    lrms: 'slurm',
    name: 'Slurm',
    program: 'sbatch',
    variables: ['SLURM_CONF'],
    look: async (run) => {
      const answer = await said(run, 'sinfo', ['--version']);
      const version = /\d[\d.]*/.exec(answer)?.[0];
      if (version === undefined)
        throw new BatchSilence(`sinfo --version said '${answer.trim().slice(0, 80)}'`);
      // Of each partition and host: the partition, and the address of the host.
      const lines = linesOf(await said(run, 'sinfo', ['-h', '-N', '-o', '%R %o']));
      const column = (at: number): readonly string[] => [
        ...new Set(lines.map((line) => line.split(' ')[at] ?? '')),
      ];
      if (lines.length === 0) throw new BatchSilence('it has no partition with nodes');
      const words = `Slurm ${version}, partitions ${column(0).join(', ')}`;
      return { words, elsewhere: !column(1).every(isHere) };
    },
    settings: (env) => given({ conf: env['SLURM_CONF'] }),
  },
  {
    lrms: 'gridengine',
    name: 'Grid Engine',
    program: 'qconf',
    variables: ['SGE_ROOT', 'SGE_CELL', 'SGE_QMASTER_PORT', 'SGE_EXECD_PORT', 'SGE_ARCH'],
    look: async (run) => {
      const [queues, hosts] = await Promise.all([
        said(run, 'qconf', ['-sql']),
        said(run, 'qconf', ['-sel']),
      ]);
      const words = `Grid Engine, queues ${linesOf(queues).join(', ')}`;
      return { words, elsewhere: !linesOf(hosts).every(isHere) };
    },
    settings: (env) =>
      given({
        root: env['SGE_ROOT'],
        cell: env['SGE_CELL'],
        'qmaster-port': portOf(env['SGE_QMASTER_PORT']),
        'execd-port': portOf(env['SGE_EXECD_PORT']),
      }),
  },
  {
    lrms: 'htcondor',
    name: 'HTCondor',
    program: 'condor_submit',
    variables: ['CONDOR_CONFIG'],
    look: async (run) => {
      const version = /\d[\d.]*/.exec(await said(run, 'condor_version', []))?.[0] ?? '';
      // A machine that only works for a pool has no queue, and nobody can submit from there.
      await said(run, 'condor_q', ['-limit', '1', '-af', 'ClusterId']);
      const machines = [...new Set(linesOf(await said(run, 'condor_status', ['-af', 'Machine'])))];
      if (machines.length === 0) throw new BatchSilence('its pool has no machine');
      return {
        words: `HTCondor ${version}, a pool of ${counted(machines.length, 'machine')}`,
        elsewhere: !machines.every(isHere),
      };
    },
    settings: (env) => given({ config: env['CONDOR_CONFIG'] }),
  },
];

/**
 * Looks for the batch system of this machine with the administrator's own environment (PATH, SLURM_CONF, SGE_*, CONDOR_CONFIG): the
 * one that is installed and answers, else this very machine. `only` looks for one alone. One that is installed and
 * silent is never passed over: a cluster's login node must not become a site by itself.
 */
export async function findLrms(env: Env, only: string | undefined): Promise<FoundLrms | NoLrms> {
  const path = [env['PATH'] ?? '', EVERYWHERE].join(delimiter);
  const wanted = KINDS.filter(({ lrms }) => only === undefined || lrms === only);
  const looks = wanted.flatMap((kind) => {
    const bin = directoryOf(path, kind.program);
    return bin === undefined ? [] : [lookAt(kind, env, path, bin)];
  });
  const seen = await Promise.all(looks);
  const found = seen.filter((one) => 'lrms' in one);
  const [first] = found;
  if (found.length > 1)
    return {
      code: 'USAGE',
      trouble: `${found.map(({ words }) => words).join(' and ')} both answer: say which with --lrms`,
    };
  if (first !== undefined) return first;
  const silent = seen.flatMap((one) => ('trouble' in one ? [one.trouble] : []));
  if (silent.length > 0)
    return {
      code: 'UNAVAILABLE',
      trouble: `${silent.join('; ')}: mend that, or say --lrms fork for this machine alone`,
    };
  const [missing] = only === undefined || only === 'fork' ? [] : wanted;
  if (missing !== undefined)
    return {
      code: 'UNAVAILABLE',
      trouble: `${missing.name} is not here: ${missing.program} is not on the PATH`,
    };
  return { lrms: 'fork', words: 'none: tasks run on this machine', settings: {}, elsewhere: false };
}

async function lookAt(
  { lrms, name, variables, look, settings }: Kind,
  env: Env,
  path: string,
  bin: string,
): Promise<FoundLrms | NoLrms> {
  const run = openCommandRunner({
    PATH: path,
    ...given(Object.fromEntries(variables.map((variable) => [variable, env[variable]]))),
  });
  try {
    const section = {
      ...settings(env),
      ...(EVERYWHERE.split(delimiter).includes(bin) ? {} : { bin }),
    };
    const sections = Object.keys(section).length === 0 ? {} : { [lrms]: section };
    return { lrms, settings: sections, ...(await look(run)) };
  } catch (error) {
    if (!(error instanceof BatchSilence)) throw error;
    return {
      code: 'UNAVAILABLE',
      trouble: `${name} is installed and does not answer (${error.message})`,
    };
  }
}

/** What a command prints when all goes well; throws BatchSilence. */
async function said(run: CommandRunner, program: string, args: readonly string[]): Promise<string> {
  const { ok, stdout, stderr } = await run(program, args, LOOK_MS);
  if (!ok) throw new BatchSilence(stderr.split('\n')[0] || `${program} failed without a word`);
  return stdout;
}

const directoryOf = (path: string, program: string): string | undefined =>
  path.split(delimiter).find((dir) => dir !== '' && existsSync(join(dir, program)));

const linesOf = (text: string): readonly string[] =>
  text.split('\n').filter((line) => line.trim() !== '');

const isHere = (host: string): boolean =>
  /^(?:127\.[\d.]+|::1|localhost)$/.test(host) || host.split('.')[0] === hostname().split('.')[0];

/** Without what is not set. */
const given = <T>(values: Readonly<Record<string, T | undefined>>): Readonly<Record<string, T>> =>
  Object.fromEntries(
    Object.entries(values).filter((entry): entry is [string, T] => (entry[1] ?? '') !== ''),
  );

const portOf = (text: string | undefined): number | undefined =>
  text !== undefined && /^\d{1,5}$/.test(text) ? Number(text) : undefined;
