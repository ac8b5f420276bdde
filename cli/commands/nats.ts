import type { CommandSpec } from '../command.ts';

/** The store of chunks. */
export const NATS_COMMANDS: readonly CommandSpec[] = [
  {
    path: 'nats init',
    summary: 'write keys and configuration of a nats-server for staging',
    details:
      'Makes an operator, a system account and a configuration with TLS and JetStream in the directory; keys that are there stay. Then: nats-server -c DIR/nats-server.conf. The broker needs DIR/broker: copy it to `staging.keys` of its configuration, and keep it as secret as a key. What a server alone acknowledges is on its disk; three servers that keep three copies of each chunk (docs/nats.md) write to it later.',
    args: [['<dir>', 'directory of keys, configuration and data']],
    options: [
      { flags: '--listen <host:port>', about: 'address to serve at (127.0.0.1:4222)' },
      { flags: '--certificate <file>', about: 'host certificate, PEM', required: true },
      { flags: '--key <file>', about: 'its key, PEM', required: true },
      {
        flags: '--max-store <size>',
        about: 'most bytes that all chunks may take, for instance 500G',
      },
      {
        flags: '--cluster <host:port>',
        about: 'be one of several servers: address for the others to connect to',
      },
      { flags: '--name <name>', about: 'name of this server in the cluster; never changes' },
      { flags: '--peer <host:port>', about: 'such an address of another server', repeat: true },
      { flags: '--ca <file>', about: 'authorities that certify the other servers, PEM' },
      { flags: '--leaf-listen <host:port>', about: 'address for leaf nodes of sites' },
    ],
    examples: [
      [
        'nats init /srv/hanse/nats --listen 0.0.0.0:4222 --certificate hostcert.pem --key hostkey.pem',
        'on the machine that keeps the bytes',
      ],
      [
        'nats init /srv/hanse/nats --listen 0.0.0.0:4222 --certificate hostcert.pem --key hostkey.pem --name n1 --cluster 0.0.0.0:6222 --peer n2.example.org:6222 --peer n3.example.org:6222 --ca ca.pem',
        'on the first of three machines, with the keys of one of them on all',
      ],
    ],
    run: async (context, input) => (await import('../nats.ts')).initNats(context, input),
  },
  {
    path: 'nats leaf',
    summary: 'write the configuration of a leaf node: a nats-server of a site that keeps nothing',
    details:
      'The directory is what `grid broker leaf` made. Gateways connect to the leaf node (`nats-servers` in site.yaml), and only it connects to the nats-servers of the grid.',
    args: [['<dir>', 'what `grid broker leaf` made']],
    options: [
      { flags: '--listen <host:port>', about: 'address to serve at (127.0.0.1:4222)' },
      { flags: '--certificate <file>', about: 'host certificate, PEM', required: true },
      { flags: '--key <file>', about: 'its key, PEM', required: true },
      { flags: '--ca <file>', about: 'authorities of the nats-servers, PEM', required: true },
    ],
    examples: [
      [
        'nats leaf /srv/hanse/leaf --listen 0.0.0.0:4222 --certificate hostcert.pem --key hostkey.pem --ca ca.pem',
        'on a machine of the site that may connect to the outside',
      ],
    ],
    run: async (context, input) => (await import('../nats.ts')).initLeaf(context, input),
  },
  {
    path: 'broker leaf',
    summary: 'make the credentials of a leaf node of a site',
    details:
      'On the broker’s machine, as the broker’s account. Copy the directory to the site, and keep it as secret as a key: its holder can put chunks into the stores of these VOs, and read those whose digest is known.',
    args: [['<dir>', 'where it goes']],
    options: [
      { flags: '--config <file>', about: 'configuration of the broker', required: true },
      { flags: '--vo <name>', about: 'only this VO', repeat: true },
      { flags: '--for <duration>', about: 'how long it lasts (365d)' },
    ],
    examples: [
      ['broker leaf north-leaf --config /etc/hanse/broker.yaml', 'for all VOs, for a year'],
    ],
    run: async (context, input) => (await import('../nats.ts')).makeLeaf(context, input),
  },
];
