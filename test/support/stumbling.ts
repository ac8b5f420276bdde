import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * `keep-the-answer` lets the command do its work and says nothing of it; `lose` does neither. So do `nothing`, `cut` (all but
 * the end of the answer), `wrong` (what `BIN/COMMAND.wrong` holds), `babble` and `killed` without waiting; `words` are of another language, and no work
 * was done. `slow` takes nine seconds, and is right.
 */
export type Stumble =
  | ('not' | 'lose' | 'hang' | 'garbage' | 'half' | 'keep-the-answer')
  | ('nothing' | 'cut' | 'wrong' | 'babble' | 'killed' | 'words' | 'slow');

/** Commands of a batch system, which may be told to stumble, but for questions that submit nothing. */
export interface Stumbling {
  /** Directory of the commands. */
  readonly bin: string;
  readonly stumble: (command: string, how: Stumble) => void;
  /** The same for one account alone. */
  readonly stumbleFor: (uid: number, command: string, how: Stumble) => void;
  /** Its calls, a line of arguments each. */
  readonly callsOf: (command: string) => readonly string[];
}

/** Stands in front of the commands that are on `path`. */
export function makeStumbling(bin: string, commands: readonly string[], path: string): Stumbling {
  const stumble: Stumbling['stumble'] = (command, how) =>
    writeFileSync(join(bin, `${command}.how`), how);
  const stumbleFor: Stumbling['stumbleFor'] = (uid, command, how) =>
    writeFileSync(join(bin, `${command}.how-${uid}`), how);
  mkdirSync(bin);
  for (const command of commands) {
    const file = join(bin, command);
    writeFileSync(file, scriptOf(command, file, path));
    chmodSync(file, 0o755);
    writeFileSync(`${file}.calls`, '');
    // Whoever calls it.
    chmodSync(`${file}.calls`, 0o666);
    stumble(command, 'not');
  }
  const callsOf = (command: string): readonly string[] =>
    readFileSync(join(bin, `${command}.calls`), 'utf8')
      .split('\n')
      .slice(0, -1);
  return { bin, stumble, stumbleFor, callsOf };
}

const scriptOf = (command: string, file: string, path: string): string => `#!/bin/sh
PATH='${path}'
case "$1" in --test-only) exec ${command} "$@" ;; esac
echo "$@" >>${file}.calls
how=${file}.how
[ ! -e "$how-$(id -u)" ] || how=$how-$(id -u)
case $(cat "$how") in
  nothing) ${command} "$@" >/dev/null ;;
  cut) answer=$(${command} "$@"); printf %s "\${answer%?}" ;;
  wrong) ${command} "$@" >/dev/null; cat ${file}.wrong ;;
  babble) ${command} "$@" >/dev/null; echo 'Auftrag 12 wurde übermittelt'; echo 'Hinweis: läuft bald' >&2 ;;
  killed) ${command} "$@"; kill -KILL $$ ;;
  words) echo '${command}: Der Auftrag wurde nicht angenommen' >&2; exit 1 ;;
  lose) while [ "$(cat "$how")" = lose ]; do sleep 0.1; done; exit 1 ;;
  hang) exec sleep 60 ;;
  slow) sleep 9; exec ${command} "$@" ;;
  garbage) echo '<h1>502 Bad Gateway</h1>' ;;
  half) ${command} "$@" | head -c 20 ;;
  keep-the-answer)
    answer=$(${command} "$@")
    while [ "$(cat "$how")" = keep-the-answer ]; do sleep 0.1; done ;;
  *) exec ${command} "$@" ;;
esac
`;
