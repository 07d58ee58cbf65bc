"""Which rows of a table a training sees: those to train on, to stop by and to test with."""

from collections.abc import Iterator

import numpy as np

from nn_backend.errors import ArgumentError
from nn_backend.tables import Table

VALIDATION_SHARE = 0.1


def count_train_rows(
    where: str, rows: int, train_rows: int | None, test_rows: int | None, default: int | None = None
) -> int:
    """Return how many of a table's rows to train on; by default three quarters of them."""
    if train_rows is not None and test_rows is not None:
        raise ArgumentError("--train-rows and --test-rows are both given; expected one of them")
    if test_rows is not None:
        if not 0 <= test_rows < rows:
            raise ArgumentError(f"--test-rows is {test_rows}; expected 0 to {rows - 1} of the {rows} rows of {where}")
        return rows - test_rows
    chosen = train_rows if train_rows is not None else default or max(1, rows * 3 // 4)
    if not 1 <= chosen <= rows:
        raise ArgumentError(f"--train-rows is {chosen}; expected 1 to {rows}, the rows of {where}")
    return chosen


def check_parts(table: Table, trained: np.ndarray, tested: np.ndarray) -> Iterator[str]:
    """Refuse to train on one class of several; yield notes on parts that have but one."""
    if table.output == "identity":
        return
    parts = {"training": table.y[:, trained], "test": table.y[:, tested]}
    alone = {name: y.shape[1] for name, y in parts.items() if y.size and (y == y[:, :1]).all()}
    if "training" in alone and not (table.y == table.y[:, :1]).all():
        raise ArgumentError(
            f"all {len(trained)} rows to train on are of one class; expected two or more (--split, --train-rows)"
        )
    for name, count in alone.items():
        if count > 1:
            yield f"note: all {count} {name} rows are of one class, so their accuracy says little"


def hold_out(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows held out for early stopping and those left, both in order."""
    count = int(rows * VALIDATION_SHARE)
    if not count:
        raise ArgumentError(f"--early-stopping holds a tenth of {rows} training rows out; expected at least 10 rows")
    order = np.random.RandomState(seed).permutation(rows)
    return np.sort(order[:count]), np.sort(order[count:])
