"""The network as scikit-learn's classifier and regressor; needs the extra ``sklearn``."""

import math
import numbers
import warnings
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Self

import numpy as np

from nn_backend import equations
from nn_backend.backend import get_backend
from nn_backend.descent import ALPHA, MAX_ITERATIONS, TOL, fit
from nn_backend.engines.engine import Score
from nn_backend.equations import Params
from nn_backend.errors import ArgumentError, DataError, DivergenceError, MissingPackageError
from nn_backend.model import Model
from nn_backend.network import compute_layer, init_params
from nn_backend.optimizers import OPTIMIZERS, Optimizer, State
from nn_backend.run import FitResult
from nn_backend.tables import standardization

try:
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.model_selection import train_test_split
    from sklearn.utils import check_random_state, compute_class_weight
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data
except ImportError as error:
    raise MissingPackageError(
        'nn_backend.estimator needs scikit-learn 1.7 or newer: run "pip install nn-backend[sklearn]"'
    ) from error

LOOK_EVERY = 100
OUT_ACTIVATIONS = {"sigmoid": "logistic", "softmax": "softmax", "identity": "identity"}


class _ShallowNet(BaseEstimator):  # type: ignore[misc]
    """What both estimators share: all but what y means."""

    def __init__(
        self,
        n_hidden: int = 4,
        *,
        solver: str | Optimizer = "rprop",
        alpha: float = ALPHA,
        learning_rate_init: float | None = None,
        max_iter: int = MAX_ITERATIONS,
        tol: float = TOL,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        warm_start: bool = False,
        n_init: int = 1,
        random_state: Any = None,
        standardize: bool = True,
        factor: float | None = None,
        engine: str = "auto",
        device: str = "cpu",
        dtype: str = "float64",
        verbose: bool = False,
    ) -> None:
        self.n_hidden = n_hidden
        self.solver = solver
        self.alpha = alpha
        self.learning_rate_init = learning_rate_init
        self.max_iter = max_iter
        self.tol = tol
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.warm_start = warm_start
        self.n_init = n_init
        self.random_state = random_state
        self.standardize = standardize
        self.factor = factor
        self.engine = engine
        self.device = device
        self.dtype = dtype
        self.verbose = verbose

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
            tol=self.tol,
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
        X, y, weights = self._read(X, y, sample_weight, going_on)
        target, weights = self._encode(y, weights, getattr(self, "classes_", None) if going_on else classes)
        features, generator = np.ascontiguousarray(X.T), check_random_state(self.random_state)
        start = self._resume() if going_on else self._draw(len(features), len(target), generator)
        trained: Any = slice(None)
        if self.early_stopping:
            trained, held = train_test_split(
                np.arange(len(y)),
                test_size=self.validation_fraction,
                random_state=generator,
                stratify=None if self._output == "identity" else y,
            )

        def part(rows: Any) -> tuple[Any, Any, Any]:
            return features[:, rows], target[:, rows], None if weights is None else weights[rows]

        if not going_on:
            inputs, truth, shares = part(trained)
            self.standardization_ = standardization(inputs, shares) if self.standardize else None
            self.target_scale_ = standardization(truth, shares, what="y") if self._output == "identity" else None
        if self.standardization_ is not None:
            features = self.standardization_.apply(features)
        if self.target_scale_ is not None:
            target = self.target_scale_.apply(target)
        inputs, truth, shares = part(trained)
        result = fit(
            inputs,
            truth,
            State(start, memory),
            output=self._output,
            optimizer=self.solver,
            learning_rate=self.learning_rate_init,
            alpha=self.alpha,
            weights=shares,
            tol=tol,
            iterations=iterations,
            validation=part(held) if self.early_stopping else None,
            patience=self.n_iter_no_change,
            check_every=1,
            backend=self.device,
            engine=self.engine,
            log_every=LOOK_EVERY,
            callback=_show if self.verbose else None,
        )
        self._keep(result, inputs.shape[1] if shares is None else math.fsum(shares))
        return result

    def _read(self, X: Any, y: Any, sample_weight: Any, going_on: bool) -> tuple[np.ndarray, np.ndarray, Any]:
        """Return checked arrays without the examples of weight 0."""
        several = self.__sklearn_tags__().target_tags.multi_output
        X, y = validate_data(self, X, y, dtype=np.float64, reset=not going_on, multi_output=several, y_numeric=several)
        if sample_weight is None:
            return X, y, None
        weights = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        counts = weights > 0
        if not counts.any():
            raise DataError(
                "Sample weights must contain at least one non-zero number; all are 0"
            )  # scikit-learn's words
        return X[counts], y[counts], weights[counts]

    def _resume(self) -> Params:
        """Return the parameters reached."""
        n1 = len(self.params_.w1)
        if n1 != self.n_hidden:
            raise ArgumentError(f"n_hidden is {self.n_hidden}; expected {n1}, that of the network that goes on")
        return Params(*(array.astype(self.dtype) for array in self.params_))

    def _draw(self, n0: int, n2: int, generator: np.random.RandomState) -> Params:
        """Draw the initial parameters, with a leading axis where there are several starts."""
        seeds = generator.randint(2**31 - 1, size=self.n_init).tolist()
        if isinstance(self.random_state, numbers.Integral):
            seeds[0] = self.random_state
        factor = 2 / n0**0.5 if self.factor is None else self.factor
        starts = [init_params(n0, self.n_hidden, n2, seed=seed, factor=factor, dtype=self.dtype) for seed in seeds]
        return Params(*map(np.stack, zip(*starts, strict=True))) if len(starts) > 1 else starts[0]

    def _best(self, result: FitResult, m: float) -> tuple[int]:
        """Return which of several starts reached the lowest cost."""
        if self.early_stopping:
            cost = np.min([row.validation.cost for row in result.rows if row.validation is not None], axis=0)
        else:
            share, cost = (self.alpha / (2 * m)) ** 0.5, result.score.cost
            with np.errstate(over="ignore"):
                for w in (result.params.w1, result.params.w2):
                    cost = cost + ((share * w.astype(np.float64)) ** 2).sum(axis=(-2, -1))
        cost = np.where(result.status == "diverged", np.inf, cost)
        if not np.isfinite(cost).any():
            raise DivergenceError(
                f"none of {self.n_init} starts stayed finite: take a smaller learning_rate_init, or standardise"
            )
        return (int(np.argmin(cost)),)

    def _keep(self, result: FitResult, m: float) -> None:
        """Keep what was reached."""
        at = self._best(result, m) if np.ndim(result.status) else ()
        state = State.of({name: array[at] for name, array in result.state.arrays().items()})
        self.params_, self._memory = Params(*(array[at] for array in result.params)), state.memory
        self.n_iter_ = int(np.asarray(result.iterations)[at])
        self.status_ = str(np.asarray(result.status)[at])
        own = [row for row in result.rows if row.iteration < self.n_iter_]
        rows = [*own, result.rows[len(own)]]  # another start may have gone on
        self.loss_curve_ = [float(np.asarray(row.score.cost)[at]) for row in rows]
        self.validation_loss_curve_ = [float(np.asarray(row.validation.cost)[at]) for row in rows if row.validation]
        self._score = Score(*(float(np.asarray(value)[at]) for value in result.score))
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

        def is_real(value: Any) -> bool:
            return isinstance(value, numbers.Real) and math.isfinite(value)

        def is_whole(value: Any) -> bool:
            return isinstance(value, numbers.Integral) and int(value) >= 1

        def is_solver(value: Any) -> bool:
            return isinstance(value, Optimizer) or (isinstance(value, str) and value in OPTIMIZERS)

        accepted = {
            "a whole number, at least 1": (("n_hidden", "max_iter", "n_iter_no_change", "n_init"), is_whole),
            "a finite number, at least 0": (("alpha", "tol"), lambda value: is_real(value) and value >= 0),
            "a finite number above 0, or None": (
                ("learning_rate_init",),
                lambda value: value is None or (is_real(value) and value > 0),
            ),
            "a number above 0 and below 1": (("validation_fraction",), lambda value: is_real(value) and 0 < value < 1),
            "a finite number, or None": (("factor",), lambda value: value is None or is_real(value)),
            f"{', '.join(OPTIMIZERS)}, or an Optimizer such as nn.adam(beta1=0.8)": (("solver",), is_solver),
        }
        wrong = [
            f"{name} is {getattr(self, name)!r}; expected {expected}"
            for expected, (names, holds) in accepted.items()
            for name in names
            if not holds(getattr(self, name))
        ]
        if wrong:
            raise ArgumentError(". ".join(wrong))

    def _ask(self, X: Any) -> np.ndarray:
        """Return z2 (n2, m) for the rows of X, in float64."""
        check_is_fitted(self, "params_")
        features = np.ascontiguousarray(validate_data(self, X, dtype=np.float64, reset=False).T)
        if self.standardization_ is not None:
            features = self.standardization_.apply(features)
        # float64 after any training: where a GPU rounds an example's result by its row, scikit-learn allows for 1e-7.
        params = Params(*(array.astype(np.float64) for array in self.params_))
        return compute_layer("z2", params, features, get_backend(self.device), equations.OUTPUTS[self._output])

    @property
    def coefs_(self) -> list[np.ndarray]:
        """Weights of both layers, (n_features, n_hidden) and (n_hidden, n_outputs)."""
        return [self.params_.w1.T, self.params_.w2.T]

    @property
    def intercepts_(self) -> list[np.ndarray]:
        """Biases of both layers, (n_hidden,) and (n_outputs,)."""
        return [self.params_.b1[:, 0], self.params_.b2[:, 0]]

    @property
    def n_outputs_(self) -> int:
        """Units of the output layer."""
        return len(self.params_.w2)

    @property
    def out_activation_(self) -> str:
        """What the output layer is, as scikit-learn calls it."""
        check_is_fitted(self, "params_")
        return OUT_ACTIVATIONS[self._output]

    @property
    def loss_(self) -> float:
        """Cost of the parameters, without the penalty; in the regressor that of the scaled target."""
        return float(self._score.cost)

    def to_model(self) -> Model:
        """Return the fitted network and what its numbers mean, as `nn_backend.save` keeps it."""
        check_is_fitted(self, "params_")
        ran = {"iterations": self.n_iter_, "status": self.status_, "backend": self.device_, "engine": self.engine_}
        settings = {name: value for name, value in self.get_params().items() if name in self._settings()}
        return Model(
            self.params_,
            self._output,
            features=getattr(self, "feature_names_in_", None),
            labels=getattr(self, "classes_", None),
            standardization=self.standardization_,
            target_scale=self.target_scale_,
            training={**ran, **{name: value for name, value in settings.items() if _is_json(value)}},
            **{name: value for name, value in self._score._asdict().items() if not np.isnan(value)},
        )

    @classmethod
    def from_model(cls, model: Model) -> Self:
        """Return a fitted estimator that predicts as the model does.

        Parameters
        ----------
        model : Model
            A network with the estimator's kind of output. Parameters of the estimator that stand in its ``training``
            are taken over, but for engine and device.
        """
        if model.output not in cls._outputs or (model.output == "sigmoid" and len(model.params.w2) > 1):
            raise ArgumentError(
                f"the model has {len(model.params.w2)} {model.output} outputs; expected {cls._expected}"
            )
        estimator = cls(**{name: model.training[name] for name in cls._settings() if name in model.training})
        dtype, standardize = model.params.w1.dtype.name, model.standardization is not None
        estimator.set_params(n_hidden=len(model.params.w1), dtype=dtype, standardize=standardize)
        estimator.params_, estimator._memory = model.params, {}
        estimator.standardization_, estimator.target_scale_ = model.standardization, model.target_scale
        estimator.n_features_in_ = model.params.w1.shape[1]
        if model.features is not None:
            estimator.feature_names_in_ = np.array(model.features, dtype=object)
        if model.output != "identity":
            estimator.classes_ = np.array(range(max(2, len(model.params.w2))) if model.labels is None else model.labels)
        known = (getattr(model, name) for name in Score._fields)
        estimator._score = Score(*(np.nan if value is None else value for value in known))
        estimator.n_iter_, estimator.status_ = model.training.get("iterations", 0), model.training.get("status", "")
        estimator.device_, estimator.engine_ = (model.training.get(name, "") for name in ("backend", "engine"))
        estimator.loss_curve_ = estimator.validation_loss_curve_ = []
        return estimator

    @classmethod
    def _settings(cls) -> list[str]:
        """Return the names of the parameters that a model keeps; engine and device depend on the machine."""
        return [name for name in cls._get_param_names() if name not in ("engine", "device")]


class ShallowNetClassifier(ClassifierMixin, _ShallowNet):  # type: ignore[misc]
    """A classifier: one hidden layer of sigmoids, trained on full batches.

    Two classes have a sigmoid output, more classes a softmax.

    Parameters
    ----------
    n_hidden : int
        Hidden units.
    solver : str or Optimizer
        The update rule: ``"rprop"``, ``"gd"``, ``"nesterov"``, ``"adam"``, or one such as ``nn.adam(beta1=0.8)``.
    alpha : float
        Penalty: alpha / (2 m) * sum(w**2) of the weights, where m is the number of examples, or the sum of their
        weights. Where that is far from their number, as in `AdaBoostClassifier`, whose weights sum to 1, alpha has to
        be as much smaller.
    learning_rate_init : float, optional
        Step width; of rprop the first. By default the rule's own.
    max_iter : int
        Updates to do at most.
    tol : float
        Training ends where no element of the gradient, that of the penalty included, is as large as this; 0: never.
    early_stopping : bool
        Whether to leave out a part of the examples, to watch the cost on these after each update, and to keep the
        parameters of the lowest. `MLPClassifier` watches their accuracy instead.
    validation_fraction : float
        The share of this part, which has the same shares of each class.
    n_iter_no_change : int
        Updates without a lower cost on this part before training ends.
    warm_start : bool
        Whether `fit` goes on from the parameters that it reached before, with the scaling they were trained with. What
        the update rule remembers is new; in `partial_fit` it is kept.
    class_weight : dict, "balanced" or None
        How often an example of each class counts, as in scikit-learn; multiplied by ``sample_weight``.
    n_init : int
        Starts to train at once. The one that reached the lowest cost, penalty included, is kept; with
        ``early_stopping`` the lowest on the part left out.
    random_state : int, RandomState or None
        Draws the initial weights, and what ``early_stopping`` leaves out; an int is the ``seed`` of `init_params`.
    standardize : bool
        Whether to scale features by the training data's mean and deviation; `partial_fit` by those of its first call.
    factor : float, optional
        Standard deviation of the initial weights; by default 2 / sqrt(n_features), which suits standardised features.
    engine : str
        How an iteration is executed: ``"auto"``, ``"eager"`` or ``"compiled"``, as in `nn_backend.fit`.
    device : str
        Where to compute: ``"cpu"``, ``"gpu"``, ``"cupy:1"`` or another name as in `get_backend`. The process that
        trains or predicts looks it up, so it also holds in joblib's workers.
    dtype : str
        ``"float64"`` or ``"float32"``, of the parameters and the training; predictions are float64.
    verbose : bool
        Whether to print the cost every 100 updates, or with ``early_stopping`` after each.

    Attributes
    ----------
    classes_ : ndarray (n_classes,)
        The labels, sorted.
    params_ : Params
        The trained network: NumPy arrays, one unit per row. Of two classes it gives the second's probability.
    coefs_, intercepts_ : list of two ndarray
        The same as in `MLPClassifier`: (n_features, n_hidden) and (n_hidden, n_outputs); (n_hidden,) and (n_outputs,).
    n_outputs_, out_activation_
        As in `MLPClassifier`.
    standardization_ : Standardization or None
        What features are scaled by before they enter the network.
    n_iter_ : int
        Updates done.
    status_ : str
        Why training ended: ``"tol"``, ``"patience"`` (early stopping), ``"done"`` (``max_iter``) or ``"interrupted"``.
    loss_curve_ : list of float
        Cost without the penalty, in nats per example, after 0, 100, 200, ... updates and after the last one; with
        ``early_stopping`` after each, with `partial_fit` after each call.
    validation_loss_curve_ : list of float
        The cost on the part left out, with ``early_stopping``.
    loss_ : float
        The cost of ``params_``.
    device_, engine_ : str
        What training ran on, such as ``"cupy:0"`` and ``"eager"``.
    n_features_in_, feature_names_in_
        As in every scikit-learn estimator.

    Examples
    --------
    >>> from nn_backend import load_marks
    >>> X, y = load_marks()
    >>> marks, result = X.T, np.where(y[0] == 1, "passed", "failed")
    >>> classifier = ShallowNetClassifier(alpha=0.01, random_state=3).fit(marks[:300], result[:300])
    >>> classifier.predict([[7, 8, 10], [10, 10, 9]]).tolist(), classifier.score(marks[300:], result[300:])
    (['passed', 'failed'], 1.0)
    """

    _outputs, _expected = ("sigmoid", "softmax"), "one sigmoid output, or softmax"

    def __init__(
        self,
        n_hidden: int = 4,
        *,
        class_weight: Any = None,
        solver: str | Optimizer = "rprop",
        alpha: float = ALPHA,
        learning_rate_init: float | None = None,
        max_iter: int = MAX_ITERATIONS,
        tol: float = TOL,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        warm_start: bool = False,
        n_init: int = 1,
        random_state: Any = None,
        standardize: bool = True,
        factor: float | None = None,
        engine: str = "auto",
        device: str = "cpu",
        dtype: str = "float64",
        verbose: bool = False,
    ) -> None:
        super().__init__(
            n_hidden,
            solver=solver,
            alpha=alpha,
            learning_rate_init=learning_rate_init,
            max_iter=max_iter,
            tol=tol,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            n_iter_no_change=n_iter_no_change,
            warm_start=warm_start,
            n_init=n_init,
            random_state=random_state,
            standardize=standardize,
            factor=factor,
            engine=engine,
            device=device,
            dtype=dtype,
            verbose=verbose,
        )
        self.class_weight = class_weight

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """Do one update on examples, from a new start in the first call.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`.
        classes : array (n_classes,), optional
            All labels there will be; needed in the first call.
        """
        if self.class_weight == "balanced":
            raise ArgumentError(
                "class_weight is 'balanced', which partial_fit cannot know; pass numbers, as compute_class_weight gives"
            )
        if not hasattr(self, "params_"):
            if classes is None:
                raise ValueError("classes must be passed on the first call to partial_fit")
        elif classes is not None and not np.array_equal(np.unique(classes), self.classes_):
            raise ValueError(f"classes are {classes!r}; expected those of the first call, {self.classes_}")
        return self._go_on(X, y, sample_weight, classes)

    def decision_function(self, X: Any) -> np.ndarray:
        """Return z2 for each row of X: of two classes (m,), the logit of the second; of more (m, n_classes)."""
        logits = self._ask(X)
        return logits[0] if len(self.classes_) == 2 else logits.T

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of each label, in the order of ``classes_``, as an array (m, n_classes)."""
        logits = self.decision_function(X)
        if logits.ndim == 2:
            return np.asarray(equations.softmax(logits.T, xp=np).T)
        with np.errstate(over="ignore"):  # as sigmoid wants; 1 - yhat instead of the sigmoid of -z2 would round to 0
            return np.asarray(equations.sigmoid(np.stack([-logits, logits], axis=1), xp=np))

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable label of each row, as an array (m,)."""
        logits = self.decision_function(X)
        return np.asarray(self.classes_[(logits > 0).astype(int) if logits.ndim == 1 else logits.argmax(axis=1)])

    @property
    def _output(self) -> str:
        return "sigmoid" if len(self.classes_) == 2 else "softmax"

    def _encode(self, y: np.ndarray, weights: Any, classes: Any) -> tuple[np.ndarray, Any]:
        """Return a row of 0 and 1 for the second of two classes, or one for each class, and weights of the examples."""
        check_classification_targets(y)
        self.classes_ = np.unique(y if classes is None else classes)
        if len(self.classes_) < 2:
            raise ValueError(f"y has one class, {self.classes_[0]!r}; expected two or more")
        unknown = ~np.isin(y, self.classes_)
        if unknown.any():
            raise ValueError(f"y has the label {y[unknown][0]!r}, which is none of the classes {self.classes_}")
        number = np.searchsorted(self.classes_, y)
        if self.class_weight is not None:
            each = compute_class_weight(self.class_weight, classes=self.classes_, y=y, sample_weight=weights)[number]
            weights = each if weights is None else weights * each
        rows = np.arange(len(self.classes_))[1 if len(self.classes_) == 2 else 0 :]
        return (number == rows[:, None]).astype(np.float64), weights


class ShallowNetRegressor(RegressorMixin, _ShallowNet):  # type: ignore[misc]
    """A regressor: one hidden layer of sigmoids, trained on full batches. It scales the numbers to predict by itself.

    Its parameters and attributes are those of `ShallowNetClassifier`, without classes. Costs are half the mean squared
    error of the scaled y, also those that ``early_stopping`` watches, where `MLPRegressor` watches R².

    Attributes
    ----------
    target_scale_ : Standardization
        Mean and deviation of the training data's y, (n_outputs, 1), by which it is scaled; with `partial_fit` those of
        its first call.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> X, y = load_diabetes(return_X_y=True)
    >>> regressor = ShallowNetRegressor(8, random_state=0).fit(X[:300], y[:300])
    >>> round(regressor.score(X[300:], y[300:]), 1)
    0.5
    """

    _outputs, _expected = ("identity",), "identity"
    _output = "identity"

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Do one update on examples, as given to `fit`, from a new start in the first call."""
        return self._go_on(X, y, sample_weight)

    def predict(self, X: Any) -> np.ndarray:
        """Return the number predicted for each row, as an array (m,), or (m, n_outputs) of several outputs."""
        yhat = self._ask(X)
        if self.target_scale_ is not None:
            yhat = self.target_scale_.undo(yhat)
        return yhat[0] if len(yhat) == 1 else yhat.T

    def _encode(self, y: np.ndarray, weights: Any, classes: Any) -> tuple[np.ndarray, Any]:
        """Return numbers with a row for each output."""
        return np.ascontiguousarray(y.reshape(len(y), -1).T, np.float64), weights

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


def _show(iteration: int, score: Score) -> None:
    """Print a row of the history, of several starts the lowest cost."""
    print(f"Iteration {iteration}, loss = {np.min(score.cost):.8f}")


def _is_json(value: Any) -> bool:
    return value is None or isinstance(value, bool | int | float | str)
