import { GridError } from '../core/errors.ts';
import { type Dn, voName } from '../core/ids.ts';
import type { Peer } from '../core/vo/caller.ts';
import { fqansToSign } from '../core/vo/membership.ts';
import type {
  SignAttributesRequest,
  SignAttributesResponse,
  VoMembershipService,
} from '../proto/gen/grid/v1/authority.ts';
import { makeAttributeCertificate } from '../service/pki/attribute-cert.ts';
import { readCertificate } from '../service/pki/x509.ts';
import type { Handlers } from '../service/rpc/rpc.ts';
import { type Authority, requireAdmin, requireFull } from './authority.ts';
import { peerOf } from './rpc.ts';
import { signerOf } from './signers.ts';
import {
  addMember,
  allVos,
  createVo,
  findMember,
  type Member,
  manages,
  membersOf,
  removeMember,
} from './vo.ts';

const HOUR_MS = 3_600_000;
const DEFAULT_LIFETIME_MS = 12 * HOUR_MS;
const MAX_LIFETIME_MS = 24 * HOUR_MS;

/** Handlers of `VoMembership`. */
export function voMembershipHandlers(authority: Authority): Handlers<VoMembershipService> {
  return {
    createVo: async ({ vo }, context) => {
      const { dn } = requireAdmin(authority, peerOf(context));
      return { vo, lsc: await createVo(authority, vo, dn) };
    },
    listVos: async (_request, context) => {
      const { dn } = peerOf(context);
      const vos = await allVos(authority);
      return {
        vos: vos.map(({ name, members, lsc }) => ({
          vo: name,
          lsc,
          members: members.length,
          fqans: [...(members.find((member) => member.dn === dn)?.fqans ?? [])],
        })),
      };
    },
    addMember: async ({ vo, dn, fqans }, context) => {
      const by = await requireManager(authority, vo, peerOf(context));
      return { member: memberToWire(await addMember(authority, { vo, dn, fqans, by })) };
    },
    removeMember: async ({ vo, dn }, context) => {
      const by = await requireManager(authority, vo, peerOf(context));
      await removeMember(authority, { vo, dn, by });
      return {};
    },
    listMembers: async ({ vo }, context) => {
      const peer = requireFull(peerOf(context));
      const members = await membersOf(authority, vo);
      if (!authority.admins.has(peer.dn) && !members.some(({ dn }) => dn === peer.dn)) {
        throw new GridError('VO_DENIED', `'${peer.dn}' is no member of '${vo}'`);
      }
      return { members: members.map(memberToWire) };
    },
    signAttributes: async (request, context) =>
      signAttributes(authority, request, requireFull(peerOf(context))),
  };
}

/** Managers of the VO, and administrators of the authority for a VO whose managers have gone. */
async function requireManager(authority: Authority, vo: string, peer: Peer): Promise<Dn> {
  requireFull(peer);
  if (await manages(authority, vo, peer.dn)) return peer.dn;
  if (authority.admins.has(peer.dn)) return peer.dn;
  throw new GridError('PERMISSION_DENIED', `'${peer.dn}' is no manager of '${vo}'`);
}

async function signAttributes(
  authority: Authority,
  request: SignAttributesRequest,
  peer: Peer,
): Promise<SignAttributesResponse> {
  const member = await findMember(authority, request.vo, peer.dn);
  if (member === undefined) {
    throw new GridError('VO_DENIED', `'${peer.dn}' is no member of '${request.vo}'`);
  }
  const vo = voName(request.vo);
  const fqans = fqansToSign(vo, member.fqans, request.fqans);
  const holder = readCertificate(peer.endEntityDer);
  const signer = await signerOf(authority, vo);
  const lifetimeMs = request.lifetimeMs > 0 ? request.lifetimeMs : DEFAULT_LIFETIME_MS;
  const nowMs = authority.clock.nowMs();
  const notAfterMs = Math.min(
    nowMs + Math.min(lifetimeMs, MAX_LIFETIME_MS),
    holder.notAfterMs,
    signer.certificate.notAfterMs,
  );
  const attributeCertificate = makeAttributeCertificate({
    nowMs,
    notAfterMs,
    fqans,
    vo,
    holder,
    signer,
    address: authority.address,
  });
  return {
    attributeCertificate: Buffer.from(attributeCertificate),
    fqans: [...fqans],
    expiresAtMs: notAfterMs,
  };
}

const memberToWire = (member: Member) => ({ ...member, fqans: [...member.fqans] });
