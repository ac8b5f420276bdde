# Windowed GC content and GC skew of one slice of a genome.
#   awk -v task=3 -v tasks=24 -v window=250 -f windows.awk lambda.fa
# Cuts the sequence into windows, takes the task's share of them, and prints
#   start (1-based), gc (fraction of G and C), skew ((G - C) / (G + C)), at ((A - T) / (A + T))
/^>/ { next }
{ sequence = sequence toupper($0) }
END {
  count = int((length(sequence) + window - 1) / window)
  first = int((task - 1) * count / tasks)
  last = int(task * count / tasks)
  for (w = first; w < last; w++) {
    piece = substr(sequence, w * window + 1, window)
    g = gsub(/G/, "", piece); c = gsub(/C/, "", piece)
    a = gsub(/A/, "", piece); t = gsub(/T/, "", piece)
    if (g + c == 0 || a + t == 0) continue
    printf "%d,%.4f,%.4f,%.4f\n", w * window + 1, (g + c) / (g + c + a + t), (g - c) / (g + c), (a - t) / (a + t)
  }
}
