#!/bin/sh
# Tests the control groups of tasks on a machine that has cgroup version 2 alone: `scripts/test-cgroup2.sh [DIR]`, on Debian.
# Boots Debian's kernel in an emulated machine over this machine's own files, which it can read and not change, and runs the
# tests there, as root and as an account to whom a group was delegated. DIR keeps the kernel for the next time.
set -eu

repository=$(cd "$(dirname "$0")/.." && pwd)
files='test/integration/fork-groups.test.ts test/integration/site-gateway-sandbox.test.ts test/integration/fork-lrms.test.ts'

# In the virtual machine, as its first process: the tests, what they said, and off.
if [ "${1:-}" = --inside ]; then
  export CI=1 HOME=/tmp PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin NO_COLOR=1
  cd "$repository"
  hostname cgroup2
  ip link set lo up
  # Two hundred processes in a second are too many for an emulated machine.
  tests='exec node_modules/.bin/node node_modules/vitest/vitest.mjs run --config test/cgroup2/vitest.config.ts --configLoader runner -t "^(?!.*200 short tasks)"'
  groups=/sys/fs/cgroup
  echo "test-cgroup2: $(uname -sr), $(cat $groups/cgroup.controllers)"
  echo 'test-cgroup2: as root, in the first group'
  sh -c "$tests $files" && root=passed || root=failed
  # As systemd does with Delegate=yes: the group and what shares it out belong to the account, its limits do not.
  mkdir -p $groups/grid/gateway
  echo '+memory +pids' >$groups/cgroup.subtree_control
  echo '+memory +pids' >$groups/grid/cgroup.subtree_control
  chown 65534:65534 $groups/grid $groups/grid/cgroup.procs $groups/grid/cgroup.subtree_control $groups/grid/gateway $groups/grid/gateway/cgroup.procs
  echo 'test-cgroup2: as an account, in a group that was delegated to it'
  sh -c "echo \$\$ >$groups/grid/gateway/cgroup.procs; exec setpriv --reuid 65534 --regid 65534 --clear-groups sh -c '$tests test/integration/fork-groups.test.ts'" && account=passed || account=failed
  echo "test-cgroup2: root $root, account $account"
  sync
  echo o >/proc/sysrq-trigger
  sleep 60
fi

for program in qemu-system-x86_64:qemu-system-x86 cpio:cpio bwrap:bubblewrap; do
  command -v "${program%%:*}" >/dev/null && continue
  [ "$(id -u)" = 0 ] || { echo "test-cgroup2: install the Debian package ${program##*:}" >&2; exit 1; }
  apt-get -qq update && apt-get -yqq install --no-install-recommends "${program##*:}" >/dev/null
done

dir=${1:-$(mktemp -d /var/tmp/hanse-cgroup2.XXXXXX)}
mkdir -p "$dir"
[ -n "${1:-}" ] || trap 'rm -rf "$dir"' EXIT
if [ ! -e "$dir/boot" ]; then
  kernel=$(apt-cache depends linux-image-amd64 | awk '/Depends:/ { print $2; exit }')
  (cd "$dir" && apt-get -qq download "$kernel" busybox-static 2>/dev/null && for deb in ./*.deb; do dpkg-deb -x "$deb" .; rm "$deb"; done)
fi

# What the kernel starts: the drivers of the shared directory, then the machine's files under a layer in memory.
start=$dir/start
rm -rf "$start" && mkdir -p "$start/bin" "$start/m" "$start/host" "$start/top" "$start/over" "$start/proc"
cp "$dir/bin/busybox" "$start/bin/"
drivers='virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci netfs fscache 9pnet 9p 9pnet_virtio overlay'
for driver in $drivers; do find "$dir/lib/modules" -name "$driver.ko" -exec cp {} "$start/m/" \; ; done
cat >"$start/init" <<INIT
#!/bin/busybox sh
busybox mount -t proc proc /proc
for driver in $drivers; do [ ! -e /m/\$driver.ko ] || busybox insmod /m/\$driver.ko; done
busybox mount -t 9p -o ro,trans=virtio,version=9p2000.L,msize=524288,cache=loose root /host
busybox mount -t tmpfs -o mode=755 tmpfs /top
busybox mkdir /top/changed /top/work
busybox mount -t overlay -o lowerdir=/host,upperdir=/top/changed,workdir=/top/work overlay /over
for at in proc sys dev tmp run; do busybox mkdir -p /over/\$at; done
busybox mount -t proc proc /over/proc
busybox mount -t sysfs sys /over/sys
busybox mount -t devtmpfs dev /over/dev
busybox mkdir -p /over/dev/shm /over/dev/pts
busybox mount -t devpts devpts /over/dev/pts
busybox mount -t tmpfs -o mode=1777 tmpfs /over/dev/shm
busybox mount -t tmpfs -o mode=1777 tmpfs /over/tmp
busybox mount -t tmpfs -o mode=755 tmpfs /over/run
busybox mount -t cgroup2 cgroup2 /over/sys/fs/cgroup
exec busybox switch_root /over /bin/sh $repository/scripts/test-cgroup2.sh --inside
INIT
chmod 755 "$start/init"
(cd "$start" && find . | cpio -o -H newc --quiet | gzip -1) >"$dir/start.gz"
log=$dir/log
timeout 1500 qemu-system-x86_64 -accel tcg,thread=single -cpu max -smp 2 -m 4096 -nographic -no-reboot -nic none \
  -kernel "$dir"/boot/vmlinuz-* -initrd "$dir/start.gz" -append 'console=ttyS0 quiet panic=-1' \
  -virtfs local,path=/,mount_tag=root,security_model=none,readonly=on,multidevs=remap </dev/null | tee "$log"
# A suite that found no control groups would have little to fail.
[ "$(grep -c 'with control groups' "$log")" -gt 0 ] || { echo 'test-cgroup2: no test had a control group' >&2; exit 1; }
grep -q 'test-cgroup2: root passed, account passed' "$log"
