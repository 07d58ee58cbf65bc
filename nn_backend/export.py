"""Trained networks as files: safetensors to keep and to share, ONNX for other runtimes."""

import hashlib
import importlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from nn_backend.backend import Backend, get_backend
from nn_backend.descent import FitResult
from nn_backend.engines.engine import Score
from nn_backend.equations import Params
from nn_backend.errors import ArgumentError, ArrayTypeError, DataError, DataFileError, MissingPackageError
from nn_backend.files import replacing
from nn_backend.network import place_params, predict_proba, score
from nn_backend.tables import Standardization

FORMAT, FORMAT_VERSION = "nn_backend", "1"
# What torch.nn.Sequential(Linear, Sigmoid, Linear) calls them.
TENSORS = {"w1": "0.weight", "b1": "0.bias", "w2": "2.weight", "b2": "2.bias"}
ONNX_OPSET, ONNX_IR = 17, 8  # of 2022: read by every runtime in use


@dataclass(frozen=True)
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
        place_params(self.params, get_backend("cpu"))
        if self.params.w1.ndim != 2:
            lead = self.params.w1.shape[:-2]
            raise DataError(
                f"the parameters are networks with leading axes {lead}; expected one: take array[k] of each"
            )
        n0 = self.params.w1.shape[1]
        if self.features is not None and len(self.features) != n0:
            raise DataError(f"features are {len(self.features)} names; expected {n0}, the inputs of the network")
        if self.standardization is not None and {a.shape for a in self.standardization} != {(n0, 1)}:
            raise DataError(f"the standardization is not of shape ({n0}, 1), one number for each input of the network")

    @classmethod
    def of(cls, result: FitResult, **meaning: Any) -> "Model":
        """Give the model that `fit` reached.

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
        """Give the probability that the true value is 1.

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
        return predict_proba(self.params, self._scale(X), backend=backend)

    def score(self, X: Any, y: Any, *, backend: str | Backend | None = None) -> Score:
        """Give cost and accuracy on a data set.

        Parameters
        ----------
        X, backend
            As in `predict_proba`.
        y : array (n2, m)
            True values, 0 or 1.
        """
        return score(self.params, self._scale(X), y, backend=backend)

    def _scale(self, X: Any) -> Any:
        return X if self.standardization is None else self.standardization.apply(np.asarray(X, np.float64))


def digest(X: np.ndarray, y: np.ndarray) -> str:
    """Give the SHA-256 of a data set: of X (n0, m) and then y (n2, m), row by row as little-endian float64."""
    hashed = hashlib.sha256()
    for array in (X, y):
        hashed.update(np.ascontiguousarray(array, "<f8").data)
    return hashed.hexdigest()


def save(path: str | Path, result: FitResult | Model) -> None:
    """Save a trained network as a safetensors file; needs the extra ``export``.

    Parameters
    ----------
    path : str or Path
        The file; an old one is replaced at once, or stays as it is if anything fails.
    result : FitResult or Model
        What to save. A `FitResult` does not know names and scaling of its features: see `Model.of`.

    Raises
    ------
    DataFileError
        If the file cannot be written.
    MissingPackageError
        If safetensors is not installed.

    Notes
    -----
    Tensors have PyTorch's names and shapes, so that ``torch.nn.Sequential(Linear, Sigmoid, Linear)`` takes them by
    ``load_state_dict(safetensors.torch.load_file(path))``. All else is in the metadata, as JSON, with a SHA-256 of the
    whole by which `load` finds damage.
    """
    numpy = import_extra("safetensors.numpy")
    model = _model(result)
    tensors = {TENSORS[name]: np.ascontiguousarray(array) for name, array in model.params._asdict().items()}
    tensors |= {name: tensors[name][:, 0] for name in (TENSORS["b1"], TENSORS["b2"])}
    scale = model.standardization
    try:
        described = {
            "sizes": [*model.params.w1.shape[::-1], len(model.params.w2)],
            "dtype": model.params.w1.dtype.name,
            "features": model.features,
            "target": model.target,
            "labels": model.labels,
            "standardization": scale and {name: array[:, 0].tolist() for name, array in scale._asdict().items()},
            "training": dict(model.training),
            "cost": model.cost,
            "accuracy": model.accuracy,
            "data_sha256": model.data_sha256,
        }
        metadata = {name: json.dumps(value, allow_nan=False) for name, value in described.items()}
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"the model's training settings cannot be saved as JSON: {error}") from None
    metadata |= {"format": FORMAT, "format_version": FORMAT_VERSION}
    metadata["sha256"] = _checksum(tensors, metadata)
    with replacing(Path(path)) as file:
        file.write(numpy.save(tensors, metadata))


def load(path: str | Path) -> Model:
    """Load a network that `save` wrote; needs the extra ``export``. Nothing in the file is executed.

    Parameters
    ----------
    path : str or Path
        The file.

    Returns
    -------
    Model
        The same, to the bit.

    Raises
    ------
    DataFileError
        If the file is missing, no safetensors file, not of `save`, of a later version, truncated or changed.
    MissingPackageError
        If safetensors is not installed.
    """
    safetensors = import_extra("safetensors")
    try:
        with safetensors.safe_open(path, framework="np") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != FORMAT:
                raise DataFileError(f"{path} holds something else than a network saved by nn_backend")
            if metadata.get("format_version") != FORMAT_VERSION:
                version = metadata.get("format_version")
                raise DataFileError(
                    f"{path} is of format version {version}; this nn_backend reads version {FORMAT_VERSION}, update it"
                )
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # it has no other iteration
    except FileNotFoundError:
        raise DataFileError(f"{path} does not exist; expected a file written by --save or save") from None
    except (OSError, safetensors.SafetensorError) as error:
        if isinstance(error, DataFileError):
            raise
        raise DataFileError(f"{path} is no safetensors file, or only a part of one: {error}") from None
    expected = metadata.pop("sha256", None)
    if _checksum(tensors, metadata) != expected:
        raise DataFileError(f"{path} was changed or damaged after it was saved (its checksum is wrong); save it anew")
    try:
        return _read_model(tensors, metadata)
    except (DataError, ArrayTypeError, LookupError, TypeError, ValueError) as error:
        raise DataFileError(f"{path} holds no network that fits together: {error}") from None


def to_onnx(result: FitResult | Model) -> Any:
    """Give a trained network as an ONNX graph: standardisation, network and probabilities; needs the extra ``export``.

    Parameters
    ----------
    result : FitResult or Model
        The network.

    Returns
    -------
    onnx.ModelProto
        Input ``X`` (m, n0), one example per row, features in their own units; output ``probabilities`` (m, n2); both
        in the dtype of the parameters. ``onnx.save(to_onnx(result), path)`` writes it.

    Raises
    ------
    MissingPackageError
        If onnx is not installed.
    """
    onnx = import_extra("onnx")
    model = _model(result)
    w1, b1, w2, b2 = model.params
    make, from_array = onnx.helper, onnx.numpy_helper.from_array
    kind = make.np_dtype_to_tensor_dtype(w1.dtype)
    constants = {"w1": w1, "b1": b1[:, 0], "w2": w2, "b2": b2[:, 0]}
    nodes, inputs = [], "X"
    if model.standardization is not None:  # in float64, as in training
        mean, deviation = model.standardization
        constants |= {"mean": mean.T, "deviation": deviation.T}
        nodes = [
            make.make_node("Cast", ["X"], ["X64"], to=onnx.TensorProto.DOUBLE),
            make.make_node("Sub", ["X64", "mean"], ["centred"]),
            make.make_node("Div", ["centred", "deviation"], ["scaled64"]),
            make.make_node("Cast", ["scaled64"], ["scaled"], to=kind),
        ]
        inputs = "scaled"
    nodes += [
        make.make_node("Gemm", [inputs, "w1", "b1"], ["z1"], transB=1),
        make.make_node("Sigmoid", ["z1"], ["f1"]),
        make.make_node("Gemm", ["f1", "w2", "b2"], ["z2"], transB=1),
        make.make_node("Sigmoid", ["z2"], ["probabilities"]),
    ]
    graph = make.make_graph(
        nodes,
        "nn_backend",
        [make.make_tensor_value_info("X", kind, ["m", w1.shape[1]])],
        [make.make_tensor_value_info("probabilities", kind, ["m", len(w2)])],
        [from_array(np.ascontiguousarray(array), name) for name, array in constants.items()],
    )
    proto = make.make_model(
        graph, producer_name="nn_backend", ir_version=ONNX_IR, opset_imports=[make.make_opsetid("", ONNX_OPSET)]
    )
    meaning = {"features": model.features, "target": model.target, "labels": model.labels}
    make.set_model_props(proto, {name: json.dumps(value) for name, value in meaning.items() if value is not None})
    onnx.checker.check_model(proto, full_check=True)
    return proto


def import_extra(name: str) -> Any:
    """Give a module of the extra ``export``, or say how to get it."""
    try:
        return importlib.import_module(name)
    except ImportError:
        package = name.partition(".")[0]
        raise MissingPackageError(
            f'{package} is not installed, and the format needs it: run "pip install nn-backend[export]"'
        ) from None


def _model(result: FitResult | Model) -> Model:
    if isinstance(result, Model):
        return result
    if isinstance(result, FitResult):
        return Model.of(result)
    raise ArrayTypeError(f"the result is of type {type(result).__name__}; expected a FitResult or a Model")


def _checksum(tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> str:
    hashed = hashlib.sha256(json.dumps(sorted(metadata.items())).encode())
    for name, tensor in sorted(tensors.items()):
        hashed.update(f"{name} {tensor.dtype.str} {tensor.shape}".encode())
        hashed.update(np.ascontiguousarray(tensor).data)
    return hashed.hexdigest()


def _read_model(tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> Model:
    """Give the model; raise one of several errors where its parts do not fit together."""
    read = {name: json.loads(text) for name, text in metadata.items() if not name.startswith("format")}
    if set(tensors) != set(TENSORS.values()):
        raise DataError(f"its tensors are {', '.join(sorted(tensors))}")
    w1, b1, w2, b2 = (tensors[TENSORS[name]] for name in Params._fields)
    params = Params(w1, b1[:, None], w2, b2[:, None])
    if read["sizes"] != [*w1.shape[::-1], len(w2)] or read["dtype"] != w1.dtype.name:
        raise DataError(f"its tensors are of other sizes than {read['sizes']} in {read['dtype']}")
    scale = read["standardization"]
    return Model(
        params,
        features=read["features"] and tuple(map(str, read["features"])),
        target=read["target"],
        labels=read["labels"] and tuple(map(str, read["labels"])),
        standardization=scale and Standardization(*(np.array([scale[key]]).T for key in Standardization._fields)),
        training=read["training"],
        cost=read["cost"],
        accuracy=read["accuracy"],
        data_sha256=read["data_sha256"],
    )
