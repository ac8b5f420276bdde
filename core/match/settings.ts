import { writeBytes, writeDuration } from '../units.ts';
import type { Ask, Rules } from './ask.ts';

/** Something that a job asks for and that could be less, or be left out. */
export interface Setting {
  /** How many values are below what is asked for: 0 is the lowest of them, which may be that it is left out. */
  readonly levels: number;
  lower(ask: Ask, level: number): Ask;
  words(level: number): string;
  /** Settings that lower less than this one: where one of them helps, this one is too much. */
  readonly less?: readonly Setting[];
}

const MINUTE_MS = 60_000;
const MIB = 2 ** 20;
/** Terms of requirements that are left out one by one. */
const MAX_TERMS = 8;

/** All that an ask could do with less of. */
export const settingsOf = (ask: Ask, rules: Rules): readonly Setting[] => [
  ...amounts(ask),
  ...licences(ask),
  ...omissions(ask),
  ...terms(ask, rules),
];

/** A number that the job names, in units that a person would write. */
interface Amount {
  readonly key: 'cpus' | 'memoryBytes' | 'gpus' | 'nodes' | 'walltimeMs' | 'diskBytes';
  readonly name: string;
  readonly unit: number;
  /** In units. */
  readonly least: number;
  readonly write: (value: number) => string;
}

function amounts(ask: Ask): readonly Setting[] {
  const { walltimeMs } = ask.resources;
  const timeUnit = walltimeMs > 10 * MINUTE_MS ? MINUTE_MS : 1_000;
  const all: readonly Amount[] = [
    { key: 'cpus', name: 'cpus', unit: 1, least: 1, write: String },
    { key: 'memoryBytes', name: 'memory', unit: MIB, least: 1, write: writeBytes },
    { key: 'gpus', name: 'gpus', unit: 1, least: 0, write: String },
    { key: 'diskBytes', name: 'disk', unit: MIB, least: 0, write: writeSize },
    { key: 'nodes', name: 'nodes', unit: 1, least: 1, write: String },
    { key: 'walltimeMs', name: 'walltime', unit: timeUnit, least: 1, write: writeDuration },
  ];
  return all.map((amount) => amountSetting(ask, amount));
}

const writeSize = (bytes: number): string => (bytes === 0 ? '0' : writeBytes(bytes));

function amountSetting(asked: Ask, { key, name, unit, least, write }: Amount): Setting {
  const valueAt = (level: number): number => (least + level) * unit;
  return {
    levels: Math.max(0, Math.ceil(asked.resources[key] / unit) - least),
    words: (level) => `with \`${name}: ${write(valueAt(level))}\``,
    lower: (ask, level) => {
      const resources = { ...ask.resources, [key]: valueAt(level) };
      // A model goes with GPUs.
      return { ...ask, resources: resources.gpus > 0 ? resources : { ...resources, gpuModel: '' } };
    },
  };
}

const licences = (asked: Ask): readonly Setting[] =>
  Object.entries(asked.resources.licences).map(([name, count]) => ({
    levels: count,
    words: (level) =>
      level === 0 ? `without licence \`${name}\`` : `with \`licences: {${name}: ${level}}\``,
    lower: (ask, level) => {
      const { [name]: _, ...others } = ask.resources.licences;
      const left = level === 0 ? others : { ...ask.resources.licences, [name]: level };
      return { ...ask, resources: { ...ask.resources, licences: left } };
    },
  }));

function withoutImage(ask: Ask): Ask {
  const { image: _, ...others } = ask;
  return others;
}

function omissions({
  resources,
  sandbox = 'account',
  modules = [],
  image,
  sites,
  excludeSites,
}: Ask): readonly Setting[] {
  const omission = (name: string, isAsked: boolean, lower: (ask: Ask) => Ask): Setting => ({
    levels: isAsked ? 1 : 0,
    words: () => `without \`${name}\``,
    lower,
  });
  return [
    omission('gpu-model', resources.gpuModel !== '', (ask) => ({
      ...ask,
      resources: { ...ask.resources, gpuModel: '' },
    })),
    omission('sandbox', sandbox !== 'account', (ask) => ({ ...ask, sandbox: 'account' })),
    omission('modules', modules.length > 0, (ask) => ({ ...ask, modules: [] })),
    omission('image', image !== undefined, withoutImage),
    omission('sites', sites.length > 0, (ask) => ({ ...ask, sites: [] })),
    omission('exclude-sites', excludeSites.length > 0, (ask) => ({ ...ask, excludeSites: [] })),
  ];
}

/** Requirements lose one of their terms, or all of them. */
function terms({ requirements }: Ask, rules: Rules): readonly Setting[] {
  if (requirements === '') return [];
  const single = rules
    .terms(requirements)
    .slice(0, MAX_TERMS)
    .map(
      (term): Setting => ({
        levels: 1,
        words: () => `without \`${term}\``,
        lower: (ask) => {
          const left = rules.terms(ask.requirements).filter((other) => other !== term);
          return { ...ask, requirements: left.join(' && ') };
        },
      }),
    );
  const whole: Setting = {
    levels: 1,
    words: () => 'without `requirements`',
    lower: (ask) => ({ ...ask, requirements: '' }),
    less: single,
  };
  return single.length > 1 ? [...single, whole] : [whole];
}
