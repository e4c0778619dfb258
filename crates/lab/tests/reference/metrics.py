"""Writes metrics.in: what scikit-learn gives for the cases in src/metrics/metric.rs (python metrics.py > metrics.in)."""

import numpy as np
from sklearn import metrics as m

p = np.array([0.1, 0.4, 0.35, 0.8, 0.8, 0.2, 0.65, 0.9, 0.5, 0.05])
y = np.array([0, 0, 1, 1, 0, 0, 1, 1, 0, 1])
d = (p >= 0.6).astype(int)


def g_mean(y, d):
    recalls = m.recall_score(y, d, average=None)
    return recalls.prod() ** (1 / len(recalls))


def ece(confidence, right):
    bins = np.clip(np.ceil(confidence * 15), 1, 15)
    return sum(abs(confidence[bins == b].sum() - right[bins == b].sum()) for b in range(1, 16)) / len(right)


two = [
    ("Accuracy", m.accuracy_score(y, d)),
    ("BalancedAccuracy", m.balanced_accuracy_score(y, d)),
    ("F1", m.f1_score(y, d)),
    ("FBeta(2.0)", m.fbeta_score(y, d, beta=2)),
    ("GMean", g_mean(y, d)),
    ("Mcc", m.matthews_corrcoef(y, d)),
    ("Precision", m.precision_score(y, d)),
    ("Recall", m.recall_score(y, d)),
    ("Auroc", m.roc_auc_score(y, p)),
    ("Auprc", m.average_precision_score(y, p)),
    ("LogLoss", m.log_loss(y, p)),
    ("Brier", m.brier_score_loss(y, p)),
    ("Ece", ece(np.maximum(p, 1 - p), np.where(p > 0.5, y == 1, y == 0).astype(float))),
]

q = np.array(
    [0.7, 0.2, 0.1, 0.1, 0.8, 0.1, 0.2, 0.3, 0.5, 0.4, 0.35, 0.25, 0.3, 0.3, 0.4, 0.05, 0.15, 0.8, 0.6, 0.3, 0.1, 0.25, 0.45, 0.3]
).reshape(-1, 3)
z = np.array([0, 1, 2, 1, 0, 2, 0, 2])
e = q.argmax(1)
hot = np.eye(3)[z]
three = [
    ("Accuracy", m.accuracy_score(z, e)),
    ("BalancedAccuracy", m.balanced_accuracy_score(z, e)),
    ("F1", m.f1_score(z, e, average="macro")),
    ("GMean", g_mean(z, e)),
    ("Mcc", m.matthews_corrcoef(z, e)),
    ("Precision", m.precision_score(z, e, average="macro")),
    ("Recall", m.recall_score(z, e, average="macro")),
    ("Auroc", np.mean([m.roc_auc_score(z == c, q[:, c]) for c in range(3)])),
    ("Auprc", np.mean([m.average_precision_score(z == c, q[:, c]) for c in range(3)])),
    ("LogLoss", m.log_loss(z, q)),
    ("Brier", ((q - hot) ** 2).sum(1).mean()),
    ("Ece", ece(q.max(1), (e == z).astype(float))),
]
for name, cases in [("TWO_CLASSES", two), ("THREE_CLASSES", three)]:
    print(f"const {name}: [(Metric, f64); {len(cases)}] = [")
    for metric, value in cases:
        print(f"    (Metric::{metric}, {float(value)!r}),")
    print("];")
