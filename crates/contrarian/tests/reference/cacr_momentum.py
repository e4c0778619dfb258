"""Writes goldens/cacr-momentum.json: the momentum form of CACR in float64, straight from its formula.

    python cacr_momentum.py > ../goldens/cacr-momentum.json
"""

import json

import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)
random = torch.Generator().manual_seed(7)
queries = torch.randn(3, 5, 4, generator=random)
keys = torch.randn(5, 4, generator=random)


def array(x):
    return {"shape": list(x.shape), "data": [float(v) for v in x.reshape(-1)]}


def momentum(q, k, t, cost):
    q, k = F.normalize(q, dim=2), F.normalize(k, dim=1)
    share = torch.softmax(((q - k) ** 2).sum(2).detach() / t, dim=0)
    total = 0.0
    for a in range(len(q)):
        s = q[a] @ k.t()
        n = len(s)
        if cost == "rbf":
            each = F.cross_entropy(s / t, torch.arange(n), reduction="none")
            total = total + (share[a] * each).mean() * 2 * t
            continue
        far = (1 - s).masked_fill(torch.eye(n, dtype=torch.bool), torch.inf)
        weight = torch.softmax(-far.detach() / t, dim=1)
        total = total + (share[a] * ((1 - s.diagonal()) - (weight * (1 - s)).sum(1))).sum()
    return total


def case(name, count, params):
    q = queries[:count].clone().requires_grad_()
    loss = momentum(q, keys, params.get("temperature", 0.2), params["cost"])
    loss.backward()
    return {
        "name": name,
        "function": "cacr-momentum",
        "params": params,
        "inputs": {"queries": array(queries[:count]), "keys": array(keys)},
        "outputs": {"loss": array(loss.detach()), "grad_queries": array(q.grad)},
    }


cases = [
    case(f"{cost}_{count}_queries{words}", count, {"cost": cost} | temperature)
    for cost in ["euclidean", "rbf"]
    for count in [1, 3]
    for words, temperature in [("", {}), ("_warm", {"temperature": 0.7})]
]
source = f"independent float64 implementation of the formula (tests/reference/cacr_momentum.py), PyTorch {torch.__version__}"
print(json.dumps({"slug": "cacr-momentum", "source": source, "cases": cases}))
