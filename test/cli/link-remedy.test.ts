import { expect, test } from 'vitest';
import {
  brokerRemedy,
  closedRemedy,
  failureRemedy,
  linkRemedy,
} from '../../cli/site/link-remedy.ts';

const SITE = {
  id: 'campus',
  address: 'login.campus.example:7460',
  dn: '/DC=org/OU=Hosts/CN=gate.campus.example',
};

test.each([
  [
    'the gateway refuses the broker: NOT_YET_VALID: the certificate is not valid yet',
    /^on login\.campus\.example: is the clock right/,
  ],
  [
    'the gateway refuses the broker: NO_CRL: there is no revocation list',
    /^on login.*`grid ca trust --authority HOST:PORT/,
  ],
  [
    'silent for longer than its lease of 15 s: site campus at x:1: its certificate has expired',
    /grid ca token --profile host --name gate\.campus\.example/,
  ],
  ["the gateway refuses the broker: '/CN=b' is not the broker of this site", /`broker-dn`/],
  ['site campus at x:1: its certificate is not for x, only for: DNS:y', /invite it again/],
  [
    'site campus at x:1: nothing listens at 127.0.0.1:1 (ECONNREFUSED)',
    /^is its gateway running.*hanse-site-campus/,
  ],
  ['', /^is its gateway running/],
])('%s', (detail, remedy) => {
  expect(linkRemedy(SITE, detail)).toMatch(remedy);
});

test.each([
  [
    'Slurm does not answer since 2026-11-29T10:35:44.041Z: slurm_load_jobs error: Protocol authentication error',
    /^on login\.campus\.example: does munged run there/,
  ],
  [
    "Slurm does not answer since now: there is no partition 'nosuch'",
    /^on login\.campus\.example: correct that setting/,
  ],
  ['Slurm does not answer since now: Unable to contact slurm controller', /does slurmctld run\?/],
  ['Slurm: no node of partition main is up: a1 IDLE+DRAIN (maintenance)', /^`sinfo -R` says why/],
  ['disk full: 0 B free, the site keeps 1 MiB', /^make room on the disk of the spool/],
  ['something new', /opens by itself/],
])('a site that says: %s', (reason, remedy) => {
  expect(closedRemedy(SITE, reason)).toMatch(remedy);
});

test('a broker whose certificate is no good is nothing that a member can start again', () => {
  const usual = 'check that the service runs';
  expect(brokerRemedy('UNAVAILABLE: broker at b:1: its certificate has expired', usual)).toMatch(
    /grid cert doctor.*administrator of the broker/,
  );
  expect(brokerRemedy('UNAVAILABLE: broker at b:1: nothing listens at b:1', usual)).toBe(usual);
});

test('a batch job that never began is mostly one that nodes do not see', () => {
  const words =
    "START_FAILED: campus: Slurm's job 3 never began: it ended without a word from its script (FAILED, JobLaunchFailure)";
  expect(failureRemedy(words)).toMatch(/do not see the spool.*log of slurmd/);
  expect(failureRemedy('EXIT_NONZERO: sh ended with 1')).toBeUndefined();
});
