#!/bin/sh
# Makes a checkout ready: npm packages (among them Node 24, as the package `node`). Does nothing when they are current.
set -eu
cd "$(dirname "$0")/.."
if [ ! -x node_modules/node/bin/node ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
  echo 'setup: fetching npm packages (once, about half a minute)' >&2
  npm ci --no-audit --no-fund --loglevel=error
  touch node_modules/.package-lock.json
fi
