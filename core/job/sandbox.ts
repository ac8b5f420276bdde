/**
 * What stands between a task and the machine, each class with all of those before it: an account, namespaces of its
 * own (processes, mounts, IPC; nothing writable but its directory), limits that the kernel holds it to.
 */
export const SANDBOXES = ['account', 'namespaces', 'cgroup'] as const;
export type Sandbox = (typeof SANDBOXES)[number];

/** What a task may reach: whatever the site lets it, the site's own network at least, nothing. */
export const NETWORKS = ['any', 'site', 'none'] as const;
export type Network = (typeof NETWORKS)[number];

/** What a job says of its sandbox; absent for `account` and `any`. */
export interface SandboxDemand {
  readonly sandbox?: Sandbox;
  readonly network?: Network;
}

/** The least class that will do: a network is kept away by a namespace. */
export function demandedSandbox({ sandbox = 'account', network }: SandboxDemand): Sandbox {
  return sandbox === 'account' && network === 'none' ? 'namespaces' : sandbox;
}

/** Features by which a site says which classes it has. */
export const sandboxFeatures = (best: Sandbox): readonly string[] =>
  SANDBOXES.slice(1, SANDBOXES.indexOf(best) + 1).map((name) => `sandbox:${name}`);

/** The best class of a site. */
export const offeredSandbox = (features: readonly string[]): Sandbox =>
  SANDBOXES.findLast((name) => features.includes(`sandbox:${name}`)) ?? 'account';

/** Whether a site puts a task where the job wants it. An image makes namespaces by itself, wherever it runs. */
export const isExposed = (
  features: readonly string[],
  { sandbox = 'account', image }: { readonly sandbox?: Sandbox; readonly image?: string },
): boolean =>
  isWeaker(offeredSandbox(features), sandbox) && !(sandbox === 'namespaces' && image !== undefined);

export const isWeaker = (one: Sandbox, other: Sandbox): boolean =>
  SANDBOXES.indexOf(one) < SANDBOXES.indexOf(other);
