#!/usr/bin/env python3
# Writes the numbers that metrics_test.cpp holds ours against:
#   python3 -m venv v && v/bin/pip install scikit-learn==1.9.1 && v/bin/python tests/pipelines/sklearn_metrics.py
# Nine digits of scikit-learn's own results for the twelve examples below, which have ties and one class that is hard.
import numpy as np
import sklearn
from sklearn import metrics

labels = np.array([0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2])
probabilities = np.array([
    [0.70, 0.20, 0.10], [0.50, 0.30, 0.20], [0.40, 0.35, 0.25], [0.20, 0.60, 0.20],
    [0.10, 0.80, 0.10], [0.30, 0.50, 0.20], [0.50, 0.30, 0.20], [0.25, 0.40, 0.35],
    [0.05, 0.05, 0.90], [0.20, 0.20, 0.60], [0.30, 0.50, 0.20], [0.40, 0.30, 0.30]])
predicted = probabilities.argmax(axis=1)
one_hot = np.eye(3)[labels]
values = {
    "accuracy": metrics.accuracy_score(labels, predicted),
    "balanced_accuracy": metrics.balanced_accuracy_score(labels, predicted),
    "macro_f1": metrics.f1_score(labels, predicted, average="macro"),
    "mcc": metrics.matthews_corrcoef(labels, predicted),
    "auroc": metrics.roc_auc_score(labels, probabilities, multi_class="ovr", average="macro"),
    "auprc": np.mean([metrics.average_precision_score(one_hot[:, c], probabilities[:, c]) for c in range(3)]),
    "log_loss": metrics.log_loss(labels, probabilities),
    "brier": np.mean(np.sum((probabilities - one_hot) ** 2, axis=1)),
}
print("scikit-learn", sklearn.__version__)
for name, value in values.items():
    print(f"{name} {value:.9f}")
