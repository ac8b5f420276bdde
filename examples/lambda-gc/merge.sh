#!/bin/sh
# Puts the tables of all tasks together, in order of position: gc.csv, and the picture gc.svg.
set -eu
echo 'start,gc,gc_skew,at_skew,cumulative_gc_skew' > gc.csv
cat parts/*/windows.csv | sort -t, -k1,1n |
  awk -F, '{ sum += $3; printf "%s,%.4f\n", $0, sum }' >> gc.csv
awk -f plot.awk gc.csv > gc.svg
awk -F, 'NR > 1 { n++; gc += $2; if ($5 > top) { top = $5; at = $1 } }
  END { printf "%d windows, mean GC %.1f %%, cumulative skew peaks near base %d\n", n, 100 * gc / n, at }' gc.csv
