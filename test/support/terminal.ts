import { spawn } from 'node:child_process';

/** A terminal at which something can be typed. */
export interface Terminal extends Disposable {
  /** Name below /dev/pts. */
  readonly name: string;
  /** Types as somebody at work does, until it is disposed of. */
  typing(): Disposable;
}

const TYPE_MS = 300;

/**
 * A terminal of its own, whose program reads what is typed: the kernel notes that, as it does of a shell. `before` are
 * words that go before the program.
 */
export async function openTerminal(before: readonly string[] = []): Promise<Terminal> {
  const words = [...before, 'script', '-qc', 'tty; exec cat >/dev/null', '/dev/null'];
  const child = spawn(words[0] ?? '', words.slice(1), { stdio: ['pipe', 'pipe', 'ignore'] });
  let said = '';
  for await (const chunk of child.stdout.setEncoding('utf8').iterator({ destroyOnReturn: false })) {
    said += String(chunk);
    if (/pts\/\d+\s/.test(said)) break;
  }
  child.stdout.resume();
  const name = /pts\/(\d+)\s/.exec(said)?.[1];
  if (name === undefined) throw new Error(`script said no terminal: ${said}`);
  return {
    name,
    typing: () => {
      const timer = setInterval(() => child.stdin.write('hello\n'), TYPE_MS);
      return { [Symbol.dispose]: () => clearInterval(timer) };
    },
    [Symbol.dispose]: () => {
      child.kill('SIGKILL');
    },
  };
}
