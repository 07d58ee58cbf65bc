"""The network as scikit-learn's classifier and regressor; needs the extra ``sklearn``."""

from typing import Any, Self

import numpy as np

from nn_backend import equations
from nn_backend.checks import shown
from nn_backend.descent import ALPHA, MAX_ITERATIONS, TOL
from nn_backend.errors import ArgumentError
from nn_backend.optimizers import Optimizer
from nn_backend.shallow_net import ShallowNet  # before scikit-learn: it says what to do where that is missing

# isort: split
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets


class ShallowNetClassifier(ClassifierMixin, ShallowNet):  # type: ignore[misc]
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
    tol : float or None
        Training ends where no element of the gradient, that of the penalty included, is as large as this; 0 or None:
        never.
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
        tol: float | None = TOL,
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
        self._set(locals())

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
            raise ValueError(
                f"classes are {shown(classes)}; expected those of the first call, {shown(self.classes_.tolist())}"
            )
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
        return self._answer(self._ask(X))

    @property
    def _output(self) -> str:
        return "sigmoid" if len(self.classes_) == 2 else "softmax"

    def _answer(self, z2: np.ndarray) -> np.ndarray:
        """Return labels (..., m) for z2 (..., n2, m)."""
        number = z2.argmax(axis=-2) if z2.shape[-2] > 1 else (z2[..., 0, :] > 0).astype(int)
        return np.asarray(self.classes_[number])

    def _encode(self, y: np.ndarray, weights: Any, classes: Any) -> tuple[np.ndarray, Any]:
        """Return a row of 0 and 1 for the second of two classes, or one for each class, and weights of the examples."""
        check_classification_targets(y)
        self.classes_ = np.unique(y if classes is None else classes)
        if len(self.classes_) < 2:
            raise ValueError(f"y has one class, {shown(self.classes_.tolist()[0])}; expected two or more")
        unknown = ~np.isin(y, self.classes_)
        if unknown.any():
            raise ValueError(
                f"y has the label {shown(y[unknown].tolist()[0])}, none of the classes {shown(self.classes_.tolist())}"
            )
        number = np.searchsorted(self.classes_, y)
        if self.class_weight is not None:
            each = compute_class_weight(self.class_weight, classes=self.classes_, y=y, sample_weight=weights)[number]
            weights = each if weights is None else weights * each
        rows = np.arange(len(self.classes_))[1 if len(self.classes_) == 2 else 0 :]
        return (number == rows[:, None]).astype(np.float64), weights


class ShallowNetRegressor(RegressorMixin, ShallowNet):  # type: ignore[misc]
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

    def __init__(
        self,
        n_hidden: int = 4,
        *,
        solver: str | Optimizer = "rprop",
        alpha: float = ALPHA,
        learning_rate_init: float | None = None,
        max_iter: int = MAX_ITERATIONS,
        tol: float | None = TOL,
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
        self._set(locals())

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Do one update on examples, as given to `fit`, from a new start in the first call."""
        return self._go_on(X, y, sample_weight)

    def predict(self, X: Any) -> np.ndarray:
        """Return the number predicted for each row, as an array (m,), or (m, n_outputs) of several outputs."""
        return self._answer(self._ask(X))

    def _answer(self, z2: np.ndarray) -> np.ndarray:
        """Return numbers (..., m), or (..., m, n2) of several outputs, for z2 (..., n2, m)."""
        yhat = z2 if self.target_scale_ is None else self.target_scale_.undo(z2)
        return yhat[..., 0, :] if yhat.shape[-2] == 1 else yhat.swapaxes(-1, -2)

    def _encode(self, y: np.ndarray, weights: Any, classes: Any) -> tuple[np.ndarray, Any]:
        """Return numbers with a row for each output."""
        return np.ascontiguousarray(y.reshape(len(y), -1).T, np.float64), weights

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
