"""Search of the 100 best of 100,000 x 384 vectors: contrarian, NumPy and PyTorch, 2 threads each, alternating rounds.

    python bench/retrieval/search.py

Prints rows of Markdown for docs/benchmarks.md: median seconds, ratios, and the recall of our hits against NumPy's in f64. Ours is
exact, and quantized: candidates by 8-bit products, scored again in full.
"""
import os
os.environ.update({name: "2" for name in ["OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS"]})
import pathlib, statistics, struct, subprocess, sys, tempfile, time
import numpy as np
import torch

ROOT = pathlib.Path(__file__).resolve().parents[2]
ROWS, QUERIES, DIM, K, ROUNDS = 100_000, 1_000, 384, 100, 5


def vectors(path, x):
    path.write_bytes(b"CTRVEC01" + struct.pack("<QQ", *x.shape) + x.tobytes())


def numpy_search(q, d):
    scores = q @ d.T
    top = np.argpartition(scores, -K, axis=1)[:, -K:]
    order = np.argsort(-np.take_along_axis(scores, top, 1), axis=1, kind="stable")
    return np.take_along_axis(top, order, 1)


def torch_search(q, d):
    return torch.topk(q @ d.T, K, dim=1).indices


def main():
    torch.set_num_threads(2)
    rng = np.random.default_rng(0)
    unit = lambda n: (lambda x: x / np.linalg.norm(x, axis=1, keepdims=True))(rng.standard_normal((n, DIM), dtype=np.float32))
    d, q = unit(ROWS), unit(QUERIES)
    td, tq = torch.from_numpy(d), torch.from_numpy(q)
    target = os.environ.get("CARGO_TARGET_DIR", str(ROOT / "target"))
    subprocess.run(["cargo", "build", "--release", "--workspace", "--example", "search"], cwd=ROOT, check=True)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        vectors(folder / "d", d)
        vectors(folder / "q", q)
        ours = {way: subprocess.Popen([f"{target}/release/examples/search", way, folder / "d", folder / "q", str(K), folder / way],
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for way in ["exact", "quantized"]}

        def rust(way):
            ours[way].stdin.write("go\n")
            ours[way].stdin.flush()
            return float(ours[way].stdout.readline())

        def timed(f, *x):
            start = time.perf_counter()
            f(*x)
            return time.perf_counter() - start

        sides = {way: (lambda way=way: rust(way)) for way in ours}
        sides |= {"NumPy": lambda: timed(numpy_search, q, d), "PyTorch": lambda: timed(torch_search, tq, td)}
        times = {name: [] for name in sides}
        for round in range(ROUNDS + 1):
            for name, side in sides.items():
                seconds = side()
                if round > 0:  # the first round warms up
                    times[name].append(seconds)
        ids = {way: np.frombuffer((folder / way).read_bytes(), dtype="<u4").reshape(QUERIES, K) for way in ours}
        for process in ours.values():
            process.stdin.close()
    exact = numpy_search(q.astype(np.float64), d.astype(np.float64))
    m = {name: statistics.median(t) for name, t in times.items()}
    for way in ours:
        recall = np.mean([len(set(a) & set(b)) / K for a, b in zip(ids[way], exact)])
        print(f"| {way} | {m[way]:.3f} | {m['NumPy']:.3f} | {m['PyTorch']:.3f} | {m['NumPy'] / m[way]:.1f} | "
              f"{m['PyTorch'] / m[way]:.1f} | {recall:.4f} |")


if __name__ == "__main__":
    sys.exit(main())
