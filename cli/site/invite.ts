import { GridError } from '../../core/errors.ts';
import { isSiteId } from '../../core/ids.ts';
import { openCa } from '../certs/authority-client.ts';
import { brokerOf, type Context, userCredentials } from '../context.ts';
import { argument, type Input } from '../input.ts';
import { instantText } from '../render.ts';
import { formatSiteToken } from './token.ts';

const USUAL_PORT = 7460;

/**
 * `grid site invite`: makes a host token at the authority, tells the broker where the site will be, and prints both as
 * one token. Everything may be done again, for a token that has run out.
 */
export async function inviteSite(context: Context, input: Input): Promise<number> {
  const id = argument(input, 0);
  if (!isSiteId(id))
    throw new GridError('USAGE', `'${id.slice(0, 60)}' is no site id: a-z, 0-9 and inner hyphens`);
  const host = input.text('host') ?? '';
  const address = `${host}:${input.whole('port', 1, 65_535) ?? USUAL_PORT}`;
  using ca = await openCa(context);
  const { CertProfile } = await import('../../proto/gen/grid/v1/authority.ts');
  const { signal } = context;
  const { broker, brokerDn } = await meetBroker(context);
  const made = await ca.call.createToken(
    {
      profile: CertProfile.CERT_PROFILE_HOST,
      commonName: host,
      altNames: [...input.list('alt-name')],
      tokenLifetimeMs: input.lifetime('lifetime') ?? 0,
    },
    { signal },
  );
  using connection = await context.openBroker();
  await connection.call.enrolSite({ id, address, dn: made.dn }, { signal });
  const token = formatSiteToken({ site: id, enrolment: made.token, broker, brokerDn, address });
  const { expiresAtMs } = made;
  if (context.json) {
    context.terminal.out(JSON.stringify({ site: id, address, dn: made.dn, expiresAtMs, token }));
    return 0;
  }
  context.terminal.note(`on ${host}, once, until ${instantText(expiresAtMs)}:`);
  context.terminal.out(`grid site enrol ${token}`);
  return 0;
}

/** The broker's address and the subject of the certificate that it showed. */
async function meetBroker(context: Context): Promise<{ broker: string; brokerDn: string }> {
  const settings = await context.settings();
  const broker = brokerOf(settings);
  const [{ openClient }, { readCertificate }, { BrokerService }, credentials] = await Promise.all([
    import('../../service/rpc/grpc-client.ts'),
    import('../../service/pki/x509.ts'),
    import('../../proto/gen/grid/v1/broker.ts'),
    userCredentials(settings, context.env),
  ]);
  let brokerDn = '';
  using connection = openClient(BrokerService, 'broker', broker, {
    ...credentials,
    checkServer: (certificate) => {
      brokerDn = readCertificate(certificate).subject;
      return undefined;
    },
  });
  const { isAdmin, caller } = await connection.call.whoAmI({}, { signal: context.signal });
  if (!isAdmin)
    throw new GridError('PERMISSION_DENIED', `${caller?.dn ?? ''} does not administer this grid`);
  return { broker, brokerDn };
}
