"""Loss and gradients of the hot objectives: contrarian's kernels and PyTorch (CPU, 2 threads, eager and torch.compile).

Every case of `contrarian bench` in turn, each library in a process of its own, alternating rounds, the same inputs on
both sides; the losses must agree. Needs torch, numpy, pytorch-metric-learning and a C++ compiler, about 20 minutes and
24 GB of memory (with less, PyTorch's largest cases do not fit, and the table says so):

    python bench/kernels/run.py                  # writes docs/benchmarks.md and docs/ntxent-growth.svg
    python bench/kernels/run.py --case info-nce  # prints a part and writes nothing
    python bench/kernels/run.py --check          # a minute: do both sides compute the same?
"""

import argparse
import json
import os
import pathlib
import platform
import resource
import select
import statistics
import subprocess
import sys
import tempfile
import time

from growth import growth

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
THREADS = 2
ROUNDS = 5
# Of a case that takes long: fewer rounds, and the most time a library may take to answer.
SLOW_MS, SLOW_ROUNDS, PATIENCE_S = 2000, 3, 300
# Of one that takes this long, one round.
ENDLESS_MS = 20_000
# The part of the machine's time that other processes may take before a figure is marked, and how long to wait for quiet.
DISTURBED, WAIT_S = 0.05, 120
# How far two losses in f32 may lie apart, relatively: the sums are of up to 10^8 terms.
AGREEMENT = 1e-4
ENVIRONMENT = {
    **os.environ,
    "RAYON_NUM_THREADS": str(THREADS),
    "OMP_NUM_THREADS": str(THREADS),
    "TORCHINDUCTOR_COMPILE_THREADS": "1",
}


class Failed(Exception):
    """A library could not do a case; the message is for the table."""


def target_directory():
    metadata = ["cargo", "metadata", "--no-deps", "--format-version", "1"]
    found = subprocess.run(metadata, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return pathlib.Path(json.loads(found)["target_directory"])


def build():
    subprocess.run(["cargo", "build", "--release", "--workspace"], cwd=ROOT, check=True)
    return target_directory() / "release" / "contrarian"


def contrarian(binary, *arguments):
    command = [str(binary), "bench", *map(str, arguments), "--json"]
    run = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT)
    if run.returncode != 0:
        raise Failed(run.stderr.strip().splitlines()[-1])
    return json.loads(run.stdout)


class PyTorch:
    """A process that measures one case in PyTorch and waits for requests."""

    def __init__(self, mode, case, limit):
        self.log = tempfile.TemporaryFile("w+")
        arguments = [mode, case["family"], *case["sizes"], limit]
        command = [sys.executable, str(HERE / "pytorch.py"), *map(str, arguments)]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=self.log, text=True, env=ENVIRONMENT)
        self.first = self._answer()

    def rounds(self, count):
        self.process.stdin.write(f"{count}\n")
        self.process.stdin.flush()
        return self._answer()

    def close(self):
        self.process.kill()
        self.process.wait()

    def _answer(self):
        ready, _, _ = select.select([self.process.stdout], [], [], PATIENCE_S)
        line = self.process.stdout.readline() if ready else ""
        if line:
            return json.loads(line)
        self.close()
        if not ready:
            raise Failed(f"no answer in {PATIENCE_S} s")
        self.log.seek(0)
        said = self.log.read()
        if "can't allocate memory" in said or "MemoryError" in said or "bad_alloc" in said:
            raise Failed("does not fit")
        raise Failed((said.strip().splitlines() or [f"ended with {self.process.returncode}"])[-1])


def available_memory():
    for line in pathlib.Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("/proc/meminfo does not say what is available")


class Others:
    """The part of the machine's time that processes other than ours take, from here to `share`."""

    def __init__(self):
        self.start = self._now()

    def share(self):
        elapsed, busy, own = (now - then for now, then in zip(self._now(), self.start))
        return max(busy - own, 0) / (elapsed * os.cpu_count())

    @staticmethod
    def _now():
        user, nice, system, _, _, irq, softirq, steal = map(int, pathlib.Path("/proc/stat").read_text().split()[1:9])
        busy = (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")
        own = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return time.perf_counter(), busy, sum(use.ru_utime + use.ru_stime for use in own)


def wait_for_quiet():
    for _ in range(WAIT_S // 2):
        others = Others()
        time.sleep(2)
        if others.share() <= DISTURBED:
            return


def ask(workers, results, count):
    """Rounds of every PyTorch process; one that fails is left out from then on, and its result says so."""
    times = {}
    for mode, worker in list(workers.items()):
        try:
            times[mode] = worker.rounds(count)
        except Failed as reason:
            results[mode] = {"failed": str(reason)}
            del workers[mode]
    return times


def measure(binary, case, limit):
    """What each library takes: {"ours" | "eager" | "compile": {"ms", "extra", "loss"} or {"failed"}}."""
    results, workers = {}, {}
    sizes = "x".join(map(str, case["sizes"]))
    asked = ["--case", case["family"], "--sizes", sizes, "--form", "fused", "--rounds"]
    modes = ["eager"] if case["family"] in ("nt-xent", "matrix-products") else ["eager", "compile"]
    try:
        for mode in modes:
            try:
                workers[mode] = PyTorch(mode, case, limit)
                first = workers[mode].first
                results[mode] = {"extra": first["extra_memory"], "loss": first["loss"], "rounds": []}
            except Failed as reason:
                results[mode] = {"failed": str(reason)}
        ours = contrarian(binary, *asked, 1)[0]["fused"]
        results["ours"] = {"loss": ours["loss"], "extras": [], "rounds": []}
        slowest = max([ours["milliseconds"], *(max(times) for times in ask(workers, results, 1).values())])
        count = int(min(max(500 / slowest, 1), 20))
        rounds = ROUNDS if slowest < SLOW_MS else SLOW_ROUNDS if slowest < ENDLESS_MS else 1
        for _ in range(rounds):
            ours = contrarian(binary, *asked, count)[0]["fused"]
            results["ours"]["rounds"] += ours["rounds"]
            results["ours"]["extras"].append(ours["extra_memory"])
            for mode, times in ask(workers, results, count).items():
                results[mode]["rounds"] += times
    finally:
        for worker in workers.values():
            worker.close()
    results["ours"]["extra"] = statistics.median(results["ours"].pop("extras"))
    for who, result in results.items():
        if "failed" in result:
            continue
        result["ms"] = statistics.median(result.pop("rounds"))
        agree(case["case"], who, result["loss"], results["ours"]["loss"])
    return results


def agree(case, who, theirs, ours):
    if abs(theirs - ours) > AGREEMENT * max(abs(ours), 1):
        sys.exit(f"{case}: the loss is {ours} in contrarian and {theirs} in {who}; they must agree")


def check(binary, cases):
    """Every kind of work at a size that takes no time: do both sides compute the same?"""
    for family, sizes in {case["family"]: [37] * len(case["sizes"]) for case in cases}.items():
        ours = contrarian(binary, "--case", family, "--sizes", "x".join(map(str, sizes)), "--form", "fused", "--rounds", 1)
        worker = PyTorch("eager", {"family": family, "sizes": sizes}, 0)
        worker.close()
        agree(family, "eager", worker.first["loss"], ours[0]["fused"]["loss"])
        print(f"{family}: {ours[0]['fused']['loss']:.6f} and {worker.first['loss']:.6f}")


# The tables.


def number(value):
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def of(results, who, key, scale=1.0):
    result = results.get(who)
    if result is None:
        return "-"
    return result["failed"] if "failed" in result else number(result[key] * scale)


def ratio(results, key, who):
    """Ours over theirs; None where they have no figure."""
    theirs = results.get(who, {}).get(key)
    return results["ours"][key] / theirs if theirs else None


def shown(value):
    return "-" if value is None else f"{value:.3f}" if value < 0.1 else f"{value:.2f}"


def main_table(measured):
    lines = [
        "| case | ours, ms | eager, ms | compiled, ms | ours / eager | ours / compiled "
        "| ours, extra MB | eager, extra MB | compiled, extra MB | ours / eager, memory |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, results in measured.items():
        cells = [name, *(of(results, who, "ms") for who in ("ours", "eager", "compile"))]
        cells += [shown(ratio(results, "ms", who)) for who in ("eager", "compile")]
        cells += [of(results, who, "extra", 1e-6) for who in ("ours", "eager", "compile")]
        cells.append(shown(ratio(results, "extra", "eager")))
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def floor(measured, sizes):
    """The faster of PyTorch's three products, which hold the scores, and Burn's in strips."""
    results = measured[f"matrix-products-{sizes}"]
    return min(results["ours"]["ms"], results["eager"]["ms"])


def targets():
    """The targets of the issue: what, the figure from the measurements, the most it may be."""

    def against(case, key):
        return lambda measured: ratio(measured[case], key, "eager")

    def within(case, other):
        return lambda measured: measured[case]["ours"]["ms"] / measured[other]["ours"]["ms"]

    for objective in ("info-nce", "decoupled-contrastive"):
        for sizes in ("4096x128", "16384x128"):
            case = f"{objective}-{sizes}"
            yield f"{case}: time / eager", against(case, "ms"), 0.45
            yield f"{case}: extra memory / eager", against(case, "extra"), 1 / 14
    for sizes in ("4096x128", "16384x128"):
        case = f"info-nce-{sizes}"
        yield (
            f"{case}: time / three matrix products",
            lambda measured, case=case, sizes=sizes: measured[case]["ours"]["ms"] / floor(measured, sizes),
            1.25,
        )
    for sizes in ("4096x1000", "512x50000"):
        yield f"cross-entropy-{sizes}: time / eager", against(f"cross-entropy-{sizes}", "ms"), 1.0
        for objective in ("ldr", "comp-sum", "focal"):
            case = f"{objective}-{sizes}"
            yield f"{case}: time / our cross-entropy", within(case, f"cross-entropy-{sizes}"), 1.5
    case = "linear-cross-entropy-2048x512x50000"
    yield f"{case}: time / eager", against(case, "ms"), 0.7
    yield f"{case}: extra memory / eager", against(case, "extra"), 0.1
    for case, bound in (
        ("mann-whitney-1000x100000", 1 / 3),
        ("mann-whitney-near-1000x100000", 1 / 3),
        ("plackett-luce-4096x1000", 1 / 2),
    ):
        yield f"{case}: time / eager", against(case, "ms"), bound


def target_table(measured):
    lines = ["| target | at most | reached | |", "|---|---|---|---|"]
    for text, figure, bound in targets():
        value = figure(measured)
        verdict = "PyTorch does not fit" if value is None else "met" if value <= bound else "**missed**"
        lines.append(f"| {text} | {shown(bound)} | {shown(value)} | {verdict} |")
    return lines


def curves(measured):
    """(batch of embeddings, value) of NT-Xent, ours and theirs, for time and memory."""
    panels = []
    for heading, key, unit, scale in (("time", "ms", "ms", 1.0), ("extra memory", "extra", "MB", 1e-6)):
        lines = {"ours": [], "eager": []}
        for name, results in measured.items():
            if name.startswith("nt-xent-"):
                batch = 2 * int(name.removeprefix("nt-xent-").split("x")[0])
                for who, line in lines.items():
                    if results[who].get(key):
                        line.append((batch, results[who][key] * scale))
        panels.append((heading, unit, lines["ours"], lines["eager"]))
    return panels


def processor():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()


def vector_instructions():
    flags = pathlib.Path("/proc/cpuinfo").read_text()
    return next((name for name, flag in (("AVX-512", "avx512f"), ("AVX2", "avx2")) if flag in flags), "neither AVX2")


def versions():
    code = (
        "import torch, importlib.metadata as m;"
        "print(torch.__version__, m.version('pytorch-metric-learning'), torch.backends.cpu.get_cpu_capability())"
    )
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    rustc = subprocess.run(["rustc", "--version"], check=True, capture_output=True, text=True).stdout.split()[1]
    commit = ["git", "describe", "--always", "--dirty", "--exclude", "*"]
    commit = subprocess.run(commit, cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()
    return (
        f"PyTorch {found[0]} ({found[2]}), pytorch-metric-learning {found[1]}, rustc {rustc}, commit {commit}"
    )


def machine():
    return f"{processor()} with {vector_instructions()}, {os.cpu_count()} cores, {platform.system()}; {versions()}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--case", action="append", default=[], help="as of `contrarian bench`; prints only")
    parser.add_argument("--check", action="store_true", help="only check at small sizes that both sides agree")
    arguments = parser.parse_args()
    started = time.time()
    binary = build()
    names = [part for name in arguments.case for part in ("--case", name)]
    cases = contrarian(binary, "--list", *names)
    if arguments.check:
        check(binary, cases)
        return
    limit = int(available_memory() * 0.9)
    measured = {}
    disturbed = {}
    for case in cases:
        wait_for_quiet()
        others = Others()
        results = measure(binary, case, limit)
        measured[case["case"]] = results
        disturbed[case["case"]] = others.share()
        said = {who: result.get("failed") or f"{result['ms']:.2f} ms" for who, result in results.items()}
        print(case["case"], said, f"others: {disturbed[case['case']]:.0%}", file=sys.stderr, flush=True)
    lines = main_table(measured)
    if arguments.case:
        print("\n".join(lines))
        return
    minutes = (time.time() - started) / 60
    noisy = [f"{name} ({share:.0%})" for name, share in disturbed.items() if share > DISTURBED]
    quiet = (
        f"Other processes took over {DISTURBED:.0%} of the machine's time during {', '.join(noisy)}: doubt these figures."
        if noisy
        else f"No other process took {DISTURBED:.0%} of the machine's time during any case."
    )
    lines += [
        "",
        f"Medians of {ROUNDS} alternating rounds ({SLOW_ROUNDS} where one run takes over {SLOW_MS / 1000:.0f} s, 1 over {ENDLESS_MS / 1000:.0f} s); "
        f"{machine()}; {THREADS} threads each; memory limit of a PyTorch process {limit / 1e9:.1f} GB; {time.strftime('%Y-%m-%d')}, "
        f"{minutes:.0f} minutes. {quiet}",
        "",
        "The targets, computed from this run:",
        "",
        *target_table(measured),
        "",
        "NT-Xent against pytorch-metric-learning, which lays out every combination of a positive pair and a negative: its",
        "time and memory grow with the cube of the batch, our time with the square.",
        "",
        "![Time and memory of NT-Xent over the batch](ntxent-growth.svg)",
    ]
    print("\n".join(lines))
    page = ROOT / "docs" / "benchmarks.md"
    before, _, rest = page.read_text().partition("<!-- kernels -->\n")
    _, _, after = rest.partition("<!-- /kernels -->")
    page.write_text(before + "<!-- kernels -->\n" + "\n".join(lines) + "\n<!-- /kernels -->" + after)
    names = {"ours": "contrarian", "theirs": "pytorch-metric-learning"}
    growth(ROOT / "docs" / "ntxent-growth.svg", "NT-Xent: loss and gradients", names, curves(measured))


if __name__ == "__main__":
    main()
