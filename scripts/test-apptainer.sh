#!/bin/sh
# Tests images with a real Apptainer, which Debian 12 does not have: `scripts/test-apptainer.sh [DIR]`, as root on Debian.
# Takes the `apptainer` of PATH. Where there is none it is built with Go, whose proxy has its source, and kept in DIR.
set -eu

version=1.3.6
cd "$(dirname "$0")/.."
[ "$(id -u)" = 0 ] || { echo 'test-apptainer: run it as root: the image is made with podman in a store of its own' >&2; exit 1; }
if ! command -v apptainer >/dev/null; then
  dir=${1:-/var/tmp/hanse-apptainer}
  if [ ! -x "$dir/bin/apptainer" ]; then
    command -v go >/dev/null || { echo 'test-apptainer: install Go, or Apptainer' >&2; exit 1; }
    echo "test-apptainer: building Apptainer $version in $dir"
    apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -yqq install --no-install-recommends gcc make libc6-dev pkg-config libseccomp-dev squashfs-tools squashfuse fuse2fs >/dev/null
    source=$(mktemp -d)
    trap 'rm -rf "$source"' EXIT
    printf 'module none\n' >"$source/go.mod"
    module=$(cd "$source" && go mod download -json "github.com/apptainer/apptainer@v$version" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
    cp -r "$module" "$source/apptainer"
    chmod -R u+wx "$source/apptainer"
    echo "$version" >"$source/apptainer/VERSION"
    (cd "$source/apptainer" && GOFLAGS=-mod=mod ./mconfig --without-suid --prefix="$dir" && GOFLAGS=-mod=mod make -C builddir && make -C builddir install) >"$source/log" 2>&1 ||
      { tail -20 "$source/log" >&2; exit 1; }
  fi
  PATH=$dir/bin:$PATH
  export PATH
fi
apptainer --version
CI=1 node_modules/.bin/node node_modules/vitest/vitest.mjs run --config test/apptainer/vitest.config.ts --configLoader runner
