"""The network as a scikit-learn classifier; needs the extra ``sklearn``."""

import numbers
import warnings
from typing import Any, Self

import numpy as np

from nn_backend import equations
from nn_backend.backend import get_backend
from nn_backend.descent import fit
from nn_backend.engines.engine import Score
from nn_backend.equations import Params
from nn_backend.errors import ArgumentError, MissingPackageError
from nn_backend.network import compute_layer, init_params
from nn_backend.tables import standardization

try:
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.utils import check_random_state
    from sklearn.utils.multiclass import check_classification_targets, type_of_target
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError as error:
    raise MissingPackageError(
        'nn_backend.estimator needs scikit-learn 1.7 or newer: run "pip install nn-backend[sklearn]"'
    ) from error

LOOK_EVERY = 100


class ShallowNetClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A classifier for two classes: one hidden layer of sigmoids, trained by full-batch gradient descent.

    Parameters
    ----------
    n_hidden : int
        Hidden units.
    learning_rate_init : float
        Step width, from the first update to the last.
    max_iter : int
        Updates to do at most.
    factor : float, optional
        Standard deviation of the initial weights; by default 2 / sqrt(n_features), which suits standardised features.
        With small weights training may begin on a plateau, where ``tol`` would end it.
    standardize : bool
        Whether to scale features by the training data's mean and deviation.
    random_state : int, RandomState or None
        Draws the initial weights; an int is the ``seed`` of `init_params`.
    engine : str
        How an iteration is executed: ``"auto"``, ``"eager"`` or ``"compiled"``, as in `fit`.
    device : str
        Where to compute: ``"cpu"``, ``"gpu"``, ``"cupy:1"`` or another name as in `get_backend`. The process that
        trains or predicts looks it up, so it also holds in joblib's workers.
    dtype : str
        ``"float64"`` or ``"float32"``, of the parameters and the training; predictions are float64.
    tol : float or None
        Training ends once 100 updates change the cost by less than this, in nats per example; 0 or None: never.
    verbose : bool
        Whether to print the cost every 100 updates.

    Attributes
    ----------
    classes_ : ndarray (2,)
        The labels, sorted.
    params_ : Params
        The trained network: NumPy arrays, one unit per row. It gives the probability of the second label.
    coefs_, intercepts_ : list of two ndarray
        The same as in `MLPClassifier`: (n_features, n_hidden) and (n_hidden, 1); (n_hidden,) and (1,).
    standardization_ : Standardization or None
        What features are scaled by before they enter the network.
    n_iter_ : int
        Updates done.
    loss_curve_ : list of float
        Cost after 0, 100, 200, ... updates and after the last one, in nats per example.
    loss_ : float
        The last of these.
    device_, engine_ : str
        What training ran on, such as ``"cupy:0"`` and ``"eager"``.
    n_features_in_, feature_names_in_
        As in every scikit-learn estimator.

    Examples
    --------
    >>> from nn_backend import load_marks
    >>> X, y = load_marks()
    >>> marks, result = X.T, np.where(y[0] == 1, "passed", "failed")
    >>> classifier = ShallowNetClassifier(random_state=3).fit(marks[:300], result[:300])
    >>> classifier.predict([[7, 8, 10], [10, 10, 9]]).tolist(), classifier.score(marks[300:], result[300:])
    (['passed', 'failed'], 1.0)
    """

    def __init__(
        self,
        n_hidden: int = 4,
        *,
        learning_rate_init: float = 0.2,
        max_iter: int = 4500,
        factor: float | None = None,
        standardize: bool = True,
        random_state: Any = None,
        engine: str = "auto",
        device: str = "cpu",
        dtype: str = "float64",
        tol: float | None = 1e-3,
        verbose: bool = False,
    ) -> None:
        self.n_hidden = n_hidden
        self.learning_rate_init = learning_rate_init
        self.max_iter = max_iter
        self.factor = factor
        self.standardize = standardize
        self.random_state = random_state
        self.engine = engine
        self.device = device
        self.dtype = dtype
        self.tol = tol
        self.verbose = verbose

    def fit(self, X: Any, y: Any) -> Self:
        """Train the network on X (m, n_features), one example per row, and labels y (m,) of two kinds.

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
        for name, value in (("n_hidden", self.n_hidden), ("max_iter", self.max_iter)):
            if not (isinstance(value, numbers.Integral) and value >= 1):
                raise ArgumentError(f"{name} is {value!r}; expected a whole number, at least 1")
        if self.tol is not None and not self.tol >= 0:
            raise ArgumentError(f"tol is {self.tol!r}; expected a number, at least 0, or None")
        X, y = validate_data(self, X, y, dtype=np.float64)
        classes = _two_classes(y)
        features = np.ascontiguousarray(X.T)
        scale = standardization(features) if self.standardize else None
        seed = self.random_state
        if not isinstance(seed, numbers.Integral):
            seed = check_random_state(seed).randint(2**31 - 1)
        factor = 2 / len(features) ** 0.5 if self.factor is None else self.factor
        previous, converged = np.inf, False

        def look(iteration: int, score: Score) -> bool:
            nonlocal previous, converged
            if self.verbose:
                print(f"Iteration {iteration}, loss = {score.cost:.8f}")
            full = iteration % LOOK_EVERY == 0  # the last stretch may be shorter
            converged = bool(self.tol) and full and abs(previous - score.cost) < self.tol
            previous = score.cost
            return converged

        result = fit(
            features if scale is None else scale.apply(features),
            (y == classes[1])[None],
            init_params(len(features), self.n_hidden, seed=seed, factor=factor, dtype=self.dtype),
            learning_rate=self.learning_rate_init,
            iterations=self.max_iter,
            backend=self.device,
            engine=self.engine,
            log_every=LOOK_EVERY,
            callback=look,
        )
        self.classes_ = classes
        self.standardization_ = scale
        self.params_ = result.params
        self.n_iter_ = result.iterations
        self.loss_curve_ = result.history["cost"].tolist()
        self.device_, self.engine_ = result.backend, result.engine
        if result.interrupted:
            raise KeyboardInterrupt
        if self.tol and not converged:
            warnings.warn(
                f"max_iter={self.max_iter} was reached, and the last {LOOK_EVERY} iterations did not change the cost "
                f"by less than tol={self.tol:g}: take a larger max_iter or another learning_rate_init",
                ConvergenceWarning,
                stacklevel=2,
            )
        return self

    def decision_function(self, X: Any) -> np.ndarray:
        """Return z2 (m,), the logit of the second label's probability, for each row of X (m, n_features)."""
        check_is_fitted(self, "params_")
        features = np.ascontiguousarray(validate_data(self, X, dtype=np.float64, reset=False).T)
        if self.standardization_ is not None:
            features = self.standardization_.apply(features)
        # float64 after any training: where a GPU rounds an example's result by its row, scikit-learn allows for 1e-7.
        params = Params(*(array.astype(np.float64) for array in self.params_))
        logits: np.ndarray = compute_layer("z2", params, features, get_backend(self.device))[0]
        return logits

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of each label, in the order of ``classes_``, as an array (m, 2)."""
        logits = self.decision_function(X)
        with np.errstate(over="ignore"):  # as sigmoid wants; 1 - yhat instead of the sigmoid of -z2 would round to 0
            return np.asarray(equations.sigmoid(np.stack([-logits, logits], axis=1), xp=np))

    def predict(self, X: Any) -> np.ndarray:
        """Return the label of each row, as an array (m,): the second where `decision_function` is above 0."""
        second = self.decision_function(X) > 0
        return np.asarray(self.classes_[second.astype(int)])

    @property
    def coefs_(self) -> list[np.ndarray]:
        """Weights of both layers, (n_features, n_hidden) and (n_hidden, 1)."""
        return [self.params_.w1.T, self.params_.w2.T]

    @property
    def intercepts_(self) -> list[np.ndarray]:
        """Biases of both layers, (n_hidden,) and (1,)."""
        return [self.params_.b1[:, 0], self.params_.b2[:, 0]]

    @property
    def loss_(self) -> float:
        """Cost after the last update, in nats per example."""
        return float(self.loss_curve_[-1])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        return tags


def _two_classes(y: np.ndarray) -> np.ndarray:
    """Return the two labels in y, sorted; raise where there are not two."""
    check_classification_targets(y)
    kind, classes = type_of_target(y, input_name="y", raise_unknown=True), np.unique(y)
    if kind != "binary":
        raise ValueError(
            f"Only binary classification is supported. The type of the target is {kind}: y has {len(classes)} classes. "
            f"Wrap the estimator in sklearn.multiclass.OneVsRestClassifier"
        )
    if len(classes) < 2:
        raise ValueError(f"y has one class, {classes[0]!r}; expected two")
    return classes
