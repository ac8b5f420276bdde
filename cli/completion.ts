import type { Command } from 'commander';

import type { Context } from './context.ts';
import { argument, type Input } from './input.ts';

/** What can come after a path of command words. */
interface Place {
  readonly path: string;
  /** Other commands stand under it. */
  readonly isNoun: boolean;
  readonly words: readonly (readonly [word: string, about: string])[];
  readonly options: readonly (readonly [flag: string, about: string])[];
  /** Values of options that have a fixed set of them. */
  readonly choices: readonly (readonly [flag: string, values: readonly string[]])[];
}

/** `grid completion`. */
export async function printCompletion(
  context: Context,
  input: Input,
  program: Command,
): Promise<number> {
  const script = completionScript(argument(input, 0) === 'zsh' ? 'zsh' : 'bash', program);
  context.terminal.out(script.trimEnd());
  return 0;
}

/** A completion script made from the program itself: commands, options and their fixed values; files for the rest. */
export function completionScript(shell: 'bash' | 'zsh', program: Command): string {
  const places = placesOf(program, '');
  return shell === 'bash' ? bashScript(places) : zshScript(places);
}

function placesOf(command: Command, path: string): readonly Place[] {
  const below = [
    ...command.commands.map((child) => [child.name(), child.summary()] as const),
    ...(command.registeredArguments[0]?.argChoices ?? []).map((value) => [value, value] as const),
  ];
  const globals =
    command.parent === null
      ? []
      : rootOf(command).options.filter(({ long }) => long !== '--version');
  const options = [...command.options, ...globals];
  const choices = options.flatMap(({ argChoices, long, short }) =>
    argChoices === undefined
      ? []
      : [long, short].flatMap((flag) =>
          flag === undefined || flag === null ? [] : [[flag, argChoices] as const],
        ),
  );
  const here: Place = {
    path,
    isNoun: command.commands.length > 0,
    words: below,
    options: [
      ...options.flatMap(({ long, description }) =>
        long === undefined || long === null ? [] : [[long, description] as const],
      ),
      ['--help', 'show help'],
    ],
    choices,
  };
  return [
    here,
    ...command.commands.flatMap((child) => placesOf(child, `${path} ${child.name()}`.trim())),
  ];
}

const rootOf = (command: Command): Command =>
  command.parent === null ? command : rootOf(command.parent);

const quote = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;
/** Paths below which another command word is expected, as a pattern of `case`. */
const nounsOf = (places: readonly Place[]): string =>
  places
    .filter(({ path, isNoun }) => path !== '' && isNoun)
    .map(({ path }) => quote(path))
    .join('|');

function bashScript(places: readonly Place[]): string {
  const cases = places.map(({ path, words, options }) => {
    const wordList = words.map(([word]) => word).join(' ');
    const flags = options.map(([flag]) => flag).join(' ');
    return `    ${quote(path)}) words=${quote(wordList)} options=${quote(flags)} ;;`;
  });
  const values = places.flatMap(({ path, choices }) =>
    choices.map(
      ([flag, list]) =>
        `    ${quote(`${path} ${flag}`)}) COMPREPLY=($(compgen -W ${quote(list.join(' '))} -- "$cur")); return ;;`,
    ),
  );
  return `# bash completion for grid; made by \`grid completion bash\`
_grid() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]}
  local i word path='' words='' options=''
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=\${COMP_WORDS[i]}
    [[ $word == -- ]] && { COMPREPLY=($(compgen -f -- "$cur")); return; }
    [[ $word == -* ]] && continue
    case $path in
      '') path=$word ;;
      ${nounsOf(places)}|help) path="$path $word" ;;
      *) break ;;
    esac
  done
  case "$path $prev" in
${values.join('\n')}
  esac
  case $path in
${cases.join('\n')}
  esac
  if [[ $cur == -* ]]; then
    COMPREPLY=($(compgen -W "$options" -- "$cur"))
  elif [[ -n $words ]]; then
    COMPREPLY=($(compgen -W "$words" -- "$cur"))
  else
    COMPREPLY=($(compgen -f -- "$cur"))
  fi
}
complete -o filenames -o bashdefault -F _grid grid
`;
}

const described = (entries: Place['words']): string =>
  entries.map(([word, about]) => quote(`${word.replaceAll(':', '\\:')}:${about}`)).join(' ');

function zshScript(places: readonly Place[]): string {
  const cases = places.map(
    ({ path, words, options }) =>
      `    ${quote(path)}) commands=(${described(words)}); options=(${described(options)}) ;;`,
  );
  const values = places.flatMap(({ path, choices }) =>
    choices.map(
      ([flag, list]) =>
        `    ${quote(`${path} ${flag}`)}) compadd -- ${list.map(quote).join(' ')}; return ;;`,
    ),
  );
  return `#compdef grid
# zsh completion for grid; made by \`grid completion zsh\`
_grid() {
  local -a commands options
  local word place='' prev=$words[CURRENT-1]
  for word in "\${(@)words[2,CURRENT-1]}"; do
    [[ $word == -- ]] && { _files; return }
    [[ $word == -* ]] && continue
    case $place in
      '') place=$word ;;
      ${nounsOf(places)}|help) place="$place $word" ;;
      *) break ;;
    esac
  done
  case "$place $prev" in
${values.join('\n')}
  esac
  case $place in
${cases.join('\n')}
  esac
  if [[ $words[CURRENT] == -* ]]; then
    _describe -o option options
  elif (( $#commands )); then
    _describe command commands
  else
    _files
  fi
}
if [[ $funcstack[1] == _grid ]]; then _grid "$@"; else compdef _grid grid; fi
`;
}
