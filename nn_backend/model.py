"""A trained network and what its numbers mean."""

import functools
import math
import numbers
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import array_api_compat
import numpy as np

from nn_backend.backend import Backend, get_backend
from nn_backend.checks import shown
from nn_backend.engines.engine import Score
from nn_backend.equations import Params
from nn_backend.errors import ArrayTypeError, DataError
from nn_backend.network import compute_layer, get_output, place_params, score
from nn_backend.run import FitResult
from nn_backend.tables import Encoding, Standardization, quoted

if TYPE_CHECKING:  # pandas takes longer to import than a small training
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Model:
    """A trained network and what its numbers mean.

    Attributes
    ----------
    params : Params
        The network, NumPy arrays without leading axes.
    output : str
        What kind of network it is: ``"sigmoid"``, ``"softmax"`` or ``"identity"``.
    features : tuple of str, optional
        Names of the inputs, in order.
    target : str, optional
        Name of what is predicted.
    encoding : Encoding, optional
        How a table's columns become the features; None where these are its columns, all of them numbers.
    labels : tuple of str, int, float or bool, optional
        What 0 and 1 of a sigmoid output stand for, or what each softmax output does; all of one type.
    standardization : Standardization, optional
        How features are scaled before they reach the network.
    target_scale : Standardization, optional
        How the target of an identity output was scaled, mean and deviation (n2, 1); `predict_proba` undoes it.
    training : mapping
        How it was trained: names and JSON values such as learning_rate and iterations.
    cost, accuracy, r2 : float, optional
        On the training rows, as in `Score`; the cost and R² of an identity output are those of its scaled target.
    data_sha256 : str, optional
        Which data it was trained on, as `digest` gives it.
    """

    params: Params
    output: str = "sigmoid"
    features: tuple[str, ...] | None = None
    target: str | None = None
    labels: tuple[Any, ...] | None = None
    standardization: Standardization | None = None
    target_scale: Standardization | None = None
    training: Mapping[str, Any] = field(default_factory=dict)
    cost: float | None = None
    accuracy: float | None = None
    r2: float | None = None
    data_sha256: str | None = None
    encoding: Encoding | None = None

    def __post_init__(self) -> None:
        keep = functools.partial(object.__setattr__, self)
        keep("params", Params(*place_params(self.params, get_backend("cpu"))))
        if self.params.w1.ndim != 2:
            lead = self.params.w1.shape[:-2]
            raise DataError(f"the parameters have leading axes {lead}; expected one network: take array[k] of each")
        get_output(self.output)
        for name in ("features", "labels"):
            values = getattr(self, name)
            if isinstance(values, list | tuple | np.ndarray):
                keep(name, tuple(value.item() if isinstance(value, np.generic) else value for value in values))
        n0, n2 = self.params.w1.shape[1], len(self.params.w2)
        if self.features is not None and not (_are_labels(self.features, n0) and isinstance(self.features[0], str)):
            raise DataError(
                f"features are {shown(self.features)}; expected {n0} different names, the inputs of the network"
            )
        if self.encoding is not None and self.encoding.inputs != self.features:
            inputs = quoted(self.encoding.inputs)
            raise DataError(f"the encoding gives the inputs {inputs}; expected the features, {shown(self.features)}")
        if self.labels is not None:
            count, use = (n2, "one for each output") if self.output == "softmax" else (2, "for 0 and for 1")
            if self.output == "identity":
                raise DataError(f"labels are {shown(self.labels)}; expected None, as output 'identity' has no classes")
            if not _are_labels(self.labels, count):
                raise DataError(
                    f"labels are {shown(self.labels)}; expected {count} different words, numbers or booleans, {use}"
                )
        if self.target_scale is not None and self.output != "identity":
            raise DataError(f"there is a target_scale; expected None, as output {self.output!r} has classes")
        for name, rows, use in (("standardization", n0, "input"), ("target_scale", n2, "output")):
            if getattr(self, name) is None:
                continue
            scale = Standardization(*map(get_backend("cpu").asarray, getattr(self, name)))
            if any(array.shape != (rows, 1) or not np.isfinite(array).all() for array in scale):
                raise DataError(f"the {name} is not of finite numbers in shape ({rows}, 1), one for each {use}")
            if not (scale.deviation > 0).all():
                raise DataError(f"the {name} has deviations of 0 or less; expected numbers above 0")
            keep(name, scale)
        for name in ("cost", "accuracy", "r2"):
            value = getattr(self, name)
            if value is None:
                continue
            if not isinstance(value, numbers.Real) or isinstance(value, bool) or not math.isfinite(value):
                raise DataError(f"{name} is {shown(value)}; expected a finite number or None")
            keep(name, float(value))
        for name in ("target", "data_sha256"):
            if not isinstance(getattr(self, name), str | None):
                raise DataError(f"{name} is {shown(getattr(self, name))}; expected text or None")
        if not isinstance(self.training, Mapping):
            raise DataError(
                f"training is of type {type(self.training).__name__}; expected a mapping of names to values"
            )

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
        if not isinstance(result, FitResult):
            given = type(result).__name__
            raise ArrayTypeError(f"result is of type {given}; expected a FitResult (an estimator has to_model())")
        names = ("iterations", "status", "optimizer", "backend", "engine")
        training = {**{name: getattr(result, name) for name in names}, **meaning.pop("training", {})}
        reached = {name: value for name, value in result.score._asdict().items() if not np.isnan(value).all()}
        return cls(result.params, result.output, training=training, **reached, **meaning)

    @property
    def columns(self) -> Encoding | None:
        """How a table's columns become the features; None where the features have no names."""
        if self.encoding is None and self.features is not None:
            return Encoding.of_numbers(self.features)
        return self.encoding

    def encode(self, frame: "pd.DataFrame", *, unknown: str = "refuse") -> np.ndarray:
        """Return X (n0, m) from a data frame with an example per row, whose columns are found by name.

        Parameters
        ----------
        frame : DataFrame
            The columns of the training; others may stand beside them.
        unknown : str
            What becomes of words that the training had not: ``"refuse"``, or ``"ignore"`` for none of its words.

        Raises
        ------
        DataError
            If a column is missing, or a value does not fit; its row and column are named.
        """
        if self.columns is None:
            raise ArrayTypeError("the model's features have no names; expected an array X (n0, m)")
        return self.columns.read(frame, "the data frame", unknown=unknown)

    def predict_proba(self, X: Any, *, backend: str | Backend | None = None) -> np.ndarray:
        """Return the network's output for each example: probabilities, or the number predicted.

        Parameters
        ----------
        X : array (n0, m), or DataFrame
            One example per column, features in their own units; of a frame, `encode` makes them.
        backend : str or Backend, optional
            Where to compute, as in `get_backend`.

        Returns
        -------
        ndarray (n2, m)
            As `nn_backend.predict_proba`, in the dtype of the parameters; with a target_scale numbers in the target's
            own units, in float64.
        """
        yhat = self._compute("yhat", X, backend)
        return yhat if self.target_scale is None else self.target_scale.undo(yhat)

    def compute_layers(self, X: Any, *, backend: str | Backend | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return z2 and yhat (n2, m) of one forward pass, from which a cost can be told; numbers are not unscaled.

        Parameters
        ----------
        X, backend
            As in `predict_proba`.
        """
        layers, n2 = self._compute("layers", X, backend), len(self.params.w2)
        return layers[:n2], layers[-n2:]

    def score(self, X: Any, y: Any, *, backend: str | Backend | None = None) -> Score:
        """Return cost and accuracy, or R², on a data set.

        Parameters
        ----------
        X, backend
            As in `predict_proba`.
        y : array (n2, m)
            True values: 0 or 1, with one 1 in each column for softmax; for identity numbers in their own units, which
            are scaled as in training.
        """
        place = get_backend(backend)
        X, y = _scaled(self._rows(X), self.standardization, place), _scaled(y, self.target_scale, place)
        return score(self.params, X, y, output=self.output, backend=place)

    def _compute(self, layer: str, X: Any, backend: str | Backend | None) -> np.ndarray:
        place = get_backend(backend)
        X = _scaled(self._rows(X), self.standardization, place)
        return compute_layer(layer, self.params, X, place, get_output(self.output))

    def _rows(self, X: Any) -> Any:
        return self.encode(X) if hasattr(X, "columns") and hasattr(X, "iloc") else X  # without importing pandas


def _scaled(values: Any, scale: Standardization | None, place: Backend) -> Any:
    """Standardise on the host, in float64 and with the same bits as for training."""
    if scale is None:
        return values
    on_device = array_api_compat.is_array_api_obj(values) and not array_api_compat.is_numpy_array(values)
    values = place.to_numpy(place.asarray(values)) if on_device else get_backend("cpu").asarray(values)
    fits = values.ndim == 2 and len(values) == len(scale.mean)
    return scale.apply(values) if fits else values  # predict_proba and score say what would fit


def _are_labels(labels: Any, count: int) -> bool:
    """Return whether these are so many different values of one type that JSON keeps."""
    if not isinstance(labels, tuple) or len({type(label) for label in labels}) != 1:
        return False
    known = isinstance(labels[0], str | int) or (isinstance(labels[0], float) and all(map(math.isfinite, labels)))
    return known and len(labels) == len(set(labels)) == count
