import { homedir } from 'node:os';
import { text } from 'node:stream/consumers';
import { isatty } from 'node:tty';
import { writeFailure } from '../service/staging/file-errors.ts';
import { readVersion } from '../service/version.ts';
import { describeFailure } from './errors.ts';
import { runCommand } from './run-command.ts';
import { columnsOf, mayDrawOver } from './terminal-width.ts';

/** What connections have to say goodbye. */
const LINGER_MS = 1_000;

const interrupt = new AbortController();
let codeOfSignal = 130;
for (const [signal, exit] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const) {
  process.on(signal, () => {
    // The first asks, the second insists: whoever presses Ctrl-C twice does not want to wait for a tidy end.
    if (interrupt.signal.aborted) process.exit(exit);
    codeOfSignal = exit;
    interrupt.abort();
  });
}
// `grid ls | head` closes the pipe early: that is no fault.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  const json = process.argv.includes('--json');
  const failure = describeFailure(writeFailure('stdout', error), {
    json,
    debug: false,
    red: String,
    dim: String,
  });
  process.stderr.write(`${failure.text}\n`, () => process.exit(failure.exit));
});
// What is remarked there is not what was asked for: the work goes on, and the exit code says how it ended.
process.stderr.on('error', () => undefined);

process.exitCode = await runCommand(process.argv.slice(2), {
  env: process.env,
  cwd: process.cwd(),
  userHome: homedir(),
  signal: interrupt.signal,
  codeOfSignal: () => codeOfSignal,
  version: readVersion(),
  stdout: (chunk) => process.stdout.write(chunk),
  stderr: (chunk) => process.stderr.write(chunk),
  writeBytes: (stream, bytes) =>
    new Promise((resolve) => {
      process[stream].write(bytes, () => resolve());
    }),
  readStdin: () => text(process.stdin),
  stdoutIsTerminal: isatty(1),
  stderrIsTerminal: mayDrawOver(isatty(2), process.stderr),
  columns: columnsOf([process.stdout, process.stderr]),
});

// What is in a pipe is for whoever reads it, in their own time.
await Promise.all(
  [process.stdout, process.stderr].map(
    (stream) => new Promise((resolve) => stream.write('', resolve)),
  ),
);
// All that is to be done is done: a handshake with a server that says nothing must not hold up the end for minutes.
setTimeout(() => process.exit(), LINGER_MS).unref();
