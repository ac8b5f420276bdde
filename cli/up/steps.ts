import ora from 'ora';
import { formatDuration } from '../../core/units.ts';
import type { Context } from '../context.ts';

/** Shows what is being done, one line a step: a spinner on a terminal, plain lines elsewhere, nothing with --quiet. */
export interface Steps {
  /** Shows `title` until `work` ends; `say` replaces the words behind it. */
  run<T>(title: string, work: (say: (detail: string) => void) => Promise<T>): Promise<T>;
}

export function openSteps(context: Context): Steps {
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
          spinner.text = words();
        });
        const took = formatDuration(performance.now() - startedMs);
        spinner.succeed(`${words()} ${context.colours.dim(`(${took})`)}`);
        return result;
      } catch (error) {
        spinner.fail(words());
        throw error;
      }
    },
  };
}
