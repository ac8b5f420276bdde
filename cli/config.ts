import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';

/** The environment as `main.ts` read it. */
export type Env = Readonly<Record<string, string | undefined>>;

/** What the CLI knows of its grid: command line over environment over `config.yaml` over defaults. */
export interface Settings {
  /** Directory of the user's credentials and settings. */
  readonly home: string;
  /** `host:port`; undefined where nobody has said. */
  readonly broker: string | undefined;
  readonly authority: string | undefined;
  /** Trust directory in the layout of Globus. */
  readonly trust: string;
  readonly vo: string | undefined;
}

/** Reads `$HANSE_HOME/config.yaml` if it is there; throws CONFIG_INVALID with every fault at its line. */
export async function loadSettings(
  env: Env,
  userHome: string,
  flags: { readonly broker: string | undefined },
): Promise<Settings> {
  const home = homeOf(env, userHome);
  const file = join(home, 'config.yaml');
  const written = existsSync(file) ? await readSettingsFile(file) : {};
  return {
    home,
    broker: flags.broker ?? given(env, 'HANSE_BROKER') ?? written.broker,
    authority: given(env, 'HANSE_AUTHORITY') ?? written.authority,
    trust: resolve(given(env, 'HANSE_TRUST') ?? written.trust ?? join(home, 'certificates')),
    vo: given(env, 'HANSE_VO') ?? written.vo,
  };
}

/** Directory of the user's credentials and settings. */
export const homeOf = (env: Env, userHome: string): string =>
  given(env, 'HANSE_HOME') ?? join(userHome, '.hanse');

/** A variable that is empty says nothing. */
const given = (env: Env, name: string): string | undefined => env[name] || undefined;

interface SettingsFile {
  readonly broker?: string | undefined;
  readonly authority?: string | undefined;
  readonly trust?: string | undefined;
  readonly vo?: string | undefined;
}

async function readSettingsFile(file: string): Promise<SettingsFile> {
  const [z, { filePath, loadConfig }] = await Promise.all([
    import('zod'),
    import('../service/config.ts'),
  ]);
  const address = z
    .string()
    .regex(/^.+:\d{1,5}$/, 'must be host:port, for instance localhost:7450');
  const schema = z.strictObject({
    broker: address.optional().describe('address of the broker, host:port'),
    authority: address.optional().describe('address of the authority, host:port'),
    trust: filePath().optional().describe('trust directory'),
    vo: z.string().optional().describe('VO to act under'),
  });
  return loadConfig(schema, file).config;
}
