"""Writes statistics.in: what scipy gives for the cases in src/stats/mod.rs (python statistics.py > statistics.in)."""

import sys

sys.path.pop(0)  # this file's name would hide the standard library's statistics module
import numpy as np
from scipy import stats

d = np.array([0.02, -0.01, 0.035, 0.04, 0.01, 0.015])
two = stats.ttest_1samp(d, 0)
interval = two.confidence_interval(0.95)
one = stats.ttest_1samp(d, 0, alternative="greater")
error = np.sqrt((1 / len(d) + 320 / 960) * d.var(ddof=1))
t = d.mean() / error
p = 2 * stats.t.sf(abs(t), len(d) - 1)
half = stats.t.ppf(0.975, len(d) - 1) * error
numbers = [two.pvalue, interval.low, interval.high, one.pvalue, p, d.mean() - half, d.mean() + half]
print("const SCIPY: [f64; 7] = [")
for number in numbers:
    print(f"    {float(number)!r},")
print("];")
raw = np.array([0.01, 0.04, 0.03, 0.005, 0.5])
# Holm by its definition: the running maximum of (m - rank) p, written independently of the Rust code.
holm = [min(1.0, max((len(raw) - (raw < q).sum()) * q for q in raw[raw <= r])) for r in raw]
print(f"const HOLM: [f64; 5] = {[float(h) for h in holm]!r};")
