"""Training steps a second of a tabular MLP: PyTorch (CPU, 2 threads) and contrarian, alternating in one run.

The same data, model (11-w-w-2, ReLU), objective (cross-entropy), optimiser (Adam, PyTorch's defaults), batch and number
of steps on both sides; each side gathers its shuffled batches from memory inside the timed loop. Needs torch and numpy:

    python bench/tabular/run.py            # prints a table and writes it into docs/benchmarks.md
"""

import os
import pathlib
import platform
import statistics
import subprocess
import tempfile
import time

import numpy as np
import torch

ROOT = pathlib.Path(__file__).resolve().parents[2]
ROWS, INPUTS, CLASSES = 1024, 11, 2
CASES = [(32, 64, 3000), (512, 256, 300)]  # batch, width, steps
ROUNDS = 5
torch.set_num_threads(2)


def build():
    command = ["cargo", "build", "--release", "-p", "contrarian-cli", "--example", "tabular_steps"]
    subprocess.run(command, cwd=ROOT, check=True)
    target = os.environ.get("CARGO_TARGET_DIR", ROOT / "target")
    return pathlib.Path(target) / "release" / "examples" / "tabular_steps"


def ours(binary, folder, batch, width, steps):
    numbers = [ROWS, INPUTS, CLASSES, batch, width, steps]
    environment = {**os.environ, "RAYON_NUM_THREADS": "2"}
    command = [str(binary), folder, *map(str, numbers)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout)


def pytorch(x, y, batch, width, steps, fused):
    layers = [torch.nn.Linear(INPUTS, width), torch.nn.ReLU(), torch.nn.Linear(width, width), torch.nn.ReLU()]
    model = torch.nn.Sequential(*layers, torch.nn.Linear(width, CLASSES))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=fused)
    objective = torch.nn.CrossEntropyLoss()

    def train(count):
        taken = 0
        while taken < count:
            order = torch.randperm(ROWS)
            for start in range(0, ROWS, batch):
                rows = order[start : start + batch]
                optimizer.zero_grad()
                objective(model(x[rows]), y[rows]).backward()
                optimizer.step()
                taken += 1
        return taken

    train(steps // 10)
    started = time.perf_counter()
    taken = train(steps)
    return (time.perf_counter() - started) / taken * 1e6


def processor():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()


def main():
    binary = build()
    generator = np.random.default_rng(0)
    x = generator.standard_normal((ROWS, INPUTS)).astype("<f4")
    y = (x[:, 0] > 0).astype("<u4")
    tx, ty = torch.from_numpy(x), torch.from_numpy(y.astype("int64"))
    lines = [
        "| batch | width | contrarian, us a step | PyTorch, us a step | ratio | PyTorch fused Adam, us a step | ratio |",
        "|---|---|---|---|---|---|---|",
    ]
    with tempfile.TemporaryDirectory() as folder:
        x.tofile(f"{folder}/x.f32")
        y.tofile(f"{folder}/y.u32")
        for batch, width, steps in CASES:
            samples = [
                (
                    ours(binary, folder, batch, width, steps),
                    pytorch(tx, ty, batch, width, steps, None),
                    pytorch(tx, ty, batch, width, steps, True),
                )
                for _ in range(ROUNDS)
            ]
            mine, eager, fused = (statistics.median(column) for column in zip(*samples))
            row = f"| {batch} | {width} | {mine:.0f} | {eager:.0f} | {eager / mine:.2f} | {fused:.0f} | {fused / mine:.2f} |"
            lines.append(row)
    machine = f"{processor()}, {os.cpu_count()} cores, {platform.system()}; PyTorch {torch.__version__}, 2 threads"
    table = "\n".join([*lines, "", f"Median of {ROUNDS} alternating rounds; {machine}; {time.strftime('%Y-%m-%d')}."])
    print(table)
    page = ROOT / "docs" / "benchmarks.md"
    before, _, rest = page.read_text().partition("<!-- tabular -->\n")
    _, _, after = rest.partition("<!-- /tabular -->")
    page.write_text(f"{before}<!-- tabular -->\n{table}\n<!-- /tabular -->{after}")


if __name__ == "__main__":
    main()
