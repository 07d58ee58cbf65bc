"""What columns of features are: what stands in the way of using them, how they are encoded, what is to be said."""

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from nn_backend.tables.encoding import Column
from nn_backend.tables.names import to_option
from nn_backend.tables.targets import MAX_CLASSES
from nn_backend.tables.values import Values, Words, are_truths, parse

MAX_WORDS = 256  # of a column, each of which becomes an input


def find_obstacles(
    values: Mapping[str, Values],
    missed: Mapping[str, np.ndarray],
    chosen: Sequence[str],
    needed: Sequence[str],
    missing: str | None,
    keep: np.ndarray,
) -> Iterator[str]:
    """Yield what stands in the way of training on these columns."""
    distinct, drop = [], []
    for name in chosen:
        column = values[name]
        if isinstance(column, Words) and not are_truths(column):
            numbers = parse(column.words)
            filled = int((column.codes >= 0).sum())
            if len(numbers) > MAX_CLASSES and 2 * np.isnan(numbers).sum() < len(numbers):
                code = int(np.isnan(numbers).argmax())
                row = int((column.codes == code).argmax()) + 1
                yield (
                    f"column {name!r}, row {row}: {column.words[code][:50]!r} is not a number; expected a number in "
                    f"every row"
                )
            elif len(numbers) > max(2, min(MAX_WORDS, filled / 2)):
                distinct.append(f"{name!r} ({len(numbers)} in {filled} rows)")
                drop.append(name)
        elif not isinstance(column, Words) and np.isinf(column).any():
            row = int(np.isinf(column).argmax()) + 1
            yield f"column {name!r}, row {row}: the value is infinite; expected finite numbers"
    if drop:
        yield f"too many different words in {', '.join(distinct[:10])}: leave them out with --drop {to_option(drop)}"
    lacking = {name: int(missed[name].sum()) for name in (*chosen, *needed) if missed[name].any() and name not in drop}
    if missing is None and lacking:
        counts = [f"{name!r} ({count})" for name, count in lacking.items()]
        first = next(iter(lacking))
        row = int(missed[first].argmax()) + 1
        yield (
            f"missing values in {', '.join(counts[:10])}{', …' * (len(counts) > 10)}, the first in column {first!r}, "
            f"row {row}: --missing mean puts means in their place, --missing drop leaves out such rows"
        )
    if missing is not None and not keep.any():
        emptiest = max(lacking, key=lambda name: lacking[name])
        yield f"every row lacks a value; leave the emptiest column out: --drop {to_option([emptiest])}"


def learn_column(name: str, values: Values, filled: bool) -> Column:
    """Return what becomes of a column; a mean is filled in later."""
    if not isinstance(values, Words) or are_truths(values):
        return Column(name, None, math.nan if filled else None)
    present = np.unique(values.codes[values.codes >= 0])
    return Column(name, tuple(sorted(values.words[code] for code in present)), 0.0 if filled else None)


def describe_columns(
    columns: Sequence[Column], values: Mapping[str, Values], missed: Mapping[str, np.ndarray], missing: str | None
) -> Iterator[str]:
    """Yield what was assumed of the features."""
    words = [
        f"{column.name} ({column.words[1]!r} is 1)"
        if len(column.words) == 2
        else f"{column.name} ({len(column.words)})"
        for column in columns
        if column.words
    ]
    if words:
        yield f"columns of words, of two the second is 1, more have an input each: {', '.join(words)}"
    filled = [f"{column.name} ({int(missed[column.name].sum())})" for column in columns if column.fill is not None]
    if filled:
        yield f"missing values, the mean in their place and an input that says so: {', '.join(filled)}"
    for column in columns:
        numbers = values[column.name]
        if not isinstance(numbers, Words) and len(numbers) > 9 and _count_rows(numbers):
            yield (
                f"column {column.name!r} rises from row to row, as a number of the row does "
                f"(--drop {to_option([column.name])} leaves it out)"
            )


def _count_rows(numbers: np.ndarray) -> bool:
    """Return whether whole numbers rise from row to row."""
    return bool((numbers[:10] == np.rint(numbers[:10])).all() and (np.diff(numbers) > 0).all())
