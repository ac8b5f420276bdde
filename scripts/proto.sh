#!/bin/sh
# Makes proto/gen from proto/grid; with --check, lints, checks the format, and fails when proto/gen is out of date.
set -eu
cd "$(dirname "$0")/.."
PATH="$PWD/node_modules/.bin:$PATH"
generate() {
  out=$1
  rm -rf "$out" && mkdir -p "$out"
  buf generate proto --template proto/buf.gen.yaml -o "$(dirname "$(dirname "$out")")"
  buf build proto -o "$out/grid.binpb" --exclude-source-info
}
if [ "${1:-}" = --check ]; then
  buf lint proto
  buf format --exit-code -d proto
  scratch=$(mktemp -d)
  trap 'rm -rf "$scratch"' EXIT
  generate "$scratch/proto/gen"
  if ! diff -r "$scratch/proto/gen" proto/gen; then
    echo "proto: proto/gen is out of date: run 'npm run gen' and commit the result" >&2
    exit 1
  fi
else
  generate "$PWD/proto/gen"
fi
