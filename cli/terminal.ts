import type { Env } from './config.ts';
import type { Terminal } from './context.ts';
import { printable } from './printable.ts';

/** What a process has of its person. */
export interface Streams {
  readonly env: Env;
  readonly stdout: (text: string) => void;
  readonly stderr: (text: string) => void;
  readonly writeBytes: Terminal['write'];
  readonly readStdin: () => Promise<string>;
  readonly stderrIsTerminal: boolean;
  readonly columns: number;
}

/** The way to the person, over what the process has of it; `quiet` keeps remarks and progress away. */
export function openTerminal(edge: Streams, quiet: boolean): Terminal {
  let hide = (): void => undefined;
  return {
    out: (text) => {
      hide();
      edge.stdout(`${printable(text)}\n`);
    },
    write: (stream, bytes) => {
      hide();
      return edge.writeBytes(stream, bytes);
    },
    note: (text) => {
      if (quiet) return;
      hide();
      edge.stderr(`${printable(text)}\n`);
    },
    drawn: (way) => {
      hide = way;
    },
    columns: edge.columns,
    showsProgress: edge.stderrIsTerminal && !quiet && edge.env['TERM'] !== 'dumb',
    readStdin: edge.readStdin,
  };
}
