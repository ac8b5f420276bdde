import type { Terminal } from './context.ts';
import { printable } from './printable.ts';
import type { Edge } from './run-command.ts';

/** The way to the person, over what the process has of it; `quiet` keeps remarks and progress away. */
export function openTerminal(
  edge: Pick<
    Edge,
    'env' | 'stdout' | 'stderr' | 'writeBytes' | 'stderrIsTerminal' | 'columns' | 'readStdin'
  >,
  quiet: boolean,
): Terminal {
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
