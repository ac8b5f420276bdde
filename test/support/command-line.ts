import { runCommand } from '../../cli/run-command.ts';

/** Runs a command line in this process, in `cwd` and with nothing configured. */
export async function commandLine(argv: readonly string[], cwd = '/') {
  const shown = { stdout: '', stderr: '' };
  const code = await runCommand(argv, {
    env: {},
    cwd,
    userHome: cwd,
    signal: new AbortController().signal,
    version: '1',
    stdout: (text) => {
      shown.stdout += text;
    },
    stderr: (text) => {
      shown.stderr += text;
    },
    writeBytes: () => Promise.resolve(),
    readStdin: () => Promise.resolve(''),
    codeOfSignal: () => 130,
    stdoutIsTerminal: false,
    stderrIsTerminal: false,
    columns: 80,
  });
  return { code, ...shown };
}
