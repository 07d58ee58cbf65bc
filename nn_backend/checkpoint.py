"""A run that goes on another day: its whole state in a file, and the settings that must be the same then."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nn_backend import tensors
from nn_backend.engines.engine import Score
from nn_backend.equations import Params
from nn_backend.errors import ArgumentError
from nn_backend.optimizers import State


class Row(NamedTuple):
    """A row of the history: the state after so many iterations, on the training and the validation data."""

    iteration: int
    score: Score
    validation: Score | None


class Best(NamedTuple):
    """The states of the lowest cost of the validation data so far.

    Attributes
    ----------
    params : Params
        NumPy arrays.
    cost, iteration, waited : ndarray
        Of each network: that cost, its row, and how many rows came since.
    """

    params: Params
    cost: np.ndarray
    iteration: np.ndarray
    waited: np.ndarray


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """Where a run is.

    Attributes
    ----------
    state : State
        NumPy arrays: parameters, and what the update rule remembers.
    iteration : int
        Iterations done by the networks whose run has not ended.
    iterations, status : ndarray
        Of each network: its iterations, and why its run has ended, or ``""``.
    rows : list of Row
        The history.
    best : Best or None
        None without validation data.
    """

    state: State
    iteration: int
    iterations: np.ndarray
    status: np.ndarray
    rows: list[Row]
    best: Best | None


_BEST = (*Params._fields, *Best._fields[1:])


def write(path: str | Path, checkpoint: Checkpoint, settings: Mapping[str, Any]) -> None:
    """Save a checkpoint; an old one is replaced at once."""
    arrays = {f"state.{name}": array for name, array in checkpoint.state.arrays().items()}
    arrays["iterations"] = checkpoint.iterations
    if checkpoint.best is not None:
        params, *counts = checkpoint.best
        arrays |= {f"best.{name}": array for name, array in zip(_BEST, (*params, *counts), strict=True)}
    arrays["rows.iteration"] = np.array([row.iteration for row in checkpoint.rows], np.int64)
    for kind in ("score", "validation"):
        scores = [score for row in checkpoint.rows if (score := getattr(row, kind)) is not None]
        for k, field in enumerate(Score._fields if scores else ()):
            arrays[f"rows.{kind}.{field}"] = np.array([score[k] for score in scores], np.float64)
    meaning = {"iteration": checkpoint.iteration, "status": checkpoint.status.tolist(), "settings": settings}
    tensors.write(path, "checkpoint", arrays, meaning)


def read(path: str | Path, settings: Mapping[str, Any]) -> Checkpoint:
    """Return a checkpoint of a run with the same settings.

    Raises
    ------
    ArgumentError
        If a setting is another one.
    DataFileError
        If the file is none of `write`.
    """
    arrays, meaning = tensors.read(path, "checkpoint")
    try:
        then = meaning["settings"]
        other = [name for name in dict.fromkeys([*then, *settings]) if then.get(name) != settings.get(name)]
        if other:
            differ = "; ".join(_difference(name, then.get(name), settings.get(name)) for name in other)
            raise ArgumentError(f"{path} cannot be resumed: {differ}; expected the same")
        state = State.of({name[6:]: array for name, array in arrays.items() if name.startswith("state.")})
        best = None
        if "best.cost" in arrays:
            w1, b1, w2, b2, *counts = (arrays[f"best.{name}"] for name in _BEST)
            best = Best(Params(w1, b1, w2, b2), *counts)
        rows = []
        for k, iteration in enumerate(arrays["rows.iteration"].tolist()):
            score, validation = (
                Score(*(arrays[f"rows.{kind}.{field}"][k] for field in Score._fields))
                if f"rows.{kind}.cost" in arrays
                else None
                for kind in ("score", "validation")
            )
            assert score is not None
            rows.append(Row(iteration, score, validation))
        return Checkpoint(state, meaning["iteration"], arrays["iterations"], np.array(meaning["status"]), rows, best)
    except (LookupError, TypeError, AssertionError) as error:
        raise tensors.not_fitting(path, "checkpoint", error) from None


def _difference(name: str, then: Any, now: Any) -> str:
    """Return in words how a setting differs; digests, and numbers of many networks, would say nothing."""
    was, is_now = repr(then), repr(now)
    return f"{name} differ" if max(len(was), len(is_now)) > 32 else f"{name} was {was} and is {is_now}"
