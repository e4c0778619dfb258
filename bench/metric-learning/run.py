"""Epochs of a projection head under metric-learning losses: pytorch-metric-learning and contrarian, alternating in one run.

A linear layer (384 to 128) is trained with Adam on 8 batches of 1024 embeddings (256 classes of 4) that a formula gives; for
NT-Xent of 128 pairs, as the library's time grows with the cube of the batch (48 s a step at 512 pairs). Both sides have the
same data and the same initial weights, and the first loss of both must agree before anything is timed. PyTorch runs eager
with its fused Adam; 2 threads each. Needs torch, numpy, pytorch-metric-learning and 8 GB of memory:

    python bench/metric-learning/run.py                # prints a table and writes it into docs/benchmarks.md
    python bench/metric-learning/run.py --loss circle  # prints a part and writes nothing
    python bench/metric-learning/run.py --check        # do both sides compute the same?
"""

import argparse
import importlib.metadata
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import time

import numpy as np
import torch
from pytorch_metric_learning import losses

ROOT = pathlib.Path(__file__).resolve().parents[2]
INPUTS, DIM, BATCHES, RATE = 384, 128, 8, 1e-3
BATCH, CLASSES, PAIRS = 1024, 256, 128
ROUNDS, EPOCHS = 5, 3  # rounds of each side, and epochs timed in a round
SLOW_S = 2  # an epoch that takes longer is timed once a round, and
ENDLESS_S = 10  # one that takes this long is not repeated
TARGET, AGREEMENT = 1.5, 1e-4
LOSSES = {
    "nt-xent": lambda: losses.NTXentLoss(temperature=0.07),
    "sup-con": lambda: losses.SupConLoss(temperature=0.1),
    "triplet": lambda: losses.TripletMarginLoss(margin=0.2),
    "pairs": losses.ContrastiveLoss,
    "circle": losses.CircleLoss,
    "multi-similarity": losses.MultiSimilarityLoss,
    "arc-face": lambda: losses.ArcFaceLoss(CLASSES, DIM),
    "cos-face": lambda: losses.CosFaceLoss(CLASSES, DIM),
}
torch.set_num_threads(2)


def build():
    command = ["cargo", "build", "--release", "--workspace", "--example", "metric_learning"]
    subprocess.run(command, cwd=ROOT, check=True)
    target = os.environ.get("CARGO_TARGET_DIR", ROOT / "target")
    return pathlib.Path(target) / "release" / "examples" / "metric_learning"


def sizes(name):
    """Rows of a batch and their classes."""
    return (2 * PAIRS, PAIRS) if name == "nt-xent" else (BATCH, CLASSES)


def ours(binary, name, epochs):
    environment = {**os.environ, "RAYON_NUM_THREADS": "2"}
    command = [str(binary), name, *map(str, sizes(name)), str(epochs)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout)


def uniform(stream, shape, scale):
    """SplitMix64 over a counter, as in crates/lab/examples/metric_learning.rs."""
    z = np.arange(1, int(np.prod(shape)) + 1, dtype=np.uint64)
    z += np.uint64(stream << 40)
    z *= np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in [(30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)]:
        z ^= z >> np.uint64(shift)
        z *= np.uint64(factor)
    z ^= z >> np.uint64(31)
    numbers = (z >> np.uint64(40)).astype(np.float32) / np.float32(1 << 23) - np.float32(1)
    return torch.from_numpy((numbers * np.float32(scale)).reshape(shape))


class Theirs:
    """The head under one loss of pytorch-metric-learning."""

    def __init__(self, name):
        batch, classes = sizes(name)
        self.y = torch.arange(batch) % classes
        centers = uniform(0, (classes, INPUTS), 1)[self.y]
        noise = uniform(1, (BATCHES * batch, INPUTS), 1)
        self.batches = [centers + rows for rows in noise.split(batch)]
        bound = 1 / np.sqrt(np.float32(INPUTS))
        self.head = torch.nn.Linear(INPUTS, DIM)
        self.loss = LOSSES[name]()
        with torch.no_grad():
            self.head.weight.copy_(uniform(2, (INPUTS, DIM), bound).T)
            self.head.bias.copy_(uniform(3, (DIM,), bound))
            if hasattr(self.loss, "W"):
                self.loss.W.copy_(uniform(4, (CLASSES, DIM), 1).T)
            self.first = self.loss(self.head(self.batches[0]), self.y).item()
        parameters = [*self.head.parameters(), *self.loss.parameters()]
        self.optimizer = torch.optim.Adam(parameters, lr=RATE, fused=True)

    def epoch(self):
        """Milliseconds of one, and its last loss."""
        started = time.perf_counter()
        for x in self.batches:
            self.optimizer.zero_grad()
            loss = self.loss(self.head(x), self.y)
            last = loss.item()
            loss.backward()
            self.optimizer.step()
        return (time.perf_counter() - started) * 1e3, last


def agree(name, mine, theirs):
    if abs(mine - theirs) > AGREEMENT * abs(mine):
        sys.exit(f"{name}: the first loss is {mine} in contrarian and {theirs} in pytorch-metric-learning; they must agree")


def measure(binary, name):
    """Medians of both sides in milliseconds an epoch, and how many of theirs were timed."""
    theirs = Theirs(name)
    agree(name, ours(binary, name, 0)["first"], theirs.first)
    warm, _ = theirs.epoch()
    rounds = 1 if warm > ENDLESS_S * 1e3 else 3 if warm > SLOW_S * 1e3 else ROUNDS
    epochs = 1 if warm > SLOW_S * 1e3 else EPOCHS
    columns = ([], [])
    for _ in range(rounds):
        columns[0].extend(ours(binary, name, EPOCHS)["milliseconds"])
        columns[1].extend(theirs.epoch()[0] for _ in range(epochs))
    return [statistics.median(column) for column in columns], len(columns[1])


def processor():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--loss", action="append", choices=LOSSES, help="prints only")
    parser.add_argument("--check", action="store_true", help="only check that both sides agree")
    arguments = parser.parse_args()
    binary = build()
    names = arguments.loss or list(LOSSES)
    if arguments.check:
        for name in names:
            mine, theirs = ours(binary, name, 0)["first"], Theirs(name).first
            agree(name, mine, theirs)
            print(f"{name}: {mine:.6f} and {theirs:.6f}", flush=True)
        return
    started = time.time()
    lines = [
        "| loss | batch | contrarian, ms an epoch | pytorch-metric-learning, ms an epoch | times faster | "
        f"at least {TARGET} | epochs timed there |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in names:
        (mine, theirs), count = measure(binary, name)
        verdict = "met" if theirs >= TARGET * mine else "**missed**"
        lines.append(f"| {name} | {sizes(name)[0]} | {mine:.1f} | {theirs:.1f} | {theirs / mine:.2f} | {verdict} | {count} |")
        print(lines[-1], file=sys.stderr, flush=True)
    versions = f"PyTorch {torch.__version__}, pytorch-metric-learning {importlib.metadata.version('pytorch-metric-learning')}"
    machine = f"{processor()}, {os.cpu_count()} cores, {platform.system()}; {versions}; 2 threads each"
    minutes = (time.time() - started) / 60
    note = f"Medians of alternating rounds; {machine}; {time.strftime('%Y-%m-%d')}, {minutes:.0f} minutes."
    table = "\n".join([*lines, "", note])
    print(table)
    if arguments.loss:
        return
    page = ROOT / "docs" / "benchmarks.md"
    before, _, rest = page.read_text().partition("<!-- metric learning -->\n")
    _, _, after = rest.partition("<!-- /metric learning -->")
    page.write_text(f"{before}<!-- metric learning -->\n{table}\n<!-- /metric learning -->{after}")


if __name__ == "__main__":
    main()
