"""What a trained estimator shows of its network, and the network's way to a model and back."""

import functools
from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from nn_backend.engines.engine import Score
from nn_backend.errors import ArgumentError, MissingPackageError
from nn_backend.model import Model

try:
    from sklearn.base import BaseEstimator
    from sklearn.utils.validation import check_is_fitted
except ImportError as error:
    raise MissingPackageError(
        'nn_backend.estimator needs scikit-learn 1.7 or newer: run "pip install nn-backend[sklearn]"'
    ) from error

OUT_ACTIVATIONS = {"sigmoid": "logistic", "softmax": "softmax", "identity": "identity"}


class Fitted(BaseEstimator):  # type: ignore[misc]
    """An estimator that keeps what it is given, shows what it learned, and is made of models and to models."""

    @classmethod
    @functools.cache  # searches ask for them again and again, and inspecting a signature takes 0.1 ms
    def _get_param_names(cls) -> list[str]:
        names: list[str] = super()._get_param_names()
        return names

    def _set(self, settings: Mapping[str, Any]) -> None:
        """Keep what the initialiser was given, as scikit-learn wants it: under its name, and checked by `fit` only."""
        self.__dict__.update({name: value for name, value in settings.items() if name != "self"})

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


def _is_json(value: Any) -> bool:
    return value is None or isinstance(value, bool | int | float | str)
