import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeOfflineToken } from '../../cert-authority/main.ts';
import { runCommand } from '../../cli/run-command.ts';
import { type LiveAuthority, liveAuthority } from '../fakes/live-authority.ts';

/** What a command line came to. */
interface Ran {
  readonly exit: number;
  readonly out: string;
  readonly err: string;
}

/** What is of interest in the JSON of several commands. */
interface Answer {
  readonly dn: string;
  readonly token: string;
  readonly serial: string;
  readonly fqans: readonly string[];
  readonly expiresAtMs: number;
  readonly healthy: boolean;
  readonly findings: readonly { readonly check: string; readonly verdict: string }[];
}

/** A live authority, and people with the CLI. */
export interface AuthorityCli extends AsyncDisposable {
  readonly authority: LiveAuthority;
  /** Directory of the test. */
  readonly root: string;
  /** HANSE_HOME of the administrator, who has a certificate. */
  readonly home: string;
  /** One command line as the program runs it, of the person whose files are in `as` (the administrator's). */
  readonly grid: (argv: readonly string[], as?: string, stdin?: string) => Promise<Ran>;
  /** The same with `--json`. */
  readonly json: (argv: readonly string[], as?: string) => Promise<Answer>;
  /** HANSE_HOME of a person who has just got a certificate. */
  readonly newcomer: (name: string) => Promise<string>;
}

export async function authorityCli(): Promise<AuthorityCli> {
  const authority = await liveAuthority();
  const root = mkdtempSync(join(tmpdir(), 'cli-ca-'));
  const home = join(root, 'ada');
  const grid: AuthorityCli['grid'] = (argv, as = home, stdin = '') => run(argv, root, as, stdin);
  const request = async (token: string, as: string): Promise<void> => {
    const { exit, err } = await grid(['cert', 'request', '--token', '-'], as, `${token}\n`);
    if (exit !== 0) throw new Error(err);
  };
  await request(authority.made.adminToken?.token ?? '', home);
  return {
    authority,
    root,
    home,
    grid,
    json: async (argv, as = home) => {
      const answer: Answer = JSON.parse((await grid([...argv, '--json'], as)).out);
      return answer;
    },
    newcomer: async (name) => {
      const dir = join(root, name.toLowerCase().replaceAll(' ', '-'));
      const wanted = { profile: 'user', commonName: name, altNames: [] } as const;
      const { token } = await makeOfflineToken(authority.dir, wanted);
      await request(token, dir);
      return dir;
    },
    [Symbol.asyncDispose]: async () => {
      await authority[Symbol.asyncDispose]();
      rmSync(root, { recursive: true });
    },
  };
}

async function run(
  argv: readonly string[],
  cwd: string,
  home: string,
  stdin: string,
): Promise<Ran> {
  const out: string[] = [];
  const err: string[] = [];
  const exit = await runCommand(argv, {
    env: { HANSE_HOME: home },
    cwd,
    userHome: home,
    signal: new AbortController().signal,
    version: 'test',
    stdout: (text) => out.push(text),
    stderr: (text) => err.push(text),
    writeBytes: () => Promise.resolve(),
    readStdin: () => Promise.resolve(stdin),
    codeOfSignal: () => 130,
    stdoutIsTerminal: false,
    stderrIsTerminal: false,
    columns: 120,
  });
  return { exit, out: out.join(''), err: err.join('') };
}
