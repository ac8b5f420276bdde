#!/bin/sh
# Tests sites, and the rest of a grid, on a machine that systemd runs: `scripts/test-systemd.sh [ROOT]`, as root on Debian.
# Makes a Debian 12 in ROOT (kept, and used again next time) or in a directory that is removed in the end. Its systemd is the first
# process of namespaces with nothing but a loopback, over a layer for its changes, and in control groups below this machine's own:
# nothing of it outlives the script. The power is cut by the end of that process. scripts/test-systemd-inside.sh is what is done there.
set -eu

name=test-systemd
repository=$(cd "$(dirname "$0")/.." && pwd)
groups=/sys/fs/cgroup

# `--start ROOT STATE LAYOUT`: in namespaces of its own, from there on a machine.
start() {
  root=$1 state=$2 layout=$3
  mount --make-rprivate /
  ip link set lo up
  mount -t overlay -o "lowerdir=$root,upperdir=$state/changed,workdir=$state/work" overlay "$state/over"
  cd "$state/over"
  hostname "$(cat etc/hostname)"
  mount --bind "$repository" opt/hanse
  mount -o remount,bind,ro opt/hanse
  mount --bind "$state/containers" var/lib/containers # podman has layers of its own
  mount -t tmpfs -o mode=755 tmpfs run
  mount -t tmpfs -o mode=1777 tmpfs tmp
  mount -t proc proc proc
  mount -t sysfs -o ro sys sys
  # A kernel that is not its own: its settings stay, and each start looks like one. bwrap wants to see a whole /proc somewhere.
  mount -t proc proc mnt
  cat proc/sys/kernel/random/uuid >run/boot-id
  mount --bind proc/sys proc/sys
  mount -o remount,bind,ro proc/sys
  mount --bind run/boot-id proc/sys/kernel/random/boot_id
  mount -t tmpfs -o mode=755 tmpfs dev
  mkdir dev/pts dev/shm
  for device in null zero full random urandom tty; do
    touch "dev/$device"
    mount --bind "/dev/$device" "dev/$device"
  done
  mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts dev/pts
  mount -t tmpfs -o mode=1777 tmpfs dev/shm
  ln -s pts/ptmx dev/ptmx
  ln -s /proc/self/fd dev/fd
  if [ "$layout" = unified ]; then
    mount -t cgroup2 -o nsdelegate cgroup2 sys/fs/cgroup
    words=systemd.unified_cgroup_hierarchy=1
  else
    mount -t tmpfs -o mode=755 tmpfs sys/fs/cgroup
    for tree in "$groups"/*/cgroup.procs; do
      tree=$(basename "$(dirname "$tree")")
      mkdir "sys/fs/cgroup/$tree"
      case $tree in
        unified) mount -t cgroup2 -o nsdelegate cgroup2 "sys/fs/cgroup/$tree" ;;
        systemd) mount -t cgroup -o none,name=systemd cgroup "sys/fs/cgroup/$tree" ;;
        *) mount -t cgroup -o "$tree" cgroup "sys/fs/cgroup/$tree" ;;
      esac
    done
    words=systemd.unified_cgroup_hierarchy=0
  fi
  # No process may stand in the first group of version 2: whoever started this one goes first.
  until [ -e "$state/alone" ]; do sleep 0.1; done
  pivot_root . media
  umount -l media
  exec env -i container=hanse "SYSTEMD_PROC_CMDLINE=$words" PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd
}

make_root() {
  echo "$name: making a Debian 12 in $root"
  debootstrap --variant=minbase --include=systemd-sysv,dbus,libpam-systemd,libstdc++6,procps,iproute2 bookworm "$root" >"$root.log" 2>&1 ||
    { tail -20 "$root.log" >&2; exit 1; }
  rm -f "$root.log"
  printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
  chmod 755 "$root/usr/sbin/policy-rc.d"
  DEBIAN_FRONTEND=noninteractive chroot "$root" apt-get -yqq -o Dpkg::Use-Pty=0 install --no-install-recommends bubblewrap podman catatonit uidmap >/dev/null
  # What would look after the hardware or the packages of a machine.
  for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer podman-auto-update.timer \
    systemd-sysctl.service sys-kernel-debug.mount sys-kernel-tracing.mount sys-fs-fuse-connections.mount dev-hugepages.mount; do
    ln -sf /dev/null "$root/etc/systemd/system/$unit"
  done
  ln -sf /lib/systemd/system/multi-user.target "$root/etc/systemd/system/default.target"
  mkdir -p "$root/opt/hanse" "$root/var/lib/containers" "$root/var/log/journal"
  printf '#!/bin/sh\nexec /opt/hanse/node_modules/.bin/node /opt/hanse/bin/grid.js "$@"\n' >"$root/usr/local/bin/grid"
  chmod 755 "$root/usr/local/bin/grid"
  echo office >"$root/etc/hostname"
  touch "$root/made"
}

# Each tree of control groups that the kernel has here.
trees() { for procs in "$groups"/cgroup.procs "$groups"/*/cgroup.procs; do [ ! -e "$procs" ] || [ -L "$(dirname "$procs")" ] || dirname "$procs"; done; }
own_groups() { for tree in $(trees); do [ ! -d "$tree/$own" ] || echo "$tree/$own"; done; }

boot() {
  rm -f "$state/alone"
  (
    for tree in $(trees); do
      mkdir -p "$tree/$own"
      for file in cpuset.cpus cpuset.mems; do [ ! -e "$tree/$own/$file" ] || [ -n "$(cat "$tree/$own/$file")" ] || cat "$tree/$file" >"$tree/$own/$file"; done
      echo 0 >"$tree/$own/cgroup.procs"
    done
    exec unshare --mount --pid --fork --kill-child --net --uts --ipc --cgroup sh "$0" --start "$root" "$state" "$1" </dev/null >>"$state/console" 2>&1
  ) &
  outer=$!
  tries=0
  until init=$(cat "/proc/$outer/task/$outer/children") && [ -n "$init" ] && make_way && inside systemctl is-system-running --wait >"$state/said" 2>&1; do
    tries=$((tries + 1))
    [ "$tries" -lt 60 ] || { echo "$name: systemd did not start: $(cat "$state/said")" >&2; cat "$state/console" >&2; exit 1; }
    sleep 0.5
  done
  echo "$name: $(inside systemctl --version | head -1) has started, control groups $1"
}

make_way() {
  [ ! -e "$state/alone" ] || return 0
  for tree in $(trees); do echo "$outer" >"$tree/cgroup.procs"; done
  : >"$state/alone"
}

# Runs a command in the machine, beside its systemd.
inside() {
  init=${init% }
  (
    while IFS=: read -r _ tree group; do
      case $tree in
        '') [ -e "$groups/cgroup.procs" ] && at=$groups || at=$groups/unified ;;
        name=*) at=$groups/${tree#name=} ;;
        *) at=$groups/$tree ;;
      esac
      [ ! -d "$at$group" ] || echo 0 >"$at$group/cgroup.procs"
    done <"/proc/$init/cgroup"
    exec nsenter --target "$init" --mount --pid --net --uts --ipc --cgroup --root --wd \
      env -i HOME=/root NO_COLOR=1 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@" </dev/null
  )
}

part() { inside sh /opt/hanse/scripts/test-systemd-inside.sh "$@"; }

# The end of a machine that was told to go down, or of one that is not asked.
down() {
  tries=0
  while kill -0 "$outer" 2>/dev/null && [ "$(cut -d ' ' -f 3 "/proc/$outer/stat" 2>/dev/null)" != Z ]; do
    tries=$((tries + 1))
    [ "$tries" -lt 300 ] || { echo "$name: the machine did not go down within 30 s" >&2; exit 1; }
    sleep 0.1
  done
  wait "$outer" || true
  outer=
}
cut_power() {
  kill -KILL "$init"
  down
}

end() {
  code=$?
  trap - EXIT
  [ -z "$outer" ] || cut_power
  for again in 1 2 3 4 5 6 7 8 9 10; do
    left=$(own_groups)
    [ -n "$left" ] || break
    find $left -depth -type d -exec rmdir {} + 2>/dev/null || sleep 0.2
  done
  [ -z "$(own_groups)" ] || echo "$name: these control groups are left: $(own_groups)" >&2
  rm -rf --one-file-system "$state"
  [ -n "$kept" ] || rm -rf --one-file-system "$root"
  exit "$code"
}

if [ "${1:-}" = --start ]; then
  shift
  start "$@"
fi
[ "$(id -u)" = 0 ] || { echo "$name: run it as root, it makes a Debian 12 and boots its systemd" >&2; exit 1; }
command -v debootstrap >/dev/null || { apt-get -qq update && apt-get -yqq install --no-install-recommends debootstrap; }
kept=${1:-}
root=${1:-$(mktemp -d /var/tmp/hanse-systemd.XXXXXX)}
mkdir -p "$root"
chmod 755 "$root"
state=$(mktemp -d /var/tmp/hanse-systemd-state.XXXXXX)
chmod 755 "$state"
mkdir "$state/changed" "$state/work" "$state/over" "$state/containers"
own=hanse-$name-$$
outer=
trap end EXIT
trap 'exit 1' HUP INT TERM
[ -e "$root/made" ] || make_root
nats=$(cd "$repository" && node_modules/.bin/node -e "import('./cli/up/start-grid.ts').then(async (m) => console.log((await m.obtainNatsServer(process.env, require('node:os').homedir(), new AbortController().signal, console.error)).path))")
mkdir -p "$state/changed/usr/local/bin"
cp "$nats" "$state/changed/usr/local/bin/nats-server"

layout=unified
[ -e "$groups/cgroup.procs" ] || layout=hybrid
boot "$layout"
part first
cut_power
boot "$layout"
part after cut
inside systemctl reboot
down
boot "$layout"
part after reboot
part last
if [ "$layout" = hybrid ]; then
  # As systemd sets them up today, though this machine's kernel has the controllers elsewhere.
  inside systemctl poweroff
  down
  boot unified
  part unified
fi
inside systemctl poweroff
down
echo "$name: passed"
