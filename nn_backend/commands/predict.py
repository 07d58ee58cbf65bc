"""Command predict: ask a saved network about the rows of a table, which may be larger than memory."""

import argparse
import contextlib
import math
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from nn_backend import equations
from nn_backend.backend import Backend, get_backend
from nn_backend.commands.command_line import DATA, DEVICE, DONE, Parser, add_form_options, read_form, say
from nn_backend.engines.engine import Examples, Score
from nn_backend.errors import ArgumentError, DataError
from nn_backend.export import load
from nn_backend.files import STDIN as STREAM
from nn_backend.files import STDOUT, located
from nn_backend.marks import marks_file
from nn_backend.model import Model
from nn_backend.network import get_output
from nn_backend.networks import Networks
from nn_backend.predictions import FORMATS, check_predictions, write_predictions
from nn_backend.tables import (
    STDIN,
    UNKNOWN,
    Encoding,
    Source,
    Standardization,
    describe_lacking,
    encode_target,
    find_name,
    open_source,
    quoted,
    split_names,
)
from nn_backend.tables.values import Values, as_text, as_words, find_missing, refuse_missing

if TYPE_CHECKING:  # pandas takes longer to import than a small training
    import pandas as pd


def main(arguments: Sequence[str]) -> int:
    """Predict as the arguments say, write a row for each row read, and return the exit code."""
    args = _parser().parse_args(arguments)
    backend = get_backend(args.device)
    saved = load(args.model)
    if isinstance(saved, Networks) and not saved.has_groups:
        remedy = (
            "in Python, predict_proba(X, reduce='mean') asks all" if saved.part else "save one, such as their best()"
        )
        raise ArgumentError(f"{args.model} holds {len(saved)} networks; expected one, or one for each group: {remedy}")
    model = next(iter(saved)) if isinstance(saved, Networks) else saved  # all have the same meaning
    if model.output != "softmax" and len(model.params.w2) != 1:
        raise ArgumentError(f"{args.model} has {len(model.params.w2)} outputs; expected one, or the classes of softmax")
    output = STDOUT if args.output == STDIN else located(args.output)
    with contextlib.ExitStack() as opened:
        path = opened.enter_context(marks_file()) if args.data == "marks" else args.data
        check_predictions(output, args.model, STREAM if args.data == STDIN else path)
        source = open_source(path, read_form(args), once=True)
        say(source.notes)
        asking = _Asking(model, saved, source, args, backend)
        write_predictions(output, asking.frames())
    told = sys.stderr if output == STDOUT else sys.stdout
    print(f"{asking.rows} rows predicted", file=told)
    if asking.labelled:
        cost, accuracy, r2 = asking.reached.score()
        quality = f"R² {r2:.4f}" if model.output == "identity" else f"accuracy {accuracy:.4f}"
        of = "" if asking.labelled == asking.rows else f" of the {asking.labelled} rows with a true value"
        print(f"{quality}, cost {cost:.3f}{of}", file=told)
    return DONE


class _Asking:
    """A model, or that of each row's group, that is asked about a table, chunk by chunk."""

    def __init__(
        self, model: Model, saved: Model | Networks, source: Source, args: argparse.Namespace, backend: Backend
    ) -> None:
        self.rows, self.labelled, self.reached = 0, 0, _Reached(model.output)
        self._model, self._source, self._backend, self._unknown = model, source, backend, args.unknown
        self._kept = [find_name(name, source.names) for name in split_names(args.keep or "")]
        self._groups = saved if isinstance(saved, Networks) else None
        self._by = [] if self._groups is None else [str(self._groups.part)]
        self._keys = [] if self._groups is None else self._groups.table[self._by[0]].unique().tolist()
        needed = [*self._kept, *self._by]
        self._encoding, self._target = _match(model, source.names, args.target, needed, source.where)
        self._classes = model.labels or tuple(range(max(2, len(model.params.w2))))

    def frames(self) -> Iterator["pd.DataFrame"]:
        """Yield the predictions, in a frame for each chunk of rows."""
        where, target = self._source.where, self._target
        columns = [*self._encoding.names, *([target] if target else []), *self._kept, *self._by]
        words = [column.name for column in self._encoding.columns if column.words is not None] + self._kept
        if target and self._model.output != "identity":
            words.append(target)
        if self._groups is not None and self._groups.table[self._by[0]].dtype.kind not in "if":
            words += self._by
        for values in self._source.chunks([*dict.fromkeys(columns)], words):
            first_row = self.rows + 1
            X = self._encoding.encode(values, where, first_row=first_row, unknown=self._unknown)
            if not X.shape[1]:
                continue
            y = known = None
            if target is not None and (known := ~find_missing(values[target])).any():
                y = self._read_true(values[target], first_row)
            z2, yhat, scale = self._ask(X, values, first_row)
            own = yhat if scale is None else scale.undo(yhat)
            if y is not None and known is not None:
                scaled = np.asarray(y if scale is None else scale.apply(y), yhat.dtype)
                self.labelled += int(known.sum())
                self.reached.add(*(each[:, known] for each in (z2, scaled, own, y)))
            self.rows += X.shape[1]
            yield self._framed(values, own)
        if not self.rows:
            raise DataError(f"{where} has no rows below its header; expected one example per row")

    def _ask(
        self, X: np.ndarray, values: Mapping[str, Values], first_row: int
    ) -> tuple[np.ndarray, np.ndarray, Standardization | None]:
        """Return z2, yhat, and how the target of these rows is scaled."""
        if self._groups is None:
            return *self._model.compute_layers(X, backend=self._backend), self._model.target_scale
        groups = self._read_groups(values[self._by[0]], first_row)
        layers = self._groups.compute_layers(X, groups, backend=self._backend)
        return *layers, self._groups.scales._replace(features=None).of_examples(groups).target

    def _read_groups(self, values: Values, first_row: int) -> np.ndarray:
        """Return the number of each row's group."""
        (name,), where, keys = self._by, self._source.where, self._keys
        refuse_missing(values, name, where, first_row)
        known = {as_text(key): number for number, key in enumerate(keys) if not isinstance(key, str)}
        known |= {str(key): number for number, key in enumerate(keys)}
        words = as_words(values)
        groups: np.ndarray = np.array([known.get(word, -1) for word in words.words], np.int64)[words.codes]
        if (groups < 0).any():
            row = int(np.argmin(groups))
            word, known_words = words.words[words.codes[row]][:50], quoted([*map(str, keys)])
            raise DataError(
                f"{where}, column {name!r}, row {first_row + row}: {word!r} has no network; these have: {known_words}"
            )
        return groups

    def _read_true(self, values: Values, first_row: int) -> np.ndarray:
        """Return y (n2, m), of which the columns of rows with a true value are meant."""
        model, name, where = self._model, str(self._target), self._source.where
        labels = self._classes if model.output == "softmax" else model.labels
        return encode_target(values, name, labels, where, first_row=first_row, output=model.output, may_miss=True)

    def _framed(self, values: Mapping[str, Values], yhat: np.ndarray) -> "pd.DataFrame":
        import pandas as pd

        columns: dict[str, np.ndarray] = {}
        for name in self._kept:
            words = as_words(values[name])
            columns[name] = np.array([*words.words, None], dtype=object)[words.codes]
        output, classes = self._model.output, self._classes
        if output == "identity":
            return pd.DataFrame({**columns, "prediction": yhat[0]})
        names = [f"probability_{name}" for name in classes] if output == "softmax" else ["probability"]
        chosen = yhat.argmax(axis=0) if output == "softmax" else np.asarray(yhat[0] >= 0.5, np.intp)
        labels = np.array(classes, dtype=object)[chosen]
        return pd.DataFrame({**columns, **dict(zip(names, yhat, strict=True)), "label": labels})


class _Reached:
    """What the chunks say of the score of all rows."""

    def __init__(self, output: str) -> None:
        self._output = get_output(output)
        self._costs: list[float] = []
        self._errors: list[float] = []
        self._rows, self._mean, self._spread = 0, 0.0, 0.0

    def add(self, z2: np.ndarray, y: np.ndarray, found: np.ndarray, true: np.ndarray) -> None:
        """Add a chunk: z2 and true values as the network has them, what it found and true values in their own units."""
        m = y.shape[1]
        if not m:
            return
        self._costs.append(m * float(equations.cost(z2, y, m, output=self._output, xp=np)))
        self._errors.append(float(np.sum(self._output.errors(found, true, xp=np), dtype=np.float64)))
        mean = float(true.mean())
        apart = mean - self._mean  # of the chunk from the rows so far
        self._spread += float(np.sum(np.square(true - mean))) + apart**2 * self._rows * m / (self._rows + m)
        self._mean += apart * m / (self._rows + m)
        self._rows += m

    def score(self) -> Score:
        """Return the score of all rows."""
        spread = np.array([self._spread]) if self._output.name == "identity" else None
        cost, errors = (math.fsum(shares) for shares in (self._costs, self._errors))
        examples = Examples(None, total=self._rows, spread=spread)
        return Score.of(examples, np.array(cost / self._rows), np.array([errors]))


def _parser() -> Parser:
    parser = Parser(
        "predict",
        "Ask a network saved by train: a line for each row of a table, with probability and label, "
        "probability_NAME of each of several classes and label, or prediction. In text, words that a spreadsheet would "
        "run as formulas have an apostrophe before them.",
        example="--model model.safetensors --data marks --output predicted.csv",
        first="train --save model.safetensors",
    )
    add = parser.add_argument
    add("--model", type=located, required=True, help="what train --save wrote")
    add("--data", required=True, help=f"marks, {DATA}")
    add(
        "--output", default=STDIN, help=f"file to write, ending in {', '.join(FORMATS)}, or {STDIN} for standard output"
    )
    add("--keep", help="columns to copy to the output, separated by commas")
    add("--target", help="column with the true values, where there is one; else as in training")
    add("--unknown", choices=UNKNOWN, default="refuse", help="what becomes of words that the training had not")
    add("--device", help=DEVICE)
    add_form_options(parser)
    return parser


def _match(
    model: Model, names: Sequence[str], asked: str | None, kept: Sequence[str], where: str
) -> tuple[Encoding, str | None]:
    """Return what becomes of the columns, and that of the true values or None; tell on stderr what is not used."""
    target = model.target if asked is None else find_name(asked, names)
    encoding = model.columns
    if encoding is None:  # then by their order
        encoding = Encoding.of_numbers([name for name in names if name != target and name not in kept])
        n0 = model.params.w1.shape[1]
        if len(encoding.names) != n0:
            raise DataError(
                f"{where} has {len(encoding.names)} columns beside the target; expected {n0}, as the network's inputs "
                f"have no names"
            )
    if target in encoding.names:
        raise ArgumentError(f"--target is {target!r}, which is an input of the network")
    needed = dict.fromkeys([*encoding.names, *([] if asked is None or target is None else [target]), *kept])
    counts = Counter(names)
    missing = [name for name in needed if name not in counts]
    if missing:
        raise DataError(f"{where} {describe_lacking(missing, names)}")
    used = [name for name in names if name in needed or name == target]
    twice = sorted({name for name in used if counts[name] > 1})
    if twice:
        raise DataError(f"{where} has several columns named {quoted(twice)}; rename all but one")
    extra = [name for name in names if name not in needed and name != target]
    if extra:
        say([f"columns not used: {quoted(extra)} (--keep copies them)"])
    return encoding, target if target in names else None
