"""Training steps with 1,024 in-batch negatives: maps (384 to 384, one a side) over given vectors, multiple negatives ranking at scale 20,
Adam. contrarian, and the same in PyTorch as sentence-transformers' MultipleNegativesRankingLoss computes it; 2 threads each, alternating.

    python bench/retrieval/train_step.py

The encoder below the maps is not trained on either side. First losses must agree to 1e-4. Prints a row of Markdown.
"""
import os
os.environ.update({name: "2" for name in ["OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"]})
import pathlib, resource, statistics, struct, subprocess, sys, tempfile, time
import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
ROWS, BATCH, DIM, STEPS = 4096, 1024, 384, 40


def vectors(path, x):
    path.write_bytes(b"CTRVEC01" + struct.pack("<QQ", *x.shape) + np.ascontiguousarray(x, dtype="<f4").tobytes())


def load(path):
    raw = path.read_bytes()
    rows, cols = struct.unpack("<QQ", raw[8:24])
    return np.frombuffer(raw[24:], dtype="<f4").reshape(rows, cols).copy()


def torch_side(folder):
    """A process of its own, so that its peak memory is its own."""
    import torch
    torch.set_num_threads(2)
    q, d, w = (torch.from_numpy(load(folder / name)) for name in ["q", "d", "w"])
    maps = [torch.nn.Parameter(w.clone()) for _ in range(2)]
    optimizer = torch.optim.Adam(maps, lr=1e-3, fused=True)
    target = torch.arange(BATCH)
    first = 0
    for _ in sys.stdin:
        rows = [(first + at) % ROWS for at in range(BATCH)]
        first += BATCH
        start = time.perf_counter()
        a = torch.nn.functional.normalize(q[rows] @ maps[0], dim=1)
        b = torch.nn.functional.normalize(d[rows] @ maps[1], dim=1)
        loss = torch.nn.functional.cross_entropy(a @ b.T * 20.0, target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        print(time.perf_counter() - start, loss.item(), flush=True)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)


def main():
    rng = np.random.default_rng(0)
    unit = lambda x: x / np.linalg.norm(x, axis=1, keepdims=True)
    q = unit(rng.standard_normal((ROWS, DIM), dtype=np.float32))
    d = unit(q + unit(rng.standard_normal((ROWS, DIM), dtype=np.float32)))
    target = os.environ.get("CARGO_TARGET_DIR", str(ROOT / "target"))
    subprocess.run(["cargo", "build", "--release", "--workspace", "--example", "train_step"], cwd=ROOT, check=True)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        for name, x in [("q", q), ("d", d), ("w", np.eye(DIM, dtype=np.float32))]:
            vectors(folder / name, x)
        files = [folder / name for name in ["q", "d", "w"]]
        start = lambda command: subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        sides = {
            "ours": start([f"{target}/release/examples/train_step", *files, str(BATCH)]),
            "PyTorch": start([sys.executable, __file__, "--torch", folder]),
        }
        times, losses, memory = {name: [] for name in sides}, {name: [] for name in sides}, {}
        for _ in range(STEPS):
            for name, side in sides.items():
                side.stdin.write("go\n")
                side.stdin.flush()
                seconds, loss = side.stdout.readline().split()
                times[name].append(float(seconds))
                losses[name].append(float(loss))
        for name, side in sides.items():
            side.stdin.close()
            memory[name] = int(side.stdout.readline())
    assert abs(losses["ours"][0] - losses["PyTorch"][0]) < 1e-4, losses
    m = {name: 1e3 * statistics.median(t[5:]) for name, t in times.items()}
    print(f"| {BATCH} pairs x {DIM} | {m['ours']:.1f} | {m['PyTorch']:.1f} | {m['PyTorch'] / m['ours']:.2f} | "
          f"{memory['ours'] / 2**20:.0f} | {memory['PyTorch'] / 2**20:.0f} |")


if __name__ == "__main__":
    torch_side(pathlib.Path(sys.argv[2])) if sys.argv[1:2] == ["--torch"] else main()
