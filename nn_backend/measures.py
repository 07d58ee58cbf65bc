"""What tells more of a classification than its accuracy, as scikit-learn defines it; NaN where that is undefined."""

import numpy as np


def majority_share(y: np.ndarray) -> float:
    """Return the accuracy of always answering the most frequent class.

    Parameters
    ----------
    y : ndarray (n2, m)
        True values: one row of 0 and 1, or a row for each class with one 1 in each column.
    """
    return float(_each_class(y).mean(axis=1).max())


def balanced_accuracy(y: np.ndarray, yhat: np.ndarray) -> float:
    """Return the mean over the classes of the share of their examples that are predicted right.

    Parameters
    ----------
    y, yhat : ndarray (n2, m)
        True values as in `majority_share`, and probabilities.
    """
    true, asked = _each_class(y), _each_class(yhat)
    right = true.argmax(axis=0) == (asked.argmax(axis=0) if len(yhat) > 1 else yhat[0] >= 0.5)
    shares = [right[members].mean() for members in true.astype(bool) if members.any()]
    return float(np.mean(shares))


def roc_auc(y: np.ndarray, yhat: np.ndarray) -> float:
    """Return the area under the ROC curve; of more than two classes, the mean over each against the rest.

    Parameters
    ----------
    y, yhat
        As in `balanced_accuracy`.
    """
    return float(np.mean([_area(true.astype(bool), asked) for true, asked in zip(y, yhat, strict=True)]))


def _each_class(values: np.ndarray) -> np.ndarray:
    return values if len(values) > 1 else np.concatenate([1 - values, values])


def _area(true: np.ndarray, asked: np.ndarray) -> float:
    """Return the share of pairs of a true and another example in the right order; a tie counts half (Mann, Whitney)."""
    _, at, counts = np.unique(asked, return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - (counts - 1) / 2  # of equal numbers the middle one
    hits, others = true.sum(), (~true).sum()
    if hits == 0 or others == 0:
        return float("nan")
    return float((ranks[at][true].sum() - hits * (hits + 1) / 2) / (hits * others))
