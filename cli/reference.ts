import type { CommandSpec, OptionSpec } from './command.ts';
import { GLOBAL_OPTIONS } from './command.ts';
import { COMMANDS, describe, EXIT_CODES, NOUNS } from './program.ts';

/** docs/cli.md, from the table that `--help` is made from. */
export function cliReference(): string {
  const flat = COMMANDS.filter((spec) => !spec.path.includes(' '));
  const sections = [
    ...NOUNS.map(({ name, summary }) => ({
      title: `grid ${name}`,
      about: `${summary.charAt(0).toUpperCase()}${summary.slice(1)}.`,
      specs: COMMANDS.filter((spec) => isRightUnder(spec.path, name)),
    })).filter(({ specs }) => specs.length > 0),
    { title: 'Other commands', about: '', specs: flat },
  ];
  return (
    [
      '# The grid command',
      '<!-- Made by `npm run docs` from cli/commands/; do not edit. -->',
      'Every command answers on stdout and remarks on stderr. `grid COMMAND --help` shows what is below.',
      listing(COMMANDS),
      '## Options of every command',
      optionList(GLOBAL_OPTIONS),
      '## Settings',
      SETTINGS,
      ...sections.flatMap(({ title, about, specs }) => [
        `## ${title}`,
        ...(about === '' ? [] : [about]),
        ...specs.map(commandSection),
      ]),
      '## Exit codes',
      [
        '| code | meaning |',
        '|---|---|',
        ...EXIT_CODES.map(([code, meaning]) => `| ${code} | ${meaning} |`),
      ].join('\n'),
      'An error is one line `grid: CODE: message` on stderr, then its problems, then what to do; docs/errors.md lists the\ncodes. With `--json` it is one JSON object.',
    ].join('\n\n') + '\n'
  );
}

const SETTINGS = [
  'The command line wins over the environment, the environment over `config.yaml` in the home directory of the grid.',
  '',
  '| key in config.yaml | environment | default | what |',
  '|---|---|---|---|',
  '| | `HANSE_HOME` | `~/.hanse` | home directory: credentials, settings |',
  '| `broker` | `HANSE_BROKER` | | address of the broker, `host:port` |',
  '| `authority` | `HANSE_AUTHORITY` | | address of the certificate authority, `host:port` |',
  '| `trust` | `HANSE_TRUST` | `certificates` in the home directory | trust directory |',
  '| `vo` | `HANSE_VO` | your only one | VO to act under |',
  '| | `X509_USER_PROXY` | `proxy.pem` in the home directory | the proxy to show |',
  '| | `NO_COLOR`, `FORCE_COLOR` | | no colours, or colours into pipes too |',
].join('\n');

/** Whether a command stands under this noun and under no noun below it. */
const isRightUnder = (path: string, noun: string): boolean =>
  path.startsWith(`${noun} `) && !path.slice(noun.length + 1).includes(' ');

const nameOf = (spec: CommandSpec): string => `grid ${spec.alias ?? spec.path}`;

const listing = (specs: readonly CommandSpec[]): string =>
  [
    '| command | what |',
    '|---|---|',
    ...specs.map((spec) => `| \`${nameOf(spec)}\` | ${spec.summary} |`),
  ].join('\n');

function commandSection(spec: CommandSpec): string {
  const words = (spec.args ?? []).map(([syntax]) => syntax);
  const usage = [
    `grid ${spec.path}`,
    ...(spec.options === undefined ? [] : ['[options]']),
    ...words,
    ...(spec.takesCommand === true ? ['[-- COMMAND ARGS...]'] : []),
  ].join(' ');
  const also = spec.alias === undefined ? '' : ` (or \`grid ${spec.alias}\`)`;
  return [
    `### ${nameOf(spec)}`,
    `\`${usage}\`${also}`,
    describe(spec),
    ...(spec.args === undefined
      ? []
      : [spec.args.map(([syntax, about]) => `- \`${syntax}\`: ${about}`).join('\n')]),
    ...(spec.options === undefined ? [] : [optionList(spec.options)]),
    [
      '```sh',
      ...spec.examples.flatMap(([line, about]) => [`# ${about}`, `grid ${line}`]),
      '```',
    ].join('\n'),
  ].join('\n\n');
}

const optionList = (options: readonly OptionSpec[]): string =>
  ['| option | what |', '|---|---|', ...options.map(optionRow)].join('\n');

function optionRow({ flags, about, repeat, required, choices }: OptionSpec): string {
  const more = [
    ...(required === true ? ['required'] : []),
    ...(repeat === true ? ['may come several times'] : []),
    ...(choices === undefined
      ? []
      : [`one of ${choices.map((choice) => `\`${choice}\``).join(', ')}`]),
  ];
  const text = more.length === 0 ? about : `${about} (${more.join('; ')})`;
  return `| \`${flags}\` | ${text.replaceAll('|', '\\|')} |`;
}
