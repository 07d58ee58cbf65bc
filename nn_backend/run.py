"""A run on its way, and what it reached."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from nn_backend.checkpoint import Best, Checkpoint, Row
from nn_backend.engines.engine import Engine, Score
from nn_backend.equations import Params
from nn_backend.errors import DivergenceError
from nn_backend.optimizers import State

if TYPE_CHECKING:  # see files.py
    import pandas as pd


@dataclass(frozen=True, eq=False)  # arrays have no truth value to compare by
class FitResult:
    """What `fit` reached.

    Attributes
    ----------
    params : Params
        NumPy arrays: the state of the history's last row, or, with validation data, of row ``best_iteration``.
    rows : list of Row
        Iteration, score, and score of the validation data, of each row of the history.
    iterations : int
        Updates done. Here and below, where the parameters have leading axes, an array of their shape.
    seconds : float
        Wall time of the iterations and of the history's rows, without moving the data or compiling.
    backend, engine : str
        What ran, such as ``"cupy:0"`` and ``"eager"``.
    output : str
        What kind of network it is: ``"sigmoid"``, ``"softmax"`` or ``"identity"``.
    optimizer : str
        The update rule.
    status : str
        Why it ended: ``"done"`` after all iterations, ``"tol"``, ``"patience"``, ``"diverged"`` (then the state is the
        last whose numbers were finite), or ``"interrupted"``.
    best_iteration : int or None
        The row with the lowest cost of the validation data; None without these.
    state : State
        The last state, with what the update rule remembers: `fit` goes on from it.
    """

    params: Params
    rows: list[Row] = field(repr=False)
    iterations: Any
    seconds: float
    backend: str
    engine: str
    output: str
    optimizer: str
    status: Any
    best_iteration: Any
    state: State = field(repr=False)

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C ended the run early."""
        return bool(np.any(self.status == "interrupted"))

    @property
    def score(self) -> Score:
        """The score at the history's last row, or, with validation data, at ``best_iteration``."""
        if self.best_iteration is None:
            return self.rows[-1].score
        numbers = [row.iteration for row in self.rows]
        at = np.searchsorted(numbers, self.best_iteration)
        fields = (np.stack([row.score[k] for row in self.rows]) for k in range(len(Score._fields)))
        picked = [np.take_along_axis(values, at[None], 0)[0] if at.ndim else values[at] for values in fields]
        return Score(*picked) if at.ndim else Score(*map(float, picked))

    def one(self, *at: int) -> "FitResult":
        """Return what one of several networks reached, as `fit` gives it for that one alone.

        Parameters
        ----------
        *at : int
            Its place in the leading axes of the parameters.
        """
        iterations = int(self.iterations[at])
        ended = next(k for k, row in enumerate(self.rows) if row.iteration >= iterations)  # others may have gone on

        def own(score: Score | None) -> Any:
            return None if score is None else Score(*(value[at] for value in score))

        rows = [
            Row(min(row.iteration, iterations), own(row.score), own(row.validation)) for row in self.rows[: ended + 1]
        ]
        return replace(
            self,
            params=Params(*(array[at] for array in self.params)),
            rows=rows,
            iterations=iterations,
            status=str(self.status[at]),
            best_iteration=None if self.best_iteration is None else int(self.best_iteration[at]),
            state=State.of({name: array[at] for name, array in self.state.arrays().items()}),
        )

    @functools.cached_property
    def history(self) -> "pd.DataFrame":
        """Columns iteration, cost, and accuracy or r2; row k is the state after k updates.

        With validation data also validation_cost and so on. For parameters with leading axes one row per network, and a
        column network with its index in flattened order; a network that has ended repeats its row.
        """
        import pandas as pd  # when somebody reads it: a small run is over long before pandas is there

        iterations, networks = [row.iteration for row in self.rows], np.size(self.rows[0].score.cost)
        table: dict[str, Any] = {"iteration": np.repeat(iterations, networks)}
        if np.ndim(self.rows[0].score.cost):
            table["network"] = [*range(networks)] * len(self.rows)
        shown = ("cost", "r2" if self.output == "identity" else "accuracy")
        for prefix, scores in (("", [row.score for row in self.rows]), ("validation_", self._validation())):
            for name in shown if scores else ():
                table[prefix + name] = np.array([getattr(score, name) for score in scores]).ravel()
        return pd.DataFrame(table)

    def _validation(self) -> list[Score]:
        return [row.validation for row in self.rows if row.validation is not None]


class Run:
    """A run on its way: the state reached, the history, and which networks have ended.

    `advance` and `log` change it by one assignment, and one append, at their ends: between these CPython raises no
    KeyboardInterrupt, so Ctrl-C finds each of them done or not begun.
    """

    def __init__(
        self, engine: Engine, watched: Engine | None, numbers: Mapping[str, Any], state: State, patience: int
    ) -> None:
        self._engine, self._watched, self._numbers, self._patience = engine, watched, numbers, patience
        self._packed = engine.start(state)
        lead = state.params.w1.shape[:-2]
        self.iteration = 0
        self.rows: list[Row] = []
        self._iterations, self._status = np.zeros(lead, np.int64), np.full(lead, "")
        self._best: Best | None = None
        if watched is not None:
            start = engine.state(self._packed).params
            self._best = Best(start, np.full(lead, np.inf), np.zeros(lead, np.int64), np.zeros(lead, np.int64))

    @property
    def has_ended(self) -> bool:
        """Whether no network goes on."""
        return not (self._status == "").any()

    def is_due(self, every: int) -> bool:
        """Return whether the history gets a row now."""
        return self.iteration % every == 0 and not (self.rows and self.rows[-1].iteration == self.iteration)

    def advance(self, steps: int) -> None:
        """Do that many iterations, but of networks that have ended."""
        packed, done, ending = self._engine.descend(self._packed, steps, self._numbers, self._status != "")
        iterations, status = self._iterations + done, np.where(ending == "", self._status, ending)
        self._check(ending == "diverged", "parameters are", iterations + 1)
        reached = self.iteration + steps if (status == "").any() else int(iterations.max())
        self._packed, self._iterations, self._status, self.iteration = packed, iterations, status, reached

    def log(self) -> Score:
        """Add the state's row to the history, and return its score."""
        score, validation, status, best = self._engine.score(self._packed), None, self._status, self._best
        diverged = ~np.isfinite(score.cost) & (status == "")
        self._check(diverged, "cost is", self._iterations)
        status = np.where(diverged, "diverged", status)
        if self._watched is not None and best is not None:
            validation = self._watched.score(self._packed)
            best = self._better(best, np.asarray(validation.cost))
            status = np.where((status == "") & (best.waited >= self._patience), "patience", status)
        row = Row(self.iteration, score, validation)
        self._status, self._best = status, best
        self.rows.append(row)
        return score

    def _check(self, diverged: np.ndarray, what: str, iteration: np.ndarray) -> None:
        """Raise if the only network has diverged."""
        if diverged.any() and not diverged.ndim:
            rate = self._numbers.get("learning_rate")
            raise DivergenceError(
                f"the {what} no longer finite at iteration {iteration}: "
                f"{'' if rate is None else f'take a learning rate smaller than {rate:g}, or '}standardise the features"
            )

    def _better(self, best: Best, cost: np.ndarray) -> Best:
        """Return the best states, now that the validation data's cost is this."""
        better = cost < best.cost
        if better.any():
            now = self._engine.state(self._packed).params
            at = better[..., None, None]
            best = best._replace(
                params=Params(*(np.where(at, new, old) for new, old in zip(now, best.params, strict=True))),
                cost=np.where(better, cost, best.cost),
                iteration=np.where(better, self.iteration, best.iteration),
            )
        return best._replace(waited=np.where(better, 0, best.waited + 1))

    def save(self) -> Checkpoint:
        """Return where the run is."""
        state = self._engine.state(self._packed)
        return Checkpoint(state, self.iteration, self._iterations, self._status, self.rows, self._best)

    def restore(self, saved: Checkpoint, state: State) -> None:
        """Go back to where a run was, with its state on the backend."""
        self._packed = self._engine.start(state)
        self.iteration, self._iterations, self._status = saved.iteration, saved.iterations, saved.status
        self.rows, self._best = saved.rows, saved.best

    def result(self, interrupted: bool, seconds: float, backend: str, output: str, optimizer: str) -> FitResult:
        """Return what was reached."""
        state = self._engine.state(self._packed)
        status = np.where(self._status == "", "interrupted" if interrupted else "done", self._status)
        iterations, best = self._iterations, self._best
        single = not status.ndim
        return FitResult(
            params=state.params if best is None else best.params,
            rows=self.rows,
            iterations=int(iterations) if single else iterations,
            seconds=seconds,
            backend=backend,
            engine=self._engine.name,
            output=output,
            optimizer=optimizer,
            status=str(status) if single else status,
            best_iteration=None if best is None else int(best.iteration) if single else best.iteration,
            state=state,
        )
