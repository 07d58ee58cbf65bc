"""What scikit-learn's classifier and regressor share: all but what y means. Needs the extra ``sklearn``."""

import math
import numbers
import warnings
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, Self

import numpy as np

from nn_backend import equations
from nn_backend.backend import get_backend
from nn_backend.checks import Number, Whole, find_wrong, refuse_masked, shown
from nn_backend.descent import fit
from nn_backend.engines.engine import Score
from nn_backend.equations import Params
from nn_backend.errors import ArgumentError, DataError, DivergenceError
from nn_backend.fitted import Fitted  # before scikit-learn: it says what to do where that is missing
from nn_backend.network import compute_layer, init_params
from nn_backend.optimizers import OPTIMIZERS, Optimizer, State
from nn_backend.run import FitResult
from nn_backend.tables import standardization

# isort: split
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

LOOK_EVERY = 100
PARAMETERS = {
    **dict.fromkeys(("n_hidden", "max_iter", "n_iter_no_change", "n_init"), Whole(1)),
    **dict.fromkeys(("alpha", "tol"), Number(least=0)),
    "learning_rate_init": Number(above=0),
    "validation_fraction": Number(above=0, below=1),
    "factor": Number(),
}


class Rows(NamedTuple):
    """Examples as the network takes them, X (n0, m) and y (n2, m), and how often each counts."""

    X: np.ndarray
    y: np.ndarray
    weights: np.ndarray | None

    def part(self, chosen: Any) -> "Rows":
        """Return some of the examples."""
        weights = None if self.weights is None else self.weights[chosen]
        return Rows(self.X[:, chosen], self.y[:, chosen], weights)


class ShallowNet(Fitted):
    """A network of one hidden layer that scales its examples, trains on them, and can be asked."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train the network.

        Parameters
        ----------
        X : array (m, n_features)
            One example per row.
        y : array (m,)
            Labels, or numbers to predict; of numbers also (m, n_outputs).
        sample_weight : array (m,), optional
            How often each example counts; one of weight 0 is left out.

        Raises
        ------
        DivergenceError
            If parameters or cost stop being finite.
        ValueError, BackendUnavailableError
            If a parameter or the data are not accepted, or the device cannot be used here.
        KeyboardInterrupt
            On Ctrl-C; what was reached until then is kept.

        Warns
        -----
        ConvergenceWarning
            If ``max_iter`` updates were done before ``tol`` was met.
        """
        result = self._train(
            X,
            y,
            sample_weight,
            iterations=self.max_iter,
            tol=self.tol or 0.0,
            going_on=self.warm_start and hasattr(self, "params_"),
        )
        if result.interrupted:
            raise KeyboardInterrupt
        if self.tol and self.status_ == "done":
            warnings.warn(
                f"max_iter={self.max_iter} was reached before the largest gradient fell below tol={self.tol:g}: take a "
                f"larger max_iter, or another solver or learning_rate_init",
                ConvergenceWarning,
                stacklevel=2,
            )
        return self

    def _train(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        *,
        iterations: int,
        tol: float,
        going_on: bool,
        memory: Mapping[str, Any] = MappingProxyType({}),
        classes: Any = None,
    ) -> FitResult:
        """Train from a new start or from the parameters reached, and keep what is reached then."""
        self._check_parameters()
        if not going_on:
            self.__dict__.pop("params_", None)  # training that fails must leave nothing to predict with
        rows, labels = self._read(X, y, sample_weight, going_on, classes)
        generator = check_random_state(self.random_state)
        start = self._resume() if going_on else self._start(len(rows.X), len(rows.y), self._draw_seed(generator))
        held = None
        trained: Any = slice(None)
        if self.early_stopping:
            trained, held = train_test_split(
                np.arange(len(labels)),
                test_size=self.validation_fraction,
                random_state=generator,
                stratify=None if self._output == "identity" else labels,
            )
        if not going_on:
            self._learn_scales(rows.part(trained))
        rows = self._scaled(rows)
        examples = rows.part(trained)
        result = fit(
            examples.X,
            examples.y,
            State(start, memory),
            output=self._output,
            optimizer=self.solver,
            learning_rate=self.learning_rate_init,
            alpha=self.alpha,
            weights=examples.weights,
            tol=tol,
            iterations=iterations,
            validation=None if held is None else rows.part(held),
            patience=self.n_iter_no_change,
            check_every=1,
            backend=self.device,
            engine=self.engine,
            log_every=LOOK_EVERY,
            callback=_show if self.verbose else None,
        )
        if self.n_init > 1 and not going_on:
            result = result.one(int(self._best(result, examples, self.alpha)))
            if result.status == "diverged":
                raise DivergenceError(
                    f"none of {self.n_init} starts stayed finite: take a smaller learning_rate_init, or standardise"
                )
        self._keep(result)
        return result

    def _read(self, X: Any, y: Any, sample_weight: Any, going_on: bool, classes: Any) -> tuple[Rows, np.ndarray]:
        """Return checked examples without those of weight 0, and the labels or numbers they were given with."""
        refuse_masked(X, y, sample_weight)
        several = self.__sklearn_tags__().target_tags.multi_output
        X, y = validate_data(self, X, y, dtype=np.float64, reset=not going_on, multi_output=several, y_numeric=several)
        weights = None
        if sample_weight is not None:
            weights = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
            counts = weights > 0
            if not counts.any():
                raise DataError(
                    "Sample weights must contain at least one non-zero number; all are 0"
                )  # scikit-learn's words
            X, y, weights = X[counts], y[counts], weights[counts]
        target, weights = self._encode(y, weights, getattr(self, "classes_", None) if going_on else classes)
        return Rows(np.ascontiguousarray(X.T), target, weights), y

    def _learn_scales(self, rows: Rows) -> None:
        """Keep what features, and numbers to predict, are scaled by."""
        self.standardization_ = standardization(rows.X, rows.weights) if self.standardize else None
        self.target_scale_ = standardization(rows.y, rows.weights, what="y") if self._output == "identity" else None

    def _scaled(self, rows: Rows) -> Rows:
        """Return examples as the network takes them."""
        X = rows.X if self.standardization_ is None else self.standardization_.apply(rows.X)
        y = rows.y if self.target_scale_ is None else self.target_scale_.apply(rows.y)
        return Rows(X, y, rows.weights)

    def _resume(self) -> Params:
        """Return the parameters reached."""
        n1 = len(self.params_.w1)
        if n1 != self.n_hidden:
            raise ArgumentError(f"n_hidden is {self.n_hidden}; expected {n1}, that of the network that goes on")
        return Params(*(array.astype(self.dtype) for array in self.params_))

    def _draw_seed(self, generator: np.random.RandomState) -> Any:
        """Draw the seed of the initial parameters, or a list of as many as there are starts."""
        seeds = generator.randint(2**31 - 1, size=int(self.n_init)).tolist()
        if isinstance(self.random_state, numbers.Integral):
            seeds[0] = self.random_state
        return seeds if self.n_init > 1 else seeds[0]

    def _start(self, n0: int, n2: int, seed: Any) -> Params:
        """Return initial parameters, with leading axes where there are several seeds."""
        factor = 2 / n0**0.5 if self.factor is None else self.factor
        return init_params(n0, self.n_hidden, n2, seed=seed, factor=factor, dtype=self.dtype)

    def _best(self, result: FitResult, examples: Rows, alpha: Any) -> np.ndarray:
        """Return which start, by its place in the last leading axis, reached the lowest cost."""
        if self.early_stopping:
            cost = np.min([row.validation.cost for row in result.rows if row.validation is not None], axis=0)
        else:
            m = examples.X.shape[1] if examples.weights is None else math.fsum(examples.weights)
            share, cost = np.sqrt(np.asarray(alpha) / (2 * m))[..., None, None], result.score.cost
            with np.errstate(over="ignore"):
                for w in (result.params.w1, result.params.w2):
                    cost = cost + ((share * w.astype(np.float64)) ** 2).sum(axis=(-2, -1))
        return np.asarray(np.where(result.status == "diverged", np.inf, cost).argmin(axis=-1))

    def _keep(self, result: FitResult) -> None:
        """Keep what a network reached."""
        self.params_, self._memory = result.params, result.state.memory
        self.n_iter_, self.status_ = result.iterations, result.status
        self.loss_curve_ = [float(row.score.cost) for row in result.rows]
        self.validation_loss_curve_ = [float(row.validation.cost) for row in result.rows if row.validation]
        self._score = Score(*map(float, result.score))
        self.device_, self.engine_ = result.backend, result.engine

    def _go_on(self, X: Any, y: Any, sample_weight: Any, classes: Any = None) -> Self:
        """Do one update, with what the update rule remembers."""
        if self.early_stopping:
            raise ArgumentError("early_stopping is True; partial_fit does one update and cannot stop early: use fit")
        going_on = hasattr(self, "params_")
        n_iter, curve, memory = (self.n_iter_, self.loss_curve_, self._memory) if going_on else (0, [], {})
        self._train(X, y, sample_weight, iterations=1, tol=0.0, going_on=going_on, memory=memory, classes=classes)
        self.n_iter_ += n_iter
        self.loss_curve_ = [*curve, self.loss_]
        return self

    def _check_parameters(self) -> None:
        """Raise an error that names all parameters that are not accepted."""
        wrong = find_wrong(self.get_params(deep=False), PARAMETERS, optional=("learning_rate_init", "factor", "tol"))
        if not isinstance(self.solver, Optimizer) and self.solver not in [*OPTIMIZERS]:
            accepted = f"{', '.join(OPTIMIZERS)}, or an Optimizer such as nn.adam(beta1=0.8)"
            wrong.append(f"solver is {shown(self.solver)}; expected {accepted}")
        if wrong:
            raise ArgumentError(". ".join(wrong))

    def _ask(self, X: Any) -> np.ndarray:
        """Return z2 (n2, m) for the rows of X, in float64."""
        check_is_fitted(self, "params_")
        return self._compute(self.params_, self._scale_features(X))

    def _scale_features(self, X: Any) -> np.ndarray:
        """Check rows to predict for, and return them as the network takes them."""
        refuse_masked(X)
        features = np.ascontiguousarray(validate_data(self, X, dtype=np.float64, reset=False).T)
        return features if self.standardization_ is None else self.standardization_.apply(features)

    def _compute(self, params: Params, features: np.ndarray) -> np.ndarray:
        """Return z2 (..., n2, m) of one network or of several."""
        # float64 after any training: where a GPU rounds an example's result by its row, scikit-learn allows for 1e-7.
        params = Params(*(array.astype(np.float64) for array in params))
        return compute_layer("z2", params, features, get_backend(self.device), equations.OUTPUTS[self._output])


def _show(iteration: int, score: Score) -> None:
    """Print a row of the history, of several starts the lowest cost."""
    print(f"Iteration {iteration}, loss = {np.min(score.cost):.8f}")
