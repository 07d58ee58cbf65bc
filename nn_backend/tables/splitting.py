"""Rows to train on and rows to test with."""

import numpy as np

from nn_backend.errors import ArgumentError

SPLITS = ("first", "shuffle")


def split_rows(y: np.ndarray, train_rows: int, *, how: str = "shuffle", seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers of the rows to train on and of those to test with.

    Parameters
    ----------
    y : ndarray (n2, m)
        True values as in `Table`; where they are classes, each part has its share of every class.
    train_rows : int
        How many rows to train on, at most m.
    how : str
        ``"first"``: in order; ``"shuffle"``: drawn, each part then in order.
    seed : int
        Of the drawing.

    Examples
    --------
    >>> train, test = split_rows(np.array([[0, 0, 0, 0, 1, 1, 1, 1]]), 4)
    >>> [int((rows < 4).sum()) for rows in (train, test)]
    [2, 2]
    """
    if how not in SPLITS:
        raise ArgumentError(f"split is {how!r}; accepted: {', '.join(SPLITS)}")
    m = y.shape[1]
    order = np.arange(m)
    if how == "shuffle":
        order = np.random.RandomState(seed).permutation(m)
        classes = np.unique(y, axis=1, return_inverse=True)[1].ravel() if np.isin(y, (0, 1)).all() else np.zeros(m, int)
        # Each class is spread evenly over (0, 1); the first train_rows of all then hold its share.
        drawn = classes[order]
        counts = np.bincount(drawn)
        by_class = np.argsort(drawn, kind="stable")
        place = np.empty(m)
        place[by_class] = (np.arange(m) - np.repeat(np.cumsum(counts) - counts, counts) + 0.5) / np.repeat(
            counts, counts
        )
        order = order[np.argsort(place, kind="stable")]
    return np.sort(order[:train_rows]), np.sort(order[train_rows:])
