import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** What a command of a batch system once said. */
export interface Said {
  readonly stdout?: string;
  readonly stderr?: string;
  readonly exitCode?: number;
}

/** Commands that say again what those of a batch system said, and note the words that they were given. */
export interface SaidCommands extends Disposable {
  /** For PATH. */
  readonly bin: string;
  say(command: string, said: Said): void;
  /** Arguments of every call. */
  callsOf(command: string): readonly (readonly string[])[];
}

const SCRIPT = `#!/bin/sh
for word; do printf '%s\\0' "$word"; done >>"$0.calls"
printf '\\001' >>"$0.calls"
/bin/cat "$0.stdout"
/bin/cat "$0.stderr" >&2
read -r code <"$0.code"
exit "$code"
`;

export function openSaidCommands(): SaidCommands {
  const bin = mkdtempSync(join(tmpdir(), 'hanse-said-'));
  return {
    bin,
    say: (command, { stdout = '', stderr = '', exitCode = 0 }) => {
      const file = join(bin, command);
      writeFileSync(`${file}.stdout`, stdout);
      writeFileSync(`${file}.stderr`, stderr);
      writeFileSync(`${file}.code`, `${exitCode}\n`);
      if (existsSync(file)) return;
      writeFileSync(file, SCRIPT);
      chmodSync(file, 0o755);
    },
    callsOf: (command) =>
      readFileSync(join(bin, `${command}.calls`), 'utf8')
        .split('\u0001')
        .slice(0, -1)
        .map((call) => call.split('\0').slice(0, -1)),
    [Symbol.dispose]: () => rmSync(bin, { recursive: true, force: true, maxRetries: 5 }),
  };
}
