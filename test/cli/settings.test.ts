import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import { loadSettings } from '../../cli/config.ts';
import { type Edge, runCommand } from '../../cli/run-command.ts';
import { readTrust } from '../../service/trust/read-trust.ts';
import { testDirs } from '../support/test-dirs.ts';

const directory = testDirs('settings');
const NO_FLAGS = { broker: undefined };

describe('settings', () => {
  test('are where the home directory is, without any file', async () => {
    expect(await loadSettings({}, '/home/a', NO_FLAGS)).toEqual({
      home: '/home/a/.hanse',
      broker: undefined,
      authority: undefined,
      trust: '/home/a/.hanse/certificates',
      vo: undefined,
    });
  });

  test('come from the command line, then the environment, then the file', async () => {
    const home = directory();
    writeFileSync(
      join(home, 'config.yaml'),
      'broker: file:1\nauthority: file:2\ntrust: t\nvo: filed\n',
    );
    const env = { HANSE_HOME: home, HANSE_AUTHORITY: 'env:2', HANSE_BROKER: 'env:1' };
    expect(await loadSettings(env, '/home/a', { broker: 'flag:1' })).toEqual({
      home,
      broker: 'flag:1',
      authority: 'env:2',
      trust: join(home, 't'),
      vo: 'filed',
    });
  });

  test('of an empty variable are as if it were not there', async () => {
    const names = ['HANSE_HOME', 'HANSE_BROKER', 'HANSE_AUTHORITY', 'HANSE_TRUST', 'HANSE_VO'];
    const env = Object.fromEntries(names.map((name) => [name, '']));
    expect(await loadSettings(env, '/home/a', NO_FLAGS)).toEqual(
      await loadSettings({}, '/home/a', NO_FLAGS),
    );
  });

  test('of a wrong file are refused with their lines', async () => {
    const home = directory();
    writeFileSync(join(home, 'config.yaml'), 'broker: nowhere\nbrokr: x:1\n');
    await expect(loadSettings({ HANSE_HOME: home }, '/', NO_FLAGS)).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      problems: expect.arrayContaining([
        {
          where: `${join(home, 'config.yaml')}:1`,
          message: expect.stringContaining('must be host:port'),
        },
      ]),
    });
  });
});

describe('the trust directory', () => {
  const PEM = (label: string): string => `-----BEGIN ${label}-----\nAAAA\n-----END ${label}-----`;

  test('gives certificates and lists, PEM or DER, and nothing else', () => {
    const dir = directory();
    writeFileSync(join(dir, '0a1b2c3d.0'), PEM('CERTIFICATE'));
    writeFileSync(join(dir, '0a1b2c3d.r0'), Buffer.from([0x30, 0, 0]));
    writeFileSync(join(dir, '0a1b2c3d.signing_policy'), 'access_id_CA');
    expect(readTrust(dir)).toEqual({
      caPem: `${PEM('CERTIFICATE')}\n`,
      crlPem: '-----BEGIN X509 CRL-----\nMAAA\n-----END X509 CRL-----\n',
    });
  });

  test('without a revocation list is refused: a revoked service would pass unseen', () => {
    const dir = directory();
    writeFileSync(join(dir, '0a1b2c3d.0'), PEM('CERTIFICATE'));
    expect(() => readTrust(dir)).toThrow(expect.objectContaining({ code: 'TRUST_MISSING' }));
  });

  test('without an authority, or without being there, is refused', () => {
    const dir = directory();
    expect(() => readTrust(dir)).toThrow(`trust directory ${dir} holds no authority`);
    expect(() => readTrust(join(dir, 'x'))).toThrow(
      expect.objectContaining({ code: 'TRUST_MISSING' }),
    );
  });
});

describe('a command line that fails', () => {
  /** Runs it in an empty home and gives what came out. */
  const ran = (...argv: readonly string[]) => ranIn(directory(), ...argv);

  async function ranIn(userHome: string, ...argv: readonly string[]) {
    const out: string[] = [];
    const err: string[] = [];
    const edge: Edge = {
      env: {},
      cwd: '/',
      userHome,
      signal: new AbortController().signal,
      version: '1.2.3',
      stdout: (text) => out.push(text),
      stderr: (text) => err.push(text),
      writeBytes: async () => undefined,
      readStdin: async () => '',
      codeOfSignal: () => 130,
      stdoutIsTerminal: false,
      stderrIsTerminal: false,
      columns: 100,
    };
    return { code: await runCommand(argv, edge), out: out.join(''), err: err.join('') };
  }

  test.for<[readonly string[], number, string]>([
    [['sumbit'], 2, "grid: USAGE: unknown command 'sumbit' (Did you mean submit?)"],
    [['ls', '--stat'], 2, "grid: USAGE: unknown option '--stat' (Did you mean --state?)"],
    [['status'], 2, "grid: USAGE: missing required argument 'id'"],
    [['job'], 2, 'grid: USAGE: a command is missing'],
    [['ls', '--', 'x'], 2, 'grid: USAGE: `grid job ls` takes nothing after `--`'],
    [['submit'], 2, 'grid: USAGE: name a job file, or give a command after `--`'],
    [['submit', 'nothing.yaml'], 2, 'grid: INPUT_MISSING: cannot read the job file'],
    [['ls'], 2, 'grid: NOT_CONFIGURED: no broker is named in'],
    [
      ['submit', '--dry-run', '--cpus', '0', '--', 'x'],
      2,
      '--cpus must be a whole number, at least 1',
    ],
  ])('grid %j ends with %i', async ([argv, code, words]) => {
    const { code: ended, out, err } = await ran(...argv);
    expect([ended, out]).toEqual([code, '']);
    expect(err).toContain(words);
  });

  test('without a command below a noun names the help of that noun', async () => {
    const { err } = await ran('data');
    expect(err).toContain('-> see `grid data --help`');
    expect(JSON.parse((await ran('data', '--json')).err)).toMatchObject({
      error: { code: 'USAGE', remedy: 'see `grid data --help`' },
    });
  });

  test('takes no option of a command behind `--` for its own', async () => {
    const { err } = await ran('submit', '--bogus', '--', 'tool', '--json', '--debug');
    expect(err).toBe("grid: USAGE: unknown option '--bogus'\n  -> see `grid submit --help`\n");
  });

  test('without a broker it names the grid that was made on this machine', async () => {
    const home = directory();
    const local = join(home, '.hanse', 'grid', 'user');
    mkdirSync(local, { recursive: true });
    const { err } = await ranIn(home, 'ls');
    expect(err).toContain(`for the grid on this machine: export HANSE_HOME='${local}'`);
  });

  test('says it once, in JSON too, however many words the command has', async () => {
    const beside = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
    const { err } = await ran('site', 'cache', 'ls', '--json');
    expect(JSON.parse(err)).toMatchObject({ error: { code: 'USAGE' } });
    expect(beside).not.toHaveBeenCalled();
    beside.mockRestore();
  });

  test('a dry run needs no broker: the job is shown, and that nobody was asked', async () => {
    const { code, out, err } = await ran('submit', '--dry-run', '--', 'true');
    expect([code, out]).toEqual([0, expect.stringContaining('cpus: 1\n')]);
    expect(err).toContain('the sites were not asked: no broker is named in');
  });

  test('says so in JSON with --json', async () => {
    const { err } = await ran('ls', '--json');
    expect(JSON.parse(err)).toMatchObject({ error: { code: 'NOT_CONFIGURED', exit: 2 } });
  });

  test('help and version go to stdout and are no failure', async () => {
    expect(await ran('--version')).toEqual({ code: 0, out: '1.2.3\n', err: '' });
    const help = await ran('help', 'submit');
    expect([help.code, help.err]).toEqual([0, '']);
    expect(help.out).toContain('grid submit -- echo hello');
  });
});
