"""The cases of `contrarian bench` in PyTorch: the same inputs from the same formula, written as PyTorch users write them.

As a program it measures one case in one process, on request (`run.py` is the one that asks):

    python pytorch.py <eager|compile> <family> <size> <size> .. <memory limit in bytes, 0 for none>

Each line on standard input is a number of timed runs; the answer is a line of JSON. The first answer, before any request,
is that of the warm-up and has the loss and the extra memory.
"""

import ctypes
import gc
import json
import pathlib
import resource
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F

THREADS = 2
TEMPERATURE = 0.1


# The inputs of crates/lab/src/bench/inputs.rs.


def words(stream, count):
    """SplitMix64 over a counter."""
    z = np.arange(1, count + 1, dtype=np.uint64)
    z += np.uint64(stream << 40)
    z *= np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in [(30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)]:
        z ^= z >> np.uint64(shift)
        z *= np.uint64(factor)
    z ^= z >> np.uint64(31)
    return z


def uniform(stream, shape, scale):
    numbers = (words(stream, int(np.prod(shape))) >> np.uint64(40)).astype(np.float32)
    numbers *= np.float32(1 / 2**23)
    numbers -= np.float32(1)
    numbers *= np.float32(scale)
    return torch.from_numpy(numbers.reshape(shape))


def labels(stream, count, classes):
    return torch.from_numpy((words(stream, count) % np.uint64(classes)).astype(np.int64))


def views(pairs, dim):
    first = uniform(0, (pairs, dim), 1)
    second = first + uniform(1, (pairs, dim), 1)
    return [rows / rows.square().sum(1, keepdim=True).sqrt() for rows in (first, second)]


# The objectives. Each takes the inputs that a gradient is taken of, then the others.


def info_nce(anchors, positives):
    return F.cross_entropy(anchors @ positives.T / TEMPERATURE, torch.arange(len(anchors)))


def decoupled_contrastive(first, second):
    """Both directions, written after the widely used public implementation, with the item itself left out exactly."""
    itself = torch.eye(len(first), dtype=torch.bool)

    def one_way(anchors, others):
        positives = (anchors * others).sum(1) / TEMPERATURE
        across = (anchors @ others.T / TEMPERATURE).masked_fill(itself, -torch.inf)
        within = (anchors @ anchors.T / TEMPERATURE).masked_fill(itself, -torch.inf)
        return (torch.logsumexp(torch.cat([across, within], 1), 1) - positives).mean()

    return one_way(first, second) + one_way(second, first)


def nt_xent(first, second):
    """pytorch-metric-learning's loss over the embeddings of both views."""
    from pytorch_metric_learning.losses import NTXentLoss

    items = torch.arange(len(first)).repeat(2)
    return NTXentLoss(temperature=TEMPERATURE)(torch.cat([first, second]), items)


def cross_entropy(logits, y):
    return F.cross_entropy(logits, y)


def ldr(logits, y, margin=0.1, temperature=1.0):
    f = F.softplus(logits)
    f = f / f.mean(1, keepdim=True)
    d = f - f.gather(1, y[:, None]) + margin
    d = d.scatter_add(1, y[:, None], torch.full((len(y), 1), -margin))
    return temperature * (torch.logsumexp(d / temperature, 1) - np.log(logits.shape[1])).mean()


def comp_sum(logits, y, tau=1.5):
    cost = -F.log_softmax(logits, 1).gather(1, y[:, None])[:, 0]
    return (torch.expm1((1 - tau) * cost) / (1 - tau)).mean()


def focal(logits, y, gamma=2.0):
    log_p = F.log_softmax(logits, 1).gather(1, y[:, None])[:, 0]
    return (-((1 - log_p.exp()) ** gamma) * log_p).mean()


def linear_cross_entropy(hidden, weight, bias, y):
    return F.cross_entropy(F.linear(hidden, weight, bias), y)


def mann_whitney(positives, negatives, temperature):
    return F.softplus((negatives[None, :] - positives[:, None]) / temperature).mean()


def plackett_luce(student, teacher, y):
    """The teacher's order with the label first; weights are the teacher's probabilities."""
    order = teacher.scatter(1, y[:, None], torch.inf).sort(dim=1, descending=True, stable=True).indices
    scores = student.gather(1, order)
    suffix = torch.logcumsumexp(scores.flip(1), 1).flip(1)
    weights = F.softmax(teacher, 1).gather(1, order)
    return (weights * (suffix - scores)).sum(1).mean()


def matrix_products(first, second):
    """The three products of an in-batch loss and nothing else."""
    scores = first @ second.T
    return scores, scores @ second, scores.T @ first


def over_logits(objective):
    return lambda batch, classes: (objective, [uniform(0, (batch, classes), 4)], [labels(1, batch, classes)])


def over_views(objective):
    return lambda pairs, dim: (objective, views(pairs, dim), [])


def over_hidden(batch, dim, classes):
    leaves = [uniform(0, (batch, dim), 1), uniform(1, (classes, dim), 0.1), uniform(2, (classes,), 0.1)]
    return linear_cross_entropy, leaves, [labels(3, batch, classes)]


def over_pools(temperature):
    def prepare(positives, negatives):
        leaves = [uniform(0, (positives,), 1), uniform(1, (negatives,), 1)]
        return (lambda p, n: mann_whitney(p, n, temperature)), leaves, []

    return prepare


def over_lists(batch, classes):
    others = [uniform(2, (batch, classes), 4), labels(1, batch, classes)]
    return plackett_luce, [uniform(0, (batch, classes), 4)], others


FAMILIES = {
    "info-nce": over_views(info_nce),
    "decoupled-contrastive": over_views(decoupled_contrastive),
    "nt-xent": over_views(nt_xent),
    "matrix-products": over_views(matrix_products),
    "cross-entropy": over_logits(cross_entropy),
    "ldr": over_logits(ldr),
    "comp-sum": over_logits(comp_sum),
    "focal": over_logits(focal),
    "linear-cross-entropy": over_hidden,
    "mann-whitney": over_pools(0.01),
    "mann-whitney-near": over_pools(1.0),
    "plackett-luce": over_lists,
}


# The measurement: as crates/lab/src/bench/measure.rs does it.


def status(field):
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"/proc/self/status has no {field}")


def settle():
    """Gives freed memory back, so that what the next run takes shows."""
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)


def step(objective, leaves, others):
    if objective is matrix_products:
        with torch.no_grad():
            return float(objective(*leaves)[0][0, 0])
    for leaf in leaves:
        leaf.grad = None
    loss = objective(*leaves, *others)
    loss.backward()
    return loss.item()


def prepared(family, sizes):
    objective, leaves, others = FAMILIES[family](*sizes)
    for leaf in leaves:
        leaf.requires_grad_()
    return objective, leaves, others


def main():
    mode, family, *numbers = sys.argv[1:]
    *sizes, limit = map(int, numbers)
    torch.set_num_threads(THREADS)
    # Code and threads are no memory of the case.
    step(*prepared(family, [min(size, 16) for size in sizes]))
    objective, leaves, others = prepared(family, sizes)
    if limit:
        # The machine may be short of memory for others; a limit fails where the system would begin to kill.
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    compiling = 0.0
    if mode == "compile":
        objective = torch.compile(objective, dynamic=False) if objective is not matrix_products else objective
        started = time.perf_counter()
        step(objective, leaves, others)
        compiling = time.perf_counter() - started
        for leaf in leaves:
            leaf.grad = None
    settle()
    before = status("VmRSS:")
    pathlib.Path("/proc/self/clear_refs").write_text("5")
    loss = step(objective, leaves, others)
    peak = status("VmHWM:")
    gradients = sum(leaf.grad.numel() * 4 for leaf in leaves if leaf.grad is not None)
    extra = max(peak - before - gradients, 0)
    print(json.dumps({"loss": loss, "extra_memory": extra, "compiling": compiling}), flush=True)
    for line in sys.stdin:
        rounds = []
        for _ in range(int(line)):
            started = time.perf_counter()
            step(objective, leaves, others)
            rounds.append((time.perf_counter() - started) * 1e3)
        print(json.dumps(rounds), flush=True)


if __name__ == "__main__":
    main()
