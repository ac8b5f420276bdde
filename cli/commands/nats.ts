import type { CommandSpec } from '../command.ts';

/** The store of chunks. */
export const NATS_COMMANDS: readonly CommandSpec[] = [
  {
    path: 'nats init',
    summary: 'write keys and configuration of a nats-server for staging',
    details:
      'Makes an operator, a system account and a configuration with TLS and JetStream in the directory; keys that are there stay. Then: nats-server -c DIR/nats-server.conf. The broker needs DIR/broker: copy it to `staging.keys` of its configuration, and keep it as secret as a key.',
    args: [['<dir>', 'directory of keys, configuration and data']],
    options: [
      { flags: '--listen <host:port>', about: 'address to serve at (127.0.0.1:4222)' },
      { flags: '--certificate <file>', about: 'host certificate, PEM', required: true },
      { flags: '--key <file>', about: 'its key, PEM', required: true },
      {
        flags: '--max-store <size>',
        about: 'most bytes that all chunks may take, for instance 500G',
      },
    ],
    examples: [
      [
        'nats init /srv/hanse/nats --listen 0.0.0.0:4222 --certificate hostcert.pem --key hostkey.pem',
        'on the machine that keeps the bytes',
      ],
    ],
    run: async (context, input) => (await import('../nats.ts')).initNats(context, input),
  },
];
