"""Writes what scikit-learn, scipy and plain loops give for the cases of embeddings: retrieval.in, clustering.in, probes.in and
principal.in (python embeddings.py). Definitions of retrieval are those of pytorch-metric-learning's AccuracyCalculator, over the
exact ranking with the own row taken out by its index and equal distances in the order of the rows; where that package is there
(2.9 was), its own answers are compared too."""

from pathlib import Path

import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import normalized_mutual_info_score
from sklearn.metrics.cluster import contingency_matrix
from sklearn.metrics.pairwise import cosine_similarity
from sklearn.preprocessing import StandardScaler

HERE = Path(__file__).parent
labels = np.array([4 if i == 60 else i % 4 for i in range(61)])
noise = np.array([[(i * i * 31 + j * j * 17 + i * j * 7 + i) % 101 for j in range(6)] for i in range(61)]) / 64
x = noise + np.array([[(c * 5 + j * 3) % 7 for j in range(6)] for c in labels]) / 4


def far(a, b, distance):
    if distance == "cosine":
        return -cosine_similarity(a, b)
    return ((a[:, None] - b[None]) ** 2).sum(2)


def ranking(distances, own=None):
    order = [int(i) for i in np.argsort(distances, kind="stable")]
    return [i for i in order if i != own]


def retrieval(distance):
    recalls, precisions, maps = {1: [], 5: [], 10: []}, [], []
    for q, distances in enumerate(far(x, x, distance)):
        hits = [labels[i] == labels[q] for i in ranking(distances, q)]
        r = sum(hits)
        if r == 0:
            continue
        for k, values in recalls.items():
            values.append(any(hits[:k]))
        precisions.append(np.mean(hits[:r]))
        maps.append(sum(hits[i] * np.mean(hits[: i + 1]) for i in range(r)) / r)
    return [float(np.mean(v)) for v in [*recalls.values(), precisions, maps]]


def knn(distance):
    values = []
    for k in [1, 5, 100]:
        right = 0
        for q, distances in enumerate(far(x[40:], x[:40], distance)):
            votes = [labels[i] for i in ranking(distances)[:k]]
            # max takes the first of equals: the class whose nearest row is nearest.
            right += max(votes, key=votes.count) == labels[40 + q]
        values.append(float(right / 21))
    return values


def accuracy(first, second):
    table = contingency_matrix(first, second)
    return float(table[linear_sum_assignment(table, maximize=True)].sum() / len(first))


def write(name, text):
    (HERE / name).write_text(text)


def compare_with_package():
    try:
        import torch
        from pytorch_metric_learning.distances import CosineSimilarity, LpDistance
        from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
        from pytorch_metric_learning.utils.inference import CustomKNN
    except ImportError:
        print("pytorch-metric-learning is not there: not compared")
        return
    names = ["precision_at_1", "r_precision", "mean_average_precision_at_r"]
    for distance, measure in [("cosine", CosineSimilarity()), ("euclidean", LpDistance(normalize_embeddings=False))]:
        calculator = AccuracyCalculator(include=names, k="max_bin_count", device=torch.device("cpu"), knn_func=CustomKNN(measure))
        theirs = calculator.get_accuracy(torch.tensor(x), torch.tensor(labels))
        ours = retrieval(distance)
        for name, value in zip(names, [ours[0], ours[3], ours[4]]):
            assert abs(theirs[name] - value) < 1e-9, (distance, name, theirs[name], value)
    print("retrieval agrees with pytorch-metric-learning")


compare_with_package()
both = ["cosine", "euclidean"]
write("retrieval.in", f"const RETRIEVAL: [[f64; 5]; 2] = {[retrieval(d) for d in both]!r};\n")

a = [(i * i + i // 7) % 5 for i in range(90)]
b = [(i * i + i // 11) % 7 for i in range(90)]
pairs = [[float(normalized_mutual_info_score(f, s)), accuracy(f, s)] for f, s in [(a, b), (b, a)]]
write("clustering.in", f"const CLUSTERING: [[f64; 2]; 2] = {pairs!r};\n")

scale = StandardScaler().fit(x[:40])
# C is one over the penalty of the summed loss: 1e-4 times the number of rows.
model = LogisticRegression(C=1 / (1e-4 * 40), tol=1e-10, max_iter=100000).fit(scale.transform(x[:40]), labels[:40])
linear = float(model.score(scale.transform(x[40:]), labels[40:]))
write(
    "probes.in",
    f"const KNN: [[f64; 3]; 2] = {[knn(d) for d in both]!r};\nconst LINEAR: f64 = {linear!r};\n",
)

pca = PCA(2, svd_solver="full").fit(x)
signs = np.array([1.0 if max(v, key=abs) > 0 else -1.0 for v in pca.components_])
rows = pca.transform(x) * signs
variances = [[float(v), float(s)] for v, s in zip(pca.explained_variance_, pca.explained_variance_ratio_)]
write(
    "principal.in",
    f"const PRINCIPAL: [[f64; 2]; 2] = {variances!r};\n"
    f"const PRINCIPAL_ROWS: [[f64; 2]; {len(rows)}] = {[[float(v) for v in row] for row in rows]!r};\n",
)
