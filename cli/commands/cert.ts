import type { CommandSpec, OptionSpec } from '../command.ts';

const KEY_KIND: OptionSpec = {
  flags: '--key-kind <kind>',
  about: 'EC P-256, or RSA-2048 for grids with Globus tools (ec)',
  choices: ['ec', 'rsa'],
};
const CERT_FILES: readonly OptionSpec[] = [
  { flags: '--out <dir>', about: 'directory to write into (~/.hanse; for a host: .)' },
  { flags: '--out-cert <file>', about: 'certificate file instead' },
  { flags: '--out-key <file>', about: 'key file instead' },
];

/** One's own certificate, and the proxy made from it. */
export const CERT_COMMANDS: readonly CommandSpec[] = [
  {
    path: 'cert request',
    summary: 'get a certificate with a one-time token',
    details:
      'Makes the key here (it never leaves this machine), asks the authority that the token names, and installs key,\ncertificate and what is needed to trust the grid.',
    options: [
      { flags: '--token <token>', about: 'from an administrator; `-` reads stdin', required: true },
      KEY_KIND,
      ...CERT_FILES,
      {
        flags: '--trust <dir>',
        about: 'trust directory (~/.hanse/certificates; for a host: OUT/certificates)',
      },
      { flags: '--lifetime <duration>', about: 'shorter than the authority gives by itself' },
      { flags: '--force', about: 'replace a certificate that is still good' },
    ],
    examples: [
      ['cert request --token eyJ…', 'your own certificate'],
      ['cert request --token eyJ… --out /etc/hanse', 'hostcert.pem and hostkey.pem of a service'],
    ],
    run: async (context, input) =>
      (await import('../certs/cert.ts')).requestCertificate(context, input),
  },
  {
    path: 'cert renew',
    summary: 'replace your certificate by a new one with a new key and the same name',
    options: [
      { flags: '--cert <file>', about: 'certificate to renew (~/.hanse/usercert.pem)' },
      { flags: '--key <file>', about: 'its key (~/.hanse/userkey.pem)' },
      { flags: '--authority <host:port>', about: 'authority (or HANSE_AUTHORITY, or config.yaml)' },
      { flags: '--trust <dir>', about: 'trust directory (~/.hanse/certificates)' },
      { flags: '--lifetime <duration>', about: 'shorter than the authority gives by itself' },
    ],
    examples: [
      ['cert renew', 'before it ends; afterwards it is too late and you need a new token'],
      [
        'cert renew --cert /etc/hanse/hostcert.pem --key /etc/hanse/hostkey.pem --trust /etc/hanse/certificates',
        'of a service, which is to be restarted then',
      ],
    ],
    run: async (context, input) =>
      (await import('../certs/cert.ts')).renewCertificate(context, input),
  },
  {
    path: 'cert show',
    summary: 'show a certificate or proxy: whose it is, how long it lasts, which VOs it carries',
    args: [['[file]', 'PEM file (your proxy, else your certificate)']],
    examples: [
      ['cert show', 'what you would act with now'],
      ['cert show /etc/hanse/hostcert.pem --json', 'a service’s, for a script'],
    ],
    run: async (context, input) =>
      (await import('../certs/cert-show.ts')).showCertificate(context, input),
  },
  {
    path: 'cert doctor',
    summary: 'check everything that a login depends on, and say what to do',
    details: 'Exits with 3 when something is wrong that will make the grid refuse you.',
    examples: [['cert doctor', 'when something says UNAUTHENTICATED']],
    run: async (context) => (await import('../certs/cert-doctor.ts')).examine(context),
  },
  {
    path: 'login',
    summary: 'make a proxy: a short-lived certificate to work with, signed by your own',
    details:
      'It carries your membership of a VO, signed by that VO. Your key stays where it is; what is lost with a proxy is\nlost for hours, not for a year.',
    options: [
      { flags: '--vo <name>', about: 'VO to act under (config.yaml, or your only one)' },
      {
        flags: '--fqan <fqan>',
        about: 'role or group to act in, for instance /demo/Role=manager',
        repeat: true,
      },
      { flags: '--plain', about: 'a proxy without membership of a VO' },
      { flags: '--lifetime <duration>', about: 'how long it lasts (12h)' },
      { flags: '--limited', about: 'may move data, may not submit jobs' },
      { ...KEY_KIND, about: 'EC P-256, or RSA-2048 for Globus tools (as your certificate)' },
      { flags: '--out <file>', about: 'where to write it (~/.hanse/proxy.pem)' },
      {
        flags: '--passphrase-stdin',
        about: 'read the pass phrase of an encrypted key there, not from the terminal',
      },
    ],
    examples: [
      ['login', 'for the day'],
      ['login --vo demo --lifetime 2h', 'for an afternoon, in one VO'],
      ['login --fqan /demo/Role=manager', 'to act in a role'],
    ],
    run: async (context, input) => (await import('../certs/login.ts')).login(context, input),
  },
];
