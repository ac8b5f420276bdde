#!/bin/sh
# Tests the htcondor adapter against the real HTCondor of Debian 13: `scripts/test-htcondor.sh [ROOT]`, as root on Debian.
# Makes a Debian 13 in ROOT (kept, and used again next time) or in a directory that is removed in the end. HTCondor runs in
# namespaces of its own: nothing of it outlives the script, and the machine's network and kernel settings stay as they are.
set -eu

if [ "${1:-}" != --inside ]; then
  [ "$(id -u)" = 0 ] || { echo 'test-htcondor: run it as root, it makes a Debian 13 and chroots into it' >&2; exit 1; }
  command -v debootstrap >/dev/null || { apt-get -qq update && apt-get -yqq install --no-install-recommends debootstrap; }
  root=${1:-$(mktemp -d /var/tmp/hanse-htcondor.XXXXXX)}
  mkdir -p "$root"
  [ -n "${1:-}" ] || trap 'rm -rf --one-file-system "$root"' EXIT
  chmod 755 "$root" # HTCondor's own account walks through it
  if [ ! -x "$root/usr/bin/condor_submit" ]; then
    echo "test-htcondor: making a Debian 13 in $root"
    debootstrap --variant=minbase --include=libstdc++6,procps trixie "$root" >"$root.log" 2>&1 ||
      { tail -20 "$root.log" >&2; exit 1; }
    rm -f "$root.log"
    printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
    chmod 755 "$root/usr/sbin/policy-rc.d"
    DEBIAN_FRONTEND=noninteractive chroot "$root" apt-get -yqq -o Dpkg::Use-Pty=0 install --no-install-recommends htcondor >/dev/null
    chroot "$root" useradd --create-home grid
  fi
  unshare --mount --pid --fork --kill-child --net --uts sh "$0" --inside "$root"
  exit
fi

# In namespaces of its own.
root=$2
repository=$(cd "$(dirname "$0")/.." && pwd)
ip link set lo up
hostname condor-test
mount --bind "$root" "$root"
mkdir -p "$root$repository" "$root/c"
mount --bind "$repository" "$root$repository"
mount -o remount,bind,ro "$root$repository"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mount -t tmpfs -o mode=755 tmpfs "$root/c"
echo '127.0.0.1 localhost condor-test' >"$root/etc/hosts"
cp "$repository/test/htcondor/condor_config" "$root/c/condor_config"
ids=$(chroot "$root" id -u condor).$(chroot "$root" id -g condor)
echo "CONDOR_IDS = $ids" >>"$root/c/condor_config"
for name in run log lock spool execute cred; do mkdir "$root/c/$name"; done
chroot "$root" chown condor:condor /c/log /c/lock /c/spool /c/run /c/execute

inside() { chroot "$root" env CONDOR_CONFIG=/c/condor_config PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"; }
inside condor_master -f >"$root/c/master.out" 2>&1 </dev/null &
tries=0
until inside condor_status -format '%s\n' State 2>/dev/null | grep -q Unclaimed; do
  tries=$((tries + 1))
  [ "$tries" -lt 150 ] || { echo 'test-htcondor: HTCondor did not start' >&2; for log in "$root"/c/master.out "$root"/c/log/*Log; do tail -n 15 "$log"; done >&2; exit 1; }
  sleep 0.2
done
inside condor_version
cd "$root"
code=0
inside runuser -u grid -- env CI=1 HOME=/home/grid sh -c 'cd "$1" && exec node_modules/.bin/node node_modules/vitest/vitest.mjs run --config test/htcondor/vitest.config.ts --configLoader runner' sh "$repository" || code=$?
# Tasks of a daemon that crashed are lost for as long as HTCondor waits for it: that is no fault of the adapter.
! grep -hE 'died (due to|on) signal (6|11) ' "$root"/c/log/MasterLog "$root"/c/log/StartLog >&2 || { echo 'test-htcondor: HTCondor itself crashed' >&2; code=1; }
exit "$code"
