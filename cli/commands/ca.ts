import type { CommandSpec, OptionSpec } from '../command.ts';

const KEY_KIND: OptionSpec = {
  flags: '--key-kind <kind>',
  about: 'EC P-256, or RSA-2048 for grids with Globus tools (ec)',
  choices: ['ec', 'rsa'],
};

/** Keeping a certificate authority. */
export const CA_COMMANDS: readonly CommandSpec[] = [
  {
    path: 'ca init',
    summary: 'make a certificate authority in a directory',
    details:
      'Makes its key (mode 0600, never leaves the directory), its certificate, a configuration file, a trust directory\nand the host certificate that it serves with. With --admin it prints a token with which the first administrator\ngets a certificate. Then: grid authority serve --config DIR/authority.yaml',
    args: [['<dir>', 'directory; made if it is not there']],
    options: [
      {
        flags: '--name <dn>',
        about: 'its name; all names that it issues begin with what stands before the CN',
        required: true,
      },
      { flags: '--listen <host:port>', about: 'address to serve at (127.0.0.1:7440)' },
      { flags: '--public <host:port>', about: 'address that others reach it at (as --listen)' },
      {
        flags: '--host-name <name>',
        about: 'DNS name or address of its host certificate (from the address)',
        repeat: true,
      },
      { flags: '--admin <cn>', about: 'first administrator, for instance "Ada Lovelace"' },
      { flags: '--trust <dir>', about: 'trust directory to publish in (DIR/trust)' },
      { flags: '--vomsdir <dir>', about: 'directory of .lsc files to publish in (DIR/vomsdir)' },
      KEY_KIND,
    ],
    examples: [
      [
        'ca init /srv/ca --name "/DC=org/DC=example/CN=Example Grid CA" --listen 0.0.0.0:7440 --public ca.example.org:7440 --admin "Ada Lovelace"',
        'an authority for example.org, and a token for its administrator',
      ],
    ],
    run: async (context, input) => (await import('../certs/ca.ts')).initCa(context, input),
  },
  {
    path: 'ca token',
    summary: 'make a one-time token that somebody gets a certificate with (administrators)',
    details:
      'Asks the authority, as you; with --dir it is made beside the authority’s files, whether or not it serves.',
    options: [
      {
        flags: '--profile <what>',
        about: 'a person, a host, or a program that acts by itself',
        choices: ['user', 'host', 'robot'],
        required: true,
      },
      {
        flags: '--name <cn>',
        about: 'name of the person or robot, DNS name of the host',
        required: true,
      },
      {
        flags: '--alt-name <name>',
        about: 'further DNS name or address of a host',
        repeat: true,
      },
      { flags: '--lifetime <duration>', about: 'how long the token lives, at most 30d (1d)' },
      { flags: '--dir <dir>', about: 'directory of the authority, when you hold its files' },
    ],
    examples: [
      ['ca token --profile user --name "Grace Hopper"', 'for a person'],
      [
        'ca token --profile host --name gw.example.org --alt-name 192.0.2.7 --lifetime 3d',
        'for a site gateway',
      ],
    ],
    run: async (context, input) => (await import('../certs/ca.ts')).makeToken(context, input),
  },
  {
    path: 'ca ls',
    summary: 'list the certificates that were issued, newest first (administrators)',
    options: [{ flags: '--dn <dn>', about: 'only certificates of this subject' }],
    examples: [['ca ls --json', 'all of them, for a script']],
    run: async (context, input) =>
      (await import('../certs/ca.ts')).listCertificates(context, input),
  },
  {
    path: 'ca revoke',
    summary: 'revoke a certificate: your own, or any as an administrator',
    args: [['<serial>', 'serial number in hex, as `ca ls` and `cert show` print it']],
    options: [
      {
        flags: '--reason <why>',
        about: 'what the revocation list says (unspecified)',
        choices: ['unspecified', 'key-compromise', 'superseded', 'cessation-of-operation'],
      },
    ],
    examples: [['ca revoke 5f0c… --reason key-compromise', 'a laptop was stolen']],
    run: async (context, input) =>
      (await import('../certs/ca.ts')).revokeCertificate(context, input),
  },
  {
    path: 'ca trust',
    summary: 'fetch the authority’s certificate, revocation list and signing policy',
    details:
      'Run it every few hours on machines with services: a revocation list ends. The first time, the authority must be\nrecognised: by --fingerprint, or because the trust directory has it already.',
    options: [
      { flags: '--authority <host:port>', about: 'authority (or HANSE_AUTHORITY, or config.yaml)' },
      { flags: '--fingerprint <sha256>', about: 'SHA-256 of its certificate, hex or base64url' },
      { flags: '--dir <dir>', about: 'trust directory (~/.hanse/certificates)' },
      { flags: '--vomsdir <dir>', about: 'also write the .lsc files of its VOs there' },
    ],
    examples: [
      ['ca trust', 'refresh what you trust'],
      [
        'ca trust --authority ca.example.org:7440 --fingerprint 4A:1F:… --dir /etc/hanse/certificates --vomsdir /etc/hanse/vomsdir',
        'on a new machine for a service',
      ],
    ],
    run: async (context, input) => (await import('../certs/ca.ts')).refreshTrust(context, input),
  },
  {
    path: 'authority serve',
    summary: 'run a certificate authority with its VO membership',
    options: [
      {
        flags: '--config <file>',
        about: 'its YAML file, which `ca init` has made',
        required: true,
      },
      { flags: '--print-config', about: 'show every setting with its value and source, and end' },
    ],
    examples: [
      ['authority serve --config /srv/ca/authority.yaml', 'in the foreground, until SIGTERM'],
      ['authority serve --config authority.yaml --print-config', 'every setting with its source'],
    ],
    run: async (context, input) =>
      (await import('../certs/ca.ts')).serveTheAuthority(context, input),
  },
];
