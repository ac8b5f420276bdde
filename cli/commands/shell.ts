import type { CommandSpec } from '../command.ts';

/** About the CLI itself. */
export const SHELL_COMMANDS: readonly CommandSpec[] = [
  {
    path: 'completion',
    summary: 'print a completion script for the shell',
    args: [['<shell>', 'bash or zsh', ['bash', 'zsh']]],
    examples: [
      ['completion bash > ~/.local/share/bash-completion/completions/grid', 'for bash, once'],
      ['completion zsh > "${fpath[1]}/_grid"', 'for zsh, once'],
    ],
    run: async (context, input, program) =>
      (await import('../completion.ts')).printCompletion(context, input, program),
  },
];
