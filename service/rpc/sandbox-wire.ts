import { GridError } from '../../core/errors.ts';
import type { Network, Sandbox, SandboxDemand } from '../../core/job/sandbox.ts';
import * as pb from '../../proto/gen/grid/v1/common.ts';

const SANDBOX_TO_WIRE: Readonly<Record<Sandbox, pb.Sandbox>> = {
  account: pb.Sandbox.SANDBOX_ACCOUNT,
  namespaces: pb.Sandbox.SANDBOX_NAMESPACES,
  cgroup: pb.Sandbox.SANDBOX_CGROUP,
};
const NETWORK_TO_WIRE: Readonly<Record<Network, pb.Network>> = {
  any: pb.Network.NETWORK_ANY,
  site: pb.Network.NETWORK_SITE,
  none: pb.Network.NETWORK_NONE,
};

type OnWire = Pick<pb.JobSpec, 'sandbox' | 'network'>;

export function sandboxFromWire(spec: OnWire): SandboxDemand {
  const sandbox = wordOf(SANDBOX_TO_WIRE, spec.sandbox, 'sandbox');
  const network = wordOf(NETWORK_TO_WIRE, spec.network, 'network');
  return {
    ...(sandbox === undefined ? {} : { sandbox }),
    ...(network === undefined ? {} : { network }),
  };
}

export const sandboxToWire = ({ sandbox, network }: SandboxDemand): OnWire => ({
  sandbox: sandbox === undefined ? pb.Sandbox.SANDBOX_UNSPECIFIED : SANDBOX_TO_WIRE[sandbox],
  network: network === undefined ? pb.Network.NETWORK_UNSPECIFIED : NETWORK_TO_WIRE[network],
});

/** Undefined for 0, unset. A demand that is not known is refused, not forgotten. */
function wordOf<W extends string>(
  words: Readonly<Record<W, number>>,
  value: number,
  what: string,
): W | undefined {
  if (value === 0) return undefined;
  const found = (Object.keys(words) as W[]).find((word) => words[word] === value);
  if (found === undefined)
    throw new GridError('REQUEST_INVALID', `${what} ${value} is not known to this version`);
  return found;
}
