"""A training step with an output layer over very many classes: contrarian's factored layer (Z-loss) and its dense one
(cross-entropy), PyTorch's dense one and a two-level softmax in PyTorch that touches only the clusters of its batch.

The layer alone, and under a word model (nine embeddings of 32, a rectified layer). About 10 minutes, 8 GB:

    python bench/kernels/output_layers.py         # writes docs/benchmarks.md
    python bench/kernels/output_layers.py --check # small sizes, prints only
"""

import argparse
import statistics
import subprocess
import sys
import time

from run import DISTURBED, ENVIRONMENT, HERE, ROOT, THREADS, Others, machine, target_directory, wait_for_quiet

DIM, BATCH, ROUNDS = 128, 64, 3
BILLION_WORDS = 793_471
WORDS, EMBEDDING = 9, 32
WHO = ("factored", "dense", "PyTorch dense", "PyTorch two-level")


def torch_steps(layer, what, classes, dim, batch, steps):
    """Median milliseconds of a step and the peak memory of this process in MB."""
    import resource

    import torch
    from torch import nn
    from torch.nn import functional as F

    torch.set_num_threads(THREADS)
    torch.manual_seed(1)
    size = int(classes**0.5 - 1e-9) + 1
    if layer == "dense":
        output = nn.Linear(dim, classes, bias=False)
        descend = torch.optim.SGD(output.parameters(), lr=0.1)
    else:
        clusters = -(-classes // size)
        top = nn.Linear(dim, clusters)
        descend = torch.optim.SGD(top.parameters(), lr=0.1)
        weight, bias = torch.randn(clusters, dim, size) * 0.001, torch.zeros(clusters, size)
    network = what == "network"
    if network:
        table, hidden_layer = nn.Embedding(classes, EMBEDDING, sparse=True), nn.Linear(WORDS * EMBEDDING, dim)
        below = torch.optim.SGD([*table.parameters(), *hidden_layer.parameters()], lr=0.1)
    times = []
    for _ in range(steps):
        targets, words = torch.randint(classes, (batch,)), torch.randint(classes, (batch, WORDS))
        given = torch.rand(batch, dim).mul(2).sub(1).relu().requires_grad_()
        started = time.perf_counter()
        hidden = F.relu(hidden_layer(table(words).flatten(1))) if network else given
        if layer == "dense":
            loss = F.cross_entropy(output(hidden), targets)
        else:
            cluster, place = targets // size, targets % size
            own_weight, own_bias = weight[cluster].requires_grad_(), bias[cluster].requires_grad_()
            places = torch.bmm(hidden[:, None], own_weight)[:, 0] + own_bias
            loss = F.cross_entropy(top(hidden), cluster) + F.cross_entropy(places, place)
        loss.backward()
        descend.step()
        descend.zero_grad()
        if layer != "dense":
            weight.index_add_(0, cluster, own_weight.grad, alpha=-0.1)
            bias.index_add_(0, cluster, own_bias.grad, alpha=-0.1)
        if network:
            below.step()
            below.zero_grad()
        times.append((time.perf_counter() - started) * 1e3)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    print(statistics.median(times), statistics.mean(times), peak)


def ask(command):
    run = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, cwd=HERE)
    if run.returncode != 0:
        sys.exit(run.stderr)
    median, _, peak = map(float, run.stdout.split())
    return median, peak


def measure(example, what, classes):
    """{who: (milliseconds a step, MB)}, medians over alternating rounds."""
    found = {who: [] for who in WHO}
    for _ in range(ROUNDS):
        for who in WHO:
            library, _, layer = who.rpartition(" ")
            steps = 1000 if layer == "factored" else 50 if layer == "two-level" or classes <= 10_000 else 8
            arguments = [layer, what, *map(str, (classes, DIM, BATCH, steps))]
            own = [str(example)] if not library else [sys.executable, __file__, "--torch"]
            found[who].append(ask([*own, *arguments]))
    return {who: tuple(map(statistics.median, zip(*rounds))) for who, rounds in found.items()}


def targets(measured):
    """What, the figure reached, the bound, whether the figure must be above it."""
    layer, network = measured["layer"], measured["network"]

    def times(found, who):
        return found[who][0] / found["factored"][0]

    flat = [found["factored"][0] for classes, found in layer.items() if 10_000 <= classes <= 1_000_000]
    yield "slowest / fastest factored step, 10^4 to 10^6 classes", max(flat) / min(flat), 1.2, False
    if 100_000 in layer:
        yield "times faster than PyTorch's dense layer, 100,000 classes", times(layer[100_000], WHO[2]), 100, True
        yield "times faster than our dense layer, 100,000 classes", times(layer[100_000], WHO[1]), 100, True
    if BILLION_WORDS in layer:
        yield "times faster than PyTorch's dense layer, 793,471 classes", times(layer[BILLION_WORDS], WHO[2]), 400, True
        yield "times faster than our dense layer, 793,471 classes", times(layer[BILLION_WORDS], WHO[1]), 400, True
        yield "times faster than the two-level softmax, 793,471 classes", times(layer[BILLION_WORDS], WHO[3]), 4, True
        whole = network[BILLION_WORDS]
        yield "whole step: times faster than with PyTorch's dense layer, 793,471 classes", times(whole, WHO[2]), 40, True


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="small sizes, prints only")
    parser.add_argument("--torch", nargs=6, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.torch:
        torch_steps(*arguments.torch[:2], *map(int, arguments.torch[2:]))
        return
    started = time.time()
    subprocess.run(["cargo", "build", "--release", "--workspace", "--examples"], cwd=ROOT, check=True)
    example = target_directory() / "release" / "examples" / "output_layers"
    many = [10_000] if arguments.check else [10_000, 100_000, BILLION_WORDS, 1_000_000]
    measured, noisy = {}, []
    for what, sizes in (("layer", many), ("network", many[-2:-1] or many)):
        measured[what] = {}
        for classes in sizes:
            wait_for_quiet()
            others = Others()
            measured[what][classes] = measure(example, what, classes)
            if others.share() > DISTURBED:
                noisy.append(f"{what} {classes:,} ({others.share():.0%})")
            print(what, classes, measured[what][classes], file=sys.stderr, flush=True)
    lines = [
        "| | classes | " + " | ".join(f"{who}, ms | MB" for who in WHO) + " |",
        "|---" * (2 + 2 * len(WHO)) + "|",
    ]
    for what, sizes in measured.items():
        for classes, found in sizes.items():
            cells = " | ".join(f"{ms:.2f} | {peak:.0f}" for ms, peak in found.values())
            lines.append(f"| {'layer' if what == 'layer' else 'whole network'} | {classes:,} | {cells} |")
    quiet = f"Others took over {DISTURBED:.0%} of the machine during {', '.join(noisy)}." if noisy else "The machine was quiet."
    lines += [
        "",
        f"Median milliseconds a training step and peak memory of the process; dim {DIM}, batch {BATCH}, medians of {ROUNDS} "
        f"alternating rounds; {machine()}; {THREADS} threads each; {time.strftime('%Y-%m-%d')}, "
        f"{(time.time() - started) / 60:.0f} minutes. {quiet}",
        "",
        "| target | bound | reached | |",
        "|---|---|---|---|",
    ]
    for text, figure, bound, above in targets(measured):
        met = figure >= bound if above else figure <= bound
        lines.append(f"| {text} | {'at least' if above else 'at most'} {bound} | {figure:.2f} | {'met' if met else '**missed**'} |")
    print("\n".join(lines))
    if not arguments.check:
        page = ROOT / "docs" / "benchmarks.md"
        before, _, rest = page.read_text().partition("<!-- output layers -->\n")
        _, _, after = rest.partition("<!-- /output layers -->")
        page.write_text(before + "<!-- output layers -->\n" + "\n".join(lines) + "\n<!-- /output layers -->" + after)


if __name__ == "__main__":
    main()
