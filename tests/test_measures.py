"""Measures of a classification against scikit-learn's."""

import math

import numpy as np
import pytest
from sklearn import metrics

from nn_backend.measures import balanced_accuracy, majority_share, roc_auc


@pytest.mark.parametrize("classes", [2, 3, 7])
@pytest.mark.parametrize("digits", [1, 16])  # rounded, so that there are ties
def test_measures_are_those_of_scikit_learn(classes, digits):
    generator = np.random.default_rng(classes)
    labels = generator.choice(classes, 200, p=np.arange(1, classes + 1) / (classes * (classes + 1) / 2))
    scores = generator.dirichlet(np.ones(classes), 200) + (labels[:, None] == np.arange(classes)) / 5
    yhat = (scores / scores.sum(axis=1, keepdims=True)).round(digits).T
    onehot = (labels == np.arange(classes)[:, None]).astype(float)
    y, asked = (onehot[1:], yhat[1:]) if classes == 2 else (onehot, yhat)
    predicted = (asked[0] >= 0.5).astype(int) if classes == 2 else asked.argmax(axis=0)
    assert majority_share(y) == np.bincount(labels).max() / 200
    assert balanced_accuracy(y, asked) == pytest.approx(metrics.balanced_accuracy_score(labels, predicted), rel=1e-14)
    areas = [metrics.roc_auc_score(labels == k, yhat[k]) for k in (range(classes) if classes > 2 else [1])]
    assert roc_auc(y, asked) == pytest.approx(np.mean(areas), rel=1e-14)


def test_one_class_alone():
    y, yhat = np.ones((1, 3)), np.array([[0.2, 0.6, 0.9]])
    assert (majority_share(y), balanced_accuracy(y, yhat)) == (1.0, 2 / 3)
    assert math.isnan(roc_auc(y, yhat))
