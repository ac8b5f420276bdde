import ora from 'ora';
import { formatDuration } from '../../core/units.ts';
import type { Context } from '../context.ts';
import { palette } from '../palette.ts';
import { shorten } from '../render.ts';

/** Shows what is being done, one line a step: a spinner on a terminal, plain lines elsewhere, nothing with --quiet. */
export interface Steps {
  /** Shows `title` until `work` ends; `say` replaces the words behind it. */
  run<T>(title: string, work: (say: (detail: string) => void) => Promise<T>): Promise<T>;
}

export function openSteps(context: Context): Steps {
  // They go to stderr, which may be a terminal when stdout is none.
  const marks = palette(context.terminal.showsProgress && context.env['NO_COLOR'] === undefined);
  return {
    run: async (title, work) => {
      const startedMs = performance.now();
      const spinner = ora({
        text: title,
        isSilent: context.quiet,
        isEnabled: context.terminal.showsProgress,
        discardStdin: false,
        hideCursor: true,
      });
      let detail = '';
      const words = (): string => (detail === '' ? title : `${title}: ${detail}`);
      if (context.terminal.showsProgress) spinner.start();
      try {
        const result = await work((text) => {
          detail = text;
          // A spinner of two lines leaves its first one behind on some terminals.
          spinner.text = shorten(words(), Math.max(20, context.terminal.columns - 4));
        });
        const took = formatDuration(performance.now() - startedMs);
        const text = `${words()} ${marks.dim(`(${took})`)}`;
        spinner.stopAndPersist({ symbol: marks.good('✔'), text });
        return result;
      } catch (error) {
        // What a person does not wait for has not failed.
        const symbol = context.signal.aborted ? marks.dim('–') : marks.bad('✖');
        spinner.stopAndPersist({ symbol, text: words() });
        throw error;
      }
    },
  };
}
