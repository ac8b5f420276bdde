import { realpathSync, statSync } from 'node:fs';

/**
 * Where services wait for whoever may open their sockets. A mount that is read-only keeps nobody from that, nor does a network
 * of one's own; and the account's service manager, its sessions of screen, or what runs containers would start a process for
 * a task that is outside of its sandbox and outlives it.
 */
const SERVICES = [
  '/run/user',
  '/run/dbus',
  '/run/screen',
  '/run/containerd',
  '/run/crio',
  '/run/libvirt',
  '/run/podman',
  '/run/docker.sock',
  '/run/snapd.socket',
  '/var/lib/incus/unix.socket',
  '/var/lib/lxd/unix.socket',
];

/** Words of bubblewrap that put something empty in the place of those that this machine has. */
export const withoutServices = (): readonly string[] =>
  [...new Set(SERVICES.map(realOf))].flatMap((place) => {
    const stats = place === undefined ? undefined : statSync(place, { throwIfNoEntry: false });
    if (place === undefined || stats === undefined) return [];
    return stats.isDirectory() ? ['--tmpfs', place] : ['--ro-bind', '/dev/null', place];
  });

/** Undefined where there is nothing, or nothing that this account can reach: then no task of it can, either. */
function realOf(place: string): string | undefined {
  try {
    return realpathSync(place);
  } catch {
    return undefined;
  }
}
