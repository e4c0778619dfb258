"""Writes goldens/metric-learning.json: losses and gradients of pytorch-metric-learning in float64.

    python metric_learning.py > ../goldens/metric-learning.json

Where we take the mean over all anchors its reducer is the mean; otherwise it is its default, the mean over what is above 0.
"""

import json
import math

import pytorch_metric_learning
import torch
from pytorch_metric_learning import losses, miners, reducers

torch.set_default_dtype(torch.float64)
random = torch.Generator().manual_seed(5)
features = torch.randn(12, 5, generator=random)
weights = torch.randn(6, 5, generator=random)
# Two classes of four, one of three, and one of a single example.
labels = torch.tensor([0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 3])
# One feature nearly opposite to its class: its angle and the margin pass pi.
features[10] = -weights[2] + 0.2 * features[10]


def array(x):
    return {"shape": list(x.shape), "data": [float(v) for v in x.reshape(-1)]}


def case(name, function, params, loss, head=False, miner=None):
    x = features.clone().requires_grad_()
    inputs = {"features": array(features), "labels": array(labels)}
    if head:
        loss.W.data = weights.t().clone()
        inputs["weights"] = array(weights)
    chosen = miner(x, labels) if miner else None
    value = loss(x, labels, chosen)
    value.backward()
    outputs = {"loss": array(value.detach()), "grad_features": array(x.grad)}
    if head:
        outputs["grad_weights"] = array(loss.W.grad.t())
    return {"name": name, "function": function, "params": params, "inputs": inputs, "outputs": outputs}


size = {"num_classes": 6, "embedding_size": 5}
mean = reducers.MeanReducer
cases = [
    case(
        "arc_face_monotone",
        "arc-face",
        {"scale": 16.0, "margin": 0.5, "angles": "monotone"},
        losses.ArcFaceLoss(margin=math.degrees(0.5), scale=16, **size),
        head=True,
    ),
    case("cos_face", "cos-face", {"scale": 16.0}, losses.CosFaceLoss(margin=0.35, scale=16, **size), head=True),
    case("am_softmax", "am-softmax", {}, losses.CosFaceLoss(margin=0.35, scale=30, **size), head=True),
    case(
        "normalized_softmax",
        "cos-face",
        {"scale": 20.0, "margin": 0.0},
        losses.NormalizedSoftmaxLoss(temperature=0.05, **size),
        head=True,
    ),
    case("triplet_all", "triplet", {"margin": 0.3}, losses.TripletMarginLoss(margin=0.3)),
    case(
        "triplet_semi_hard",
        "triplet",
        {"margin": 0.3, "mining": "semi-hard"},
        losses.TripletMarginLoss(margin=0.3),
        miner=miners.TripletMarginMiner(margin=0.3, type_of_triplets="semihard"),
    ),
    case(
        "triplet_batch_hard",
        "triplet",
        {"margin": 0.3, "mining": "batch-hard"},
        losses.TripletMarginLoss(margin=0.3, reducer=mean()),
        miner=miners.BatchHardMiner(),
    ),
    case("pair_contrastive", "pair-contrastive", {}, losses.ContrastiveLoss(pos_margin=0, neg_margin=1)),
    case("circle", "circle", {"margin": 0.25, "gamma": 32.0}, losses.CircleLoss(m=0.25, gamma=32)),
    case("multi_similarity", "multi-similarity", {}, losses.MultiSimilarityLoss(reducer=mean())),
    case("supervised_contrastive", "supervised-contrastive", {"temperature": 0.1}, losses.SupConLoss(temperature=0.1)),
]

source = f"pytorch-metric-learning {pytorch_metric_learning.__version__} on PyTorch {torch.__version__}, float64"
head, *rest = [json.dumps(case) for case in cases]
print(f'{{"slug": "metric-learning", "source": "{source}", "cases": [\n{head}', *rest, sep=",\n", end="\n]}\n")
