"""Command predict: ask a saved network about the rows of a table, which may be larger than memory."""

import contextlib
import math
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from nn_backend import equations
from nn_backend.backend import get_backend
from nn_backend.commands.command_line import DONE, Parser
from nn_backend.engines.engine import Examples, Score
from nn_backend.errors import ArgumentError, DataError
from nn_backend.export import load
from nn_backend.files import STDOUT, SUFFIXES, check_output, read_frames, replacing
from nn_backend.marks import marks_file
from nn_backend.model import Model
from nn_backend.tables import column_names, quoted, read_features, read_targets

CHUNK_ROWS = 100_000  # BLAS may round a row's last bit by its place in the chunk
STREAM = "-"


def main(arguments: Sequence[str]) -> int:
    """Predict as the arguments say, write a row for each row read, and return the exit code."""
    args = _parser().parse_args(arguments)
    backend = get_backend(args.device)
    model = load(args.model)
    if not isinstance(model, Model):
        raise ArgumentError(f"{args.model} holds {len(model)} networks; expected one, such as their best() saved")
    if model.output != "softmax" and len(model.params.w2) != 1:
        raise ArgumentError(f"{args.model} has {len(model.params.w2)} outputs; expected one, or the classes of softmax")
    output = STDOUT if args.output == STREAM else Path(args.output)
    classes = model.labels or tuple(range(max(2, len(model.params.w2))))
    known = classes if model.output == "softmax" else model.labels
    # Booleans, which equal 0 and 1, are read as such, however they are written; other words as they stand.
    words = None if classes in ((0, 1), ("False", "True")) else args.target or model.target
    rows, reached = 0, _Reached(model.output)
    with contextlib.ExitStack() as opened:
        path, where = opened.enter_context(_opened(args.data))
        check_output(output, args.model, path)
        file = opened.enter_context(replacing(output))
        for frame in read_frames(path, CHUNK_ROWS, name=where, words=words):
            if rows == 0:
                names = column_names(frame)
                features, target = _match(model, names, args.target, where)
            if len(frame) == 0:
                break
            X = read_features(frame, features, where, first_row=rows + 1)
            yhat = model.predict_proba(X, backend=backend)
            _write(file, yhat, model.output, classes, header=rows == 0)
            if target is not None:
                y = read_targets(frame, target, known, where, first_row=rows + 1, output=model.output)
                reached.add(model.score(X, y, backend=backend), y, yhat)
            rows += X.shape[1]
        if rows == 0:
            raise DataError(f"{where} has no rows below its header; expected one example per row")
    told = sys.stderr if output == STDOUT else sys.stdout
    print(f"{rows} rows predicted", file=told)
    if target is not None:
        cost, accuracy, r2 = reached.score()
        quality = f"R² {r2:.4f}" if model.output == "identity" else f"accuracy {accuracy:.4f}"
        print(f"{quality}, cost {cost:.3f}", file=told)
    return DONE


class _Reached:
    """What the scores of the chunks say of all rows."""

    def __init__(self, output: str) -> None:
        self._output = output
        self._costs: list[float] = []
        self._errors: list[float] = []
        self._rows, self._mean, self._spread = 0, 0.0, 0.0

    def add(self, score: Score, y: np.ndarray, yhat: np.ndarray) -> None:
        """Add a chunk."""
        m = y.shape[1]
        self._costs.append(score.cost * m)
        if self._output == "identity":
            self._errors.append(float(np.sum(equations.squared_error(yhat, y, xp=np))))
            mean = float(y.mean())
            apart = mean - self._mean  # of the chunk from the rows so far
            self._spread += float(np.sum(np.square(y - mean))) + apart**2 * self._rows * m / (self._rows + m)
            self._mean += apart * m / (self._rows + m)
        else:
            self._errors.append((1 - score.accuracy) * m)
        self._rows += m

    def score(self) -> Score:
        """Return the score of all rows."""
        spread = np.array([self._spread]) if self._output == "identity" else None
        cost, errors = (math.fsum(shares) for shares in (self._costs, self._errors))
        examples = Examples(None, total=self._rows, spread=spread)
        return Score.of(examples, np.array(cost / self._rows), np.array([errors]))


def _parser() -> Parser:
    parser = Parser(
        "predict",
        "Ask a network saved by train: a line for each row of a table, with probability and label, "
        "probability_NAME of each of several classes and label, or prediction.",
        example="--model model.safetensors --data marks --output predicted.csv",
        first="train --save model.safetensors",
    )
    add = parser.add_argument
    add("--model", type=Path, required=True, help="what train --save wrote")
    add("--data", required=True, help=f"marks, a file ending in {', '.join(SUFFIXES)}, or {STREAM} for CSV from stdin")
    add("--output", default=STREAM, help=f"CSV file to write, or {STREAM} for standard output")
    add("--target", help="column with the true values, where there is one; else as in training")
    add("--device", help="cpu, gpu, cupy:1 (a device by its number) or auto; else NN_BACKEND, else cpu")
    return parser


def _match(model: Model, names: Sequence[str], asked: str | None, where: str) -> tuple[Sequence[str], str | None]:
    """Return the columns of the inputs, and that of the true values or None; tell on stderr what is not used."""
    target = model.target if asked is None else asked
    features = model.features
    n0 = model.params.w1.shape[1]
    if features is None:  # then by their order
        features = tuple(name for name in names if name != target)
        if len(features) != n0:
            raise DataError(
                f"{where} has {len(features)} columns beside the target; expected {n0}, as the network's inputs have "
                f"no names"
            )
    if target in features:
        raise ArgumentError(f"--target is {target!r}, which is an input of the network")
    missing = [name for name in (*features, asked) if name is not None and name not in names]
    if missing:
        raise DataError(f"{where} lacks the column {quoted(missing)}; its columns are {quoted(names)}")
    used = [name for name in names if name in features or name == target]
    twice = sorted({name for name in used if used.count(name) > 1})
    if twice:
        raise DataError(f"{where} has several columns named {quoted(twice)}; rename all but one")
    extra = [name for name in names if name not in used]
    if extra:
        print(f"columns not used: {quoted(extra)}", file=sys.stderr)
    return features, target if target in names else None


def _write(file: IO[bytes], yhat: np.ndarray, output: str, classes: Sequence[Any], *, header: bool) -> None:
    import pandas as pd

    columns: dict[str, np.ndarray] = {}
    if output == "identity":
        columns["prediction"] = yhat[0]
    else:
        names = [f"probability_{name}" for name in classes] if output == "softmax" else ["probability"]
        chosen = yhat.argmax(axis=0) if output == "softmax" else np.asarray(yhat[0] >= 0.5, np.intp)
        columns = {**dict(zip(names, yhat, strict=True)), "label": np.array(classes, dtype=object)[chosen]}
    pd.DataFrame(columns).to_csv(file, index=False, header=header, mode="wb")


@contextlib.contextmanager
def _opened(data: str) -> Iterator[tuple[Path, str]]:
    """Return the path of the table, and what to call it; standard input is put into a file, to be read in turns."""
    if data == "marks":
        with marks_file() as path:
            yield path, data
        return
    if data != STREAM:
        yield Path(data), data
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "input.csv"
        with path.open("wb") as file:
            if sys.stdin is not None:  # None where the caller closed it
                shutil.copyfileobj(sys.stdin.buffer, file)
        yield path, "standard input"
