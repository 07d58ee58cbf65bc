"""What is to be predicted: two classes, more classes, or numbers."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from nn_backend.errors import DataError
from nn_backend.tables.names import quoted
from nn_backend.tables.values import Values, Words, as_numbers, as_text, as_words, refuse_missing

TASKS = ("classification", "regression")
MAX_CLASSES = 15  # of a numeric target whose task is not said; with more values it is a number to predict


def learn_target(
    values: Values, name: str, where: str, task: str | None
) -> tuple[np.ndarray, tuple[str, ...] | None, str]:
    """Return y (n2, m), labels and output, as in `Table`."""
    if task == "regression":
        return as_numbers(values, name, where)[None].copy(), None, "identity"
    refuse_missing(values, name, where, what="target")
    if isinstance(values, Words):
        words = values
    else:
        numbers = as_numbers(values, name, where)
        found = np.unique(numbers)
        if np.isin(found, (0, 1)).all():
            return numbers[None].copy(), None, "sigmoid"
        if task is None and (len(found) > MAX_CLASSES or (found != np.rint(found)).any()):
            return numbers[None].copy(), None, "identity"
        words = as_words(numbers)
    used = np.unique(words.codes)
    labels = [words.words[code] for code in used]
    labels.sort(key=lambda label: (0.0, label) if isinstance(values, Words) else (float(label), label))
    if len(labels) < 2:
        raise DataError(f"{where}, target {name!r} has one value ({quoted(labels)}); expected two classes or more")
    if len(labels) > max(2, len(words.codes) / 2):
        raise DataError(
            f"{where}, target {name!r} has {len(labels)} values in {len(words.codes)} rows ({quoted(labels)}), too "
            f"many for classes; expected classes that recur, or numbers"
        )
    output = "sigmoid" if len(labels) == 2 else "softmax"
    return _classes(words, labels, output), tuple(labels), output


def encode_target(
    values: Values,
    target: str,
    labels: Sequence[Any] | None,
    where: str,
    *,
    first_row: int = 1,
    output: str,
    may_miss: bool = False,
) -> np.ndarray:
    """Return the target column as y (n2, m), float64, where it is known what it means; see `read_targets`.

    Where values may miss, their columns of y are not to be used.
    """
    if output == "identity":
        return as_numbers(values, target, where, first_row, may_miss=may_miss)[None]
    known = ["0", "1"] if labels is None else [as_text(label) for label in labels]
    if known == ["0", "1"] and output == "sigmoid":
        numbers = as_numbers(values, target, where, first_row, may_miss=may_miss)
        wrong = (numbers != 0) & (numbers != 1) & ~np.isnan(numbers)
        if wrong.any():
            row = int(wrong.argmax())
            raise DataError(
                f"{where}, target {target!r}, row {first_row + row}: {numbers[row]:g} is neither 0 nor 1; "
                f"expected only these, as in training"
            )
        return numbers[None].copy()
    if not may_miss:
        refuse_missing(values, target, where, first_row, what="target")
    words = as_words(values)
    for spelt in (str, as_text, lambda word: as_text(word).capitalize()):  # 1 may be written as 1.0, False as FALSE
        names = [spelt(word) for word in words.words]
        used = [code for code, name in enumerate(names) if name not in known]
        if not np.isin(words.codes, used).any():
            break
    else:
        row = int(
            np.isin(words.codes, [c for c, word in enumerate(words.words) if as_text(word) not in known]).argmax()
        )
        neither = f"neither {known[0]!r} nor {known[1]!r}" if len(known) == 2 else f"none of {quoted(known)}"
        raise DataError(
            f"{where}, target {target!r}, row {first_row + row}: {words.words[words.codes[row]][:50]!r} is {neither}; "
            f"expected one of these"
        )
    return _classes(Words(words.codes, tuple(names)), known, output)


def _classes(words: Words, kinds: Sequence[str], output: str) -> np.ndarray:
    """Return 1.0 where a word is the second of two kinds; for softmax, a row for each kind."""
    kinds = kinds if output == "softmax" else kinds[1:]
    of_words = np.array([[word == kind for word in words.words] for kind in kinds], np.float64)
    return np.asarray(of_words.reshape(len(kinds), -1)[:, words.codes])
