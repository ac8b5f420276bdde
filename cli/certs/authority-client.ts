import { GridError } from '../../core/errors.ts';
import type {
  CertAuthorityService,
  VoMembershipService,
} from '../../proto/gen/grid/v1/authority.ts';
import type { Connection } from '../../service/rpc/grpc-client.ts';
import { type Context, userCredentials } from '../context.ts';

/** A connection to `CertAuthority` as the user; dispose of it. */
export async function openCa(context: Context): Promise<Connection<CertAuthorityService>> {
  const { CertAuthorityService: service } = await import('../../proto/gen/grid/v1/authority.ts');
  return connect(context, service);
}

/** A connection to `VoMembership` as the user; dispose of it. */
export async function openVo(context: Context): Promise<Connection<VoMembershipService>> {
  const { VoMembershipService: service } = await import('../../proto/gen/grid/v1/authority.ts');
  return connect(context, service);
}

async function connect<D extends object>(context: Context, service: D): Promise<Connection<D>> {
  const settings = await context.settings();
  const address = namedAuthority(settings);
  const [{ openClient }, credentials] = await Promise.all([
    import('../../service/rpc/grpc-client.ts'),
    userCredentials(settings, context.env),
  ]);
  return openClient(service, 'authority', address, credentials);
}

/** The authority's address; throws NOT_CONFIGURED where nobody has named one. */
export function namedAuthority(settings: {
  readonly home: string;
  readonly authority: string | undefined;
}): string {
  if (settings.authority !== undefined) return settings.authority;
  throw new GridError(
    'NOT_CONFIGURED',
    `no authority is named: set HANSE_AUTHORITY or \`authority:\` in ${settings.home}/config.yaml`,
  );
}
