# gc.csv -> an SVG with two panels: GC content and cumulative GC skew along the genome.
BEGIN { FS = ","; W = 900; H = 200; L = 60; T = 34; GAP = 56 }
NR > 1 {
  n++
  x[n] = $1; gc[n] = $2; sum[n] = $5
  if (n == 1 || $2 < glow) glow = $2
  if (n == 1 || $2 > ghigh) ghigh = $2
  if (n == 1 || $5 < slow) slow = $5
  if (n == 1 || $5 > shigh) shigh = $5
  mean += $2
}
function px(v) { return L + (W - L - 20) * v / x[n] }
function py(v, low, high, top) { return top + H - H * (v - low) / (high - low) }
function panel(title, top, low, high, format,   i, v) {
  printf "<text x='%d' y='%d' class='h'>%s</text>\n", L, top - 10, title
  for (i = 0; i <= 4; i++) {
    v = low + (high - low) * i / 4
    printf "<line x1='%d' x2='%d' y1='%.1f' y2='%.1f' class='g'/>", L, W - 20, py(v, low, high, top), py(v, low, high, top)
    printf "<text x='%d' y='%.1f' class='n' text-anchor='end'>" format "</text>\n", L - 6, py(v, low, high, top) + 4, v
  }
}
END {
  mean /= n
  total = T + H + GAP + H + 44
  printf "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 %d %d' font-family='sans-serif'>\n", W, total
  print "<style>.h{font-size:14px;font-weight:600;fill:#223}.n{font-size:11px;fill:#556}.g{stroke:#dde}.a{fill:none;stroke:#1b6ca8;stroke-width:1.4}.b{fill:none;stroke:#b0413e;stroke-width:1.6}.m{stroke:#888;stroke-dasharray:4 4}</style>"
  printf "<rect width='%d' height='%d' fill='white'/>\n", W, total
  panel("Phage lambda: GC content per window", T, glow, ghigh, "%.2f")
  printf "<line x1='%d' x2='%d' y1='%.1f' y2='%.1f' class='m'/>\n", L, W - 20, py(mean, glow, ghigh, T), py(mean, glow, ghigh, T)
  printf "<polyline class='a' points='"
  for (i = 1; i <= n; i++) printf "%.1f,%.1f ", px(x[i]), py(gc[i], glow, ghigh, T)
  print "'/>"
  top = T + H + GAP
  panel("Cumulative GC skew", top, slow, shigh, "%.1f")
  printf "<polyline class='b' points='"
  for (i = 1; i <= n; i++) printf "%.1f,%.1f ", px(x[i]), py(sum[i], slow, shigh, top)
  print "'/>"
  for (i = 0; i <= 48000; i += 8000) printf "<text x='%.1f' y='%d' class='n' text-anchor='middle'>%d kb</text>", px(i), top + H + 18, i / 1000
  print "\n</svg>"
}
