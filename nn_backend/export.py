"""Trained networks as files: safetensors to keep and to share, ONNX for other runtimes."""

import hashlib
import importlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nn_backend.descent import FitResult
from nn_backend.equations import Params
from nn_backend.errors import ArgumentError, ArrayTypeError, DataError, DataFileError, MissingPackageError
from nn_backend.files import replacing
from nn_backend.model import Model
from nn_backend.tables import Standardization

FORMAT, FORMAT_VERSION = "nn_backend", 1
# What torch.nn.Sequential(Linear, Sigmoid, Linear) calls them.
TENSORS = {"w1": "0.weight", "b1": "0.bias", "w2": "2.weight", "b2": "2.bias"}
ONNX_OPSET, ONNX_IR = 17, 8  # of 2022: read by every runtime in use


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
    ``load_state_dict(safetensors.torch.load_file(path))``. All else is in the metadata, as JSON under ``nn_backend``,
    with a SHA-256 of the whole by which `load` finds damage. The same network gives the same bytes.
    """
    numpy = import_extra("safetensors.numpy")
    model = _model(result)
    tensors = {TENSORS[name]: np.ascontiguousarray(array) for name, array in model.params._asdict().items()}
    tensors |= {name: tensors[name][:, 0] for name in (TENSORS["b1"], TENSORS["b2"])}
    scale = model.standardization
    meaning = {
        "format_version": FORMAT_VERSION,
        "sizes": [*model.params.w1.shape[::-1], len(model.params.w2)],
        "dtype": model.params.w1.dtype.name,
        "features": model.features,
        "target": model.target,
        "labels": model.labels,
        "standardization": scale and scale.to_lists(),
        "training": dict(model.training),
        "cost": model.cost,
        "accuracy": model.accuracy,
        "data_sha256": model.data_sha256,
    }
    try:
        meaning["sha256"] = _checksum(tensors, meaning)
    except (TypeError, ValueError, RecursionError) as error:
        raise ArgumentError(f"the model's training settings cannot be saved as JSON: {error}") from None
    # One entry: safetensors writes several in an order that varies, and the same network shall give the same file.
    with replacing(Path(path)) as file:
        file.write(numpy.save(tensors, {FORMAT: json.dumps(meaning)}))


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
            text = (file.metadata() or {}).get(FORMAT)
            if text is None:
                raise DataFileError(f"{path} holds something else than a network saved by nn_backend")
            meaning = json.loads(text)
            if meaning["format_version"] != FORMAT_VERSION:
                raise DataFileError(
                    f"{path} is of format version {meaning['format_version']}; this nn_backend reads version "
                    f"{FORMAT_VERSION}, update it"
                )
            names = list(file.keys())
            if {file.get_slice(name).get_dtype() for name in names} - {"F32", "F64"}:
                raise DataError("its tensors are neither float32 nor float64")
            tensors = {name: file.get_tensor(name) for name in names}
        expected = meaning.pop("sha256")
        if _checksum(tensors, meaning) != expected:
            raise DataFileError(f"{path} was changed or damaged after it was saved: its checksum is wrong")
        return _read_model(tensors, meaning)
    except FileNotFoundError:
        raise DataFileError(f"{path} does not exist; expected a file written by --save or save") from None
    except (OSError, safetensors.SafetensorError) as error:
        if isinstance(error, DataFileError):
            raise
        raise DataFileError(f"{path} is no safetensors file, or only a part of one: {error}") from None
    except (ArithmeticError, LookupError, RecursionError, TypeError, ValueError) as error:  # JSON of another shape
        reason = f"it lacks {error}" if isinstance(error, KeyError) else error
        raise DataFileError(f"{path} holds no network that fits together: {reason}") from None


def to_onnx(result: FitResult | Model) -> Any:
    """Return a trained network as an ONNX graph: standardisation, network, probabilities; needs the extra ``export``.

    Parameters
    ----------
    result : FitResult or Model
        The network.

    Returns
    -------
    onnx.ModelProto
        Input ``X`` (m, n0), one example per row, features in their own units, float64 where they are standardised;
        output ``probabilities`` (m, n2). All else is in the dtype of the parameters.

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
    nodes, inputs, kind_of_X = [], "X", kind
    if model.standardization is not None:
        mean, deviation = model.standardization
        constants |= {"mean": mean.T, "deviation": deviation.T}
        nodes = [
            make.make_node("Sub", ["X", "mean"], ["centred"]),
            make.make_node("Div", ["centred", "deviation"], ["scaled64"]),
            make.make_node("Cast", ["scaled64"], ["scaled"], to=kind),
        ]
        # Float64 as in training: float32 would round off what sets features apart that are far from 0.
        inputs, kind_of_X = "scaled", onnx.TensorProto.DOUBLE
    nodes += [
        make.make_node("Gemm", [inputs, "w1", "b1"], ["z1"], transB=1),
        make.make_node("Sigmoid", ["z1"], ["f1"]),
        make.make_node("Gemm", ["f1", "w2", "b2"], ["z2"], transB=1),
        make.make_node("Sigmoid", ["z2"], ["probabilities"]),
    ]
    graph = make.make_graph(
        nodes,
        "nn_backend",
        [make.make_tensor_value_info("X", kind_of_X, ["m", w1.shape[1]])],
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
    """Return a module of the extra ``export``, or say how to get it."""
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


def _checksum(tensors: Mapping[str, np.ndarray], meaning: Mapping[str, Any]) -> str:
    hashed = hashlib.sha256(json.dumps(meaning, sort_keys=True, allow_nan=False).encode())
    for name, tensor in sorted(tensors.items()):
        hashed.update(f"{name} {tensor.dtype.str} {tensor.shape}".encode())
        hashed.update(np.ascontiguousarray(tensor).data)
    return hashed.hexdigest()


def _read_model(tensors: Mapping[str, np.ndarray], meaning: Mapping[str, Any]) -> Model:
    """Return the model; raise one of several errors where its parts do not fit together."""
    if set(tensors) != set(TENSORS.values()):
        raise DataError(f"its tensors are {', '.join(sorted(tensors))}")
    w1, b1, w2, b2 = (tensors[TENSORS[name]] for name in Params._fields)
    params = Params(w1, b1[:, None], w2, b2[:, None])
    if meaning["sizes"] != [*w1.shape[::-1], len(w2)] or meaning["dtype"] != w1.dtype.name:
        raise DataError(f"its tensors are of other sizes than {meaning['sizes']} in {meaning['dtype']}")
    scale = meaning["standardization"]
    if scale is not None:
        scale = Standardization(*(np.array(scale[name], np.float64)[:, None] for name in Standardization._fields))
    return Model(
        params,
        features=meaning["features"],
        target=meaning["target"],
        labels=meaning["labels"],
        standardization=scale,
        training=meaning["training"],
        cost=meaning["cost"],
        accuracy=meaning["accuracy"],
        data_sha256=meaning["data_sha256"],
    )
