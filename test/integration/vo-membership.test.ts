import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Peer } from '../../core/vo/caller.ts';
import { formatFqan } from '../../core/vo/fqan.ts';
import { systemClock } from '../../service/clock.ts';
import { openLog } from '../../service/log.ts';
import { makeProxy } from '../../service/pki/proxy-cert.ts';
import { certificatesFromPem } from '../../service/pki/x509.ts';
import { openAuthenticator } from '../../service/trust/authenticator.ts';
import { TrustStore } from '../../service/trust/trust-store.ts';
import {
  ADMIN,
  AUTHORITY_BASE,
  type Credential,
  type LiveAuthority,
  liveAuthority,
} from '../fakes/live-authority.ts';

const HOUR_MS = 3_600_000;
const dnOf = (name: string): string => `${AUTHORITY_BASE}/OU=People/CN=${name}`;

let authority: LiveAuthority;
let admin: Credential;
let grace: Credential;
let mallory: Credential;
beforeAll(async () => {
  authority = await liveAuthority();
  admin = await authority.enrol(ADMIN);
  grace = await authority.enrol('Grace Hopper');
  mallory = await authority.enrol('Mallory');
  using vo = authority.vo(admin);
  await vo.call.createVo({ vo: 'demo' });
  await vo.call.addMember({ vo: 'demo', dn: dnOf('Grace Hopper'), fqans: ['/demo/imaging'] });
});
afterAll(() => authority[Symbol.asyncDispose]());

const ask = { vo: 'demo', fqans: [], lifetimeMs: 0 };

/** What a broker makes of a proxy that carries these attributes. */
async function judged(own: Credential, attributes: readonly Uint8Array[]): Promise<Peer> {
  const proxy = await makeProxy({
    ...own,
    lifetimeMs: HOUR_MS,
    nowMs: Date.now(),
    kind: 'full',
    keyKind: 'ec',
    attributeCertificates: attributes,
  });
  const around = { clock: systemClock, log: openLog('test', 'silent') };
  using trust = TrustStore.open({
    ...around,
    dir: authority.made.trust,
    crl: 'require',
    reloadMs: 0,
  });
  const authenticator = openAuthenticator({
    trust,
    vomsDir: authority.made.vomsdir,
    clock: systemClock,
  });
  return authenticator.authenticate(certificatesFromPem(proxy.chainPem).map(({ der }) => der));
}

describe('a VO', () => {
  test('is made by administrators, once, under a name that is one', async () => {
    using user = authority.vo(grace);
    await expect(user.call.createVo({ vo: 'mine' })).rejects.toThrow('no administrator');
    using vo = authority.vo(admin);
    await expect(vo.call.createVo({ vo: 'demo' })).rejects.toMatchObject({
      code: 'ALREADY_EXISTS',
    });
    const odd = vo.call.createVo({ vo: '../etc' });
    await expect(odd).rejects.toMatchObject({ code: 'REQUEST_INVALID' });
  });

  test('publishes who signs for it, for those beside it and those afar', async () => {
    const file = join(authority.made.vomsdir, 'demo', 'localhost.lsc');
    const lsc = `${AUTHORITY_BASE}/OU=Hosts/CN=vo-signer.demo\n${authority.made.dn}\n`;
    expect(readFileSync(file, 'utf8')).toBe(lsc);
    using client = authority.ca();
    const { vos } = await client.call.getTrust({});
    expect(vos).toContainEqual({ vo: 'demo', host: 'localhost', lsc });
  });

  test('shows everybody what there is, and each what they are in it', async () => {
    using member = authority.vo(grace);
    using stranger = authority.vo(mallory);
    const { vos: seen } = await member.call.listVos({});
    expect(seen).toMatchObject([{ vo: 'demo', members: 2, fqans: ['/demo', '/demo/imaging'] }]);
    const { vos: strange } = await stranger.call.listVos({});
    expect(strange).toMatchObject([{ vo: 'demo', fqans: [] }]);
  });
});

describe('members', () => {
  test('are changed by managers only, and seen by members only', async () => {
    const change = { vo: 'demo', dn: dnOf('Mallory'), fqans: ['/demo/Role=manager'] };
    using member = authority.vo(grace);
    using stranger = authority.vo(mallory);
    const refused = { code: 'PERMISSION_DENIED' };
    await expect(member.call.addMember(change)).rejects.toMatchObject(refused);
    await expect(stranger.call.addMember(change)).rejects.toMatchObject(refused);
    await expect(member.call.removeMember(change)).rejects.toMatchObject(refused);
    await expect(stranger.call.listMembers({ vo: 'demo' })).rejects.toMatchObject({
      code: 'VO_DENIED',
    });
    const { members } = await member.call.listMembers({ vo: 'demo' });
    expect(members.map(({ dn }) => dn)).toEqual([dnOf(ADMIN), dnOf('Grace Hopper')]);
  });

  test('a manager may be replaced, but not go missing', async () => {
    using vo = authority.vo(admin);
    const own = { vo: 'demo', dn: dnOf(ADMIN) };
    await expect(vo.call.removeMember(own)).rejects.toThrow('without a manager');
    await expect(vo.call.addMember({ ...own, fqans: [] })).rejects.toThrow('without a manager');
    await vo.call.createVo({ vo: 'handover' });
    const heir = { vo: 'handover', dn: dnOf('Grace Hopper'), fqans: ['/handover/Role=manager'] };
    await vo.call.addMember(heir);
    await vo.call.removeMember({ ...own, vo: 'handover' });
    using successor = authority.vo(grace);
    await successor.call.addMember({ vo: 'handover', dn: dnOf('Mallory'), fqans: [] });
    const { members } = await successor.call.listMembers({ vo: 'handover' });
    expect(members.map(({ dn }) => dn)).toEqual([dnOf('Grace Hopper'), dnOf('Mallory')]);
  });

  test('what is no DN, no FQAN of the VO, no member, or no VO is named', async () => {
    using vo = authority.vo(admin);
    const add = { vo: 'demo', dn: dnOf('X'), fqans: ['/cms/Role=admin'] };
    await expect(vo.call.addMember(add)).rejects.toThrow("is no FQAN of 'demo'");
    await expect(vo.call.addMember({ ...add, dn: 'X' })).rejects.toThrow('is no DN');
    await expect(vo.call.removeMember(add)).rejects.toThrow("is no member of 'demo'");
    await expect(vo.call.listMembers({ vo: 'cms' })).rejects.toMatchObject({
      code: 'VO_NOT_FOUND',
    });
  });
});

describe('signed attributes', () => {
  test('give a proxy of their holder its FQANs', async () => {
    using vo = authority.vo(grace);
    const { attributeCertificate, fqans } = await vo.call.signAttributes(ask);
    expect(fqans).toEqual(['/demo', '/demo/imaging']);
    const peer = await judged(grace, [attributeCertificate]);
    expect(peer.rejectedAttributes).toEqual([]);
    expect(peer.fqans.map(formatFqan)).toEqual(['/demo', '/demo/imaging']);
  });

  test('give nothing to anybody else', async () => {
    using vo = authority.vo(grace);
    const { attributeCertificate } = await vo.call.signAttributes(ask);
    const peer = await judged(mallory, [attributeCertificate]);
    expect(peer.fqans).toEqual([]);
    expect(peer.rejectedAttributes[0]).toContain('AC_HOLDER');
  });

  test('can be had with a proxy, for the certificate above it', async () => {
    const proxy = await makeProxy({
      ...grace,
      lifetimeMs: HOUR_MS,
      nowMs: Date.now(),
      kind: 'full',
      keyKind: 'ec',
    });
    using vo = authority.vo({ certPem: proxy.chainPem, keyPem: proxy.keyPem });
    const { attributeCertificate } = await vo.call.signAttributes(ask);
    const peer = await judged(grace, [attributeCertificate]);
    expect(peer.fqans.map(formatFqan)).toContain('/demo');
  });

  test('are not for jobs, nor are the names of members', async () => {
    const times = { lifetimeMs: HOUR_MS, nowMs: Date.now() };
    const limited = await makeProxy({ ...admin, ...times, kind: 'limited', keyKind: 'ec' });
    using job = authority.vo({ certPem: limited.chainPem, keyPem: limited.keyPem });
    const refused = {
      code: 'PERMISSION_DENIED',
      message: expect.stringContaining('a limited proxy may not do this'),
    };
    const role = { ...ask, fqans: ['/demo/Role=manager'] };
    await expect(job.call.signAttributes(role)).rejects.toMatchObject(refused);
    await expect(job.call.listMembers({ vo: 'demo' })).rejects.toMatchObject(refused);
  });

  test('hold a role only when it is the member’s and asked for', async () => {
    using manager = authority.vo(admin);
    using member = authority.vo(grace);
    const role = { ...ask, fqans: ['/demo/Role=manager'] };
    expect((await manager.call.signAttributes(ask)).fqans).toEqual(['/demo']);
    expect((await manager.call.signAttributes(role)).fqans).toEqual([
      '/demo/Role=manager',
      '/demo',
    ]);
    await expect(member.call.signAttributes(role)).rejects.toMatchObject({ code: 'VO_DENIED' });
  });

  test('are refused to strangers and to those who were removed', async () => {
    using stranger = authority.vo(mallory);
    await expect(stranger.call.signAttributes(ask)).rejects.toThrow("no member of 'demo'");
    using vo = authority.vo(admin);
    await vo.call.addMember({ vo: 'demo', dn: dnOf('Mallory'), fqans: [] });
    await stranger.call.signAttributes(ask);
    await vo.call.removeMember({ vo: 'demo', dn: dnOf('Mallory') });
    await expect(stranger.call.signAttributes(ask)).rejects.toMatchObject({ code: 'VO_DENIED' });
  });

  test('last a day at most', async () => {
    using vo = authority.vo(grace);
    const { expiresAtMs } = await vo.call.signAttributes({ ...ask, lifetimeMs: 1_000 * HOUR_MS });
    expect((expiresAtMs - Date.now()) / HOUR_MS).toBeCloseTo(24, 1);
  });
});
