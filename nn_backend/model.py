"""A trained network and what its numbers mean."""

import functools
import hashlib
import math
import numbers
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import array_api_compat
import numpy as np

from nn_backend.backend import Backend, get_backend
from nn_backend.descent import FitResult
from nn_backend.engines.engine import Score
from nn_backend.equations import Params
from nn_backend.errors import DataError
from nn_backend.network import place_params, predict_proba, score
from nn_backend.tables import Standardization


@dataclass(frozen=True, eq=False)
class Model:
    """A trained network and what its numbers mean.

    Attributes
    ----------
    params : Params
        The network, NumPy arrays without leading axes.
    features : tuple of str, optional
        Names of the inputs, in order.
    target : str, optional
        Name of what is predicted.
    labels : tuple of two str, optional
        What 0 and 1 stand for.
    standardization : Standardization, optional
        How features are scaled before they reach the network.
    training : mapping
        How it was trained: names and JSON values such as learning_rate and iterations.
    cost, accuracy : float, optional
        On the training rows; the cost in nats per example.
    data_sha256 : str, optional
        Which data it was trained on, as `digest` gives it.
    """

    params: Params
    features: tuple[str, ...] | None = None
    target: str | None = None
    labels: tuple[str, str] | None = None
    standardization: Standardization | None = None
    training: Mapping[str, Any] = field(default_factory=dict)
    cost: float | None = None
    accuracy: float | None = None
    data_sha256: str | None = None

    def __post_init__(self) -> None:
        keep = functools.partial(object.__setattr__, self)
        keep("params", Params(*place_params(self.params, get_backend("cpu"))))
        for name in ("features", "labels"):
            if isinstance(getattr(self, name), list):
                keep(name, tuple(getattr(self, name)))
        for name in ("cost", "accuracy"):
            value = getattr(self, name)
            if value is None:
                continue
            if not isinstance(value, numbers.Real) or isinstance(value, bool) or not math.isfinite(value):
                raise DataError(f"{name} is {value!r}; expected a finite number or None")
            keep(name, float(value))
        if self.standardization is not None:
            keep("standardization", Standardization(*map(get_backend("cpu").asarray, self.standardization)))
        if self.params.w1.ndim != 2:
            lead = self.params.w1.shape[:-2]
            raise DataError(f"the parameters have leading axes {lead}; expected one network: take array[k] of each")
        n0 = self.params.w1.shape[1]
        if self.features is not None and not (_are_words(self.features) and len(self.features) == n0):
            raise DataError(f"features are {self.features!r}; expected {n0} different names, the inputs of the network")
        if self.labels is not None and not (_are_words(self.labels) and len(self.labels) == 2):
            raise DataError(f"labels are {self.labels!r}; expected two different words, for 0 and for 1")
        for name in ("target", "data_sha256"):
            if not isinstance(getattr(self, name), str | None):
                raise DataError(f"{name} is {getattr(self, name)!r}; expected text or None")
        if not isinstance(self.training, Mapping):
            raise DataError(
                f"training is of type {type(self.training).__name__}; expected a mapping of names to values"
            )
        scale = self.standardization
        if scale is not None:
            if any(array.shape != (n0, 1) or not np.isfinite(array).all() for array in scale):
                raise DataError(f"the standardization is not of finite numbers in shape ({n0}, 1), one for each input")
            if not (scale.deviation > 0).all():
                raise DataError("the standardization has deviations of 0 or less; expected numbers above 0")

    @classmethod
    def of(cls, result: FitResult, **meaning: Any) -> "Model":
        """Return the model that `fit` reached.

        Parameters
        ----------
        result : FitResult
            One network.
        **meaning
            Further attributes; settings in ``training`` join those that the result knows.

        Examples
        --------
        >>> import nn_backend as nn
        >>> X, y = nn.load_marks()
        >>> model = Model.of(nn.fit(X, y, nn.init_params(3, 4), iterations=100), features=("x1", "x2", "x3"))
        >>> model.training["iterations"], round(model.accuracy, 2)
        (100, 0.76)
        """
        last = result.history.iloc[-1]
        known = {"iterations": result.iterations, "backend": result.backend, "engine": result.engine}
        training = {**known, **meaning.pop("training", {})}
        cost, accuracy = float(last["cost"]), float(last["accuracy"])
        return cls(result.params, training=training, cost=cost, accuracy=accuracy, **meaning)

    def predict_proba(self, X: Any, *, backend: str | Backend | None = None) -> np.ndarray:
        """Return the probability that the true value is 1.

        Parameters
        ----------
        X : array (n0, m)
            One example per column, features in their own units.
        backend : str or Backend, optional
            Where to compute, as in `get_backend`.

        Returns
        -------
        ndarray (n2, m)
            As `nn_backend.predict_proba`, in the dtype of the parameters.
        """
        place = get_backend(backend)
        return predict_proba(self.params, self._scale(X, place), backend=place)

    def score(self, X: Any, y: Any, *, backend: str | Backend | None = None) -> Score:
        """Return cost and accuracy on a data set.

        Parameters
        ----------
        X, backend
            As in `predict_proba`.
        y : array (n2, m)
            True values, 0 or 1.
        """
        place = get_backend(backend)
        return score(self.params, self._scale(X, place), y, backend=place)

    def _scale(self, X: Any, place: Backend) -> Any:
        """Standardise on the host, in float64 and with the same bits as for training."""
        if self.standardization is None:
            return X
        on_device = array_api_compat.is_array_api_obj(X) and not array_api_compat.is_numpy_array(X)
        X = place.to_numpy(place.asarray(X)) if on_device else get_backend("cpu").asarray(X)
        fits = X.ndim == 2 and len(X) == self.params.w1.shape[1]
        return self.standardization.apply(X) if fits else X  # predict_proba and score say what would fit


def digest(X: np.ndarray, y: np.ndarray) -> str:
    """Return the SHA-256 of a data set: of X (n0, m) and then y (n2, m), row by row as little-endian float64."""
    hashed = hashlib.sha256()
    for array in (X, y):
        hashed.update(np.ascontiguousarray(array, "<f8").data)
    return hashed.hexdigest()


def _are_words(words: Any) -> bool:
    return isinstance(words, tuple) and all(isinstance(word, str) for word in words) and len(set(words)) == len(words)
