"""Trained networks as files: safetensors to keep and to share, ONNX for other runtimes."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from nn_backend import tensors as files
from nn_backend.equations import Params
from nn_backend.errors import ArrayTypeError, DataError
from nn_backend.model import Model
from nn_backend.networks import Networks
from nn_backend.run import FitResult
from nn_backend.tables import Encoding, Scales, Standardization
from nn_backend.tensors import FORMAT, import_extra

# What torch.nn.Sequential(Linear, Sigmoid, Linear) calls them.
TENSORS = {"w1": "0.weight", "b1": "0.bias", "w2": "2.weight", "b2": "2.bias"}
ONNX_OPSET, ONNX_ML_OPSET, ONNX_IR = 17, 3, 8  # of 2022: read by every runtime in use
ONNX_OUTPUTS = {"sigmoid": "Sigmoid", "softmax": "Softmax", "identity": "Identity"}  # Softmax over the last axis


@runtime_checkable
class Fitted(Protocol):
    """What can say which model it holds, such as a fitted estimator."""

    def to_model(self) -> Model:
        """Return the model."""
        ...


def save(path: str | Path, result: FitResult | Model | Fitted | Networks) -> None:
    """Save a trained network, or many, as one safetensors file; needs the extra ``export``.

    Parameters
    ----------
    path : str or Path
        The file; an old one is replaced at once, or stays as it is if anything fails.
    result : FitResult, Model, fitted estimator, or Networks
        What to save. A `FitResult` does not know names and scaling of its features: see `Model.of`. `Networks` are
        saved without the rows that their `Networks.best` would need after folds.

    Raises
    ------
    ArgumentError
        If the file's name ends as that of another format.
    DataFileError
        If the file cannot be written.
    MissingPackageError
        If safetensors is not installed.

    Notes
    -----
    Tensors have PyTorch's names and shapes, so that ``torch.nn.Sequential(Linear, Sigmoid, Linear)`` takes them by
    ``load_state_dict(safetensors.torch.load_file(path))``; it computes z2, to which the output is applied. All else is
    in the metadata, as JSON under ``nn_backend``, with a SHA-256 of the whole by which `load` finds damage. The same
    network gives the same bytes. `Networks` are stacked by size, ``4/w1`` for those of four hidden units; the table's
    columns of numbers are tensors too.
    """
    if isinstance(result, Networks):
        files.write(path, "networks", *_networks_parts(result))
        return
    model = _model(result)
    tensors = {TENSORS[name]: np.ascontiguousarray(array) for name, array in model.params._asdict().items()}
    tensors |= {name: tensors[name][:, 0] for name in (TENSORS["b1"], TENSORS["b2"])}
    scale, target_scale = model.standardization, model.target_scale
    meaning = {
        "output": model.output,
        "sizes": [*model.params.w1.shape[::-1], len(model.params.w2)],
        "dtype": model.params.w1.dtype.name,
        "features": model.features,
        "target": model.target,
        "labels": model.labels,
        "standardization": scale and scale.to_lists(),
        "target_scale": target_scale and target_scale.to_lists(),
        "training": dict(model.training),
        "cost": model.cost,
        "accuracy": model.accuracy,
        "r2": model.r2,
        "data_sha256": model.data_sha256,
    }
    if model.encoding is not None:
        meaning["encoding"] = model.encoding.to_json()
    files.write(path, "model", tensors, meaning)


def load(path: str | Path) -> Model | Networks:
    """Load what `save` wrote; needs the extra ``export``. Nothing in the file is executed.

    Parameters
    ----------
    path : str or Path
        The file.

    Returns
    -------
    Model or Networks
        The same, to the bit.

    Raises
    ------
    DataFileError
        If the file is missing, no safetensors file, not of `save`, of a later version, truncated or changed.
    MissingPackageError
        If safetensors is not installed.
    """
    tensors, meaning = files.read(path, "model", "networks")
    kind = meaning.get("kind", "model")  # which version 1 does not say
    try:
        return _read_networks(tensors, meaning) if kind == "networks" else _read_model(tensors, meaning)
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise files.not_fitting(path, kind, error) from None


def to_onnx(result: FitResult | Model | Fitted) -> Any:
    """Return a trained network as an ONNX graph, from features in their own units on; needs the extra ``export``.

    Parameters
    ----------
    result : FitResult, Model, or fitted estimator
        The network.

    Returns
    -------
    onnx.ModelProto
        Input ``X`` (m, n0), one example per row, features in their own units, float64 where they are standardised. A
        model with an encoding has instead an input (m, 1) for each column of the table, by its name: text, ``""`` where
        a word is missing, or float64, NaN where a number is missing; a word that the training had not is refused.
        Output ``probabilities`` (m, n2), or ``predictions`` (m, n2) where the output is ``"identity"``, in the target's
        own units, float64 where it was scaled. All else is in the dtype of the parameters.

    Raises
    ------
    MissingPackageError
        If onnx is not installed.
    """
    onnx = import_extra("onnx")
    import_extra("onnx.compose")
    model = _model(result)
    w1, b1, w2, b2 = model.params
    make, from_array = onnx.helper, onnx.numpy_helper.from_array
    kind = make.np_dtype_to_tensor_dtype(w1.dtype)
    constants = {"w1": w1, "b1": b1[:, 0], "w2": w2, "b2": b2[:, 0]}
    inputs, kind_of_X, kind_of_yhat = "X", kind, kind
    nodes: list[Any] = []
    given = [make.make_tensor_value_info("X", kind, ["m", w1.shape[1]])]
    opsets = [make.make_opsetid("", ONNX_OPSET)]
    yhat = "predictions" if model.output == "identity" else "probabilities"
    if model.standardization is not None or model.encoding is not None:
        # Float64 as in training: float32 would round off what sets features apart that are far from 0.
        inputs, kind_of_X = "scaled", onnx.TensorProto.DOUBLE
        given = [make.make_tensor_value_info("X", kind_of_X, ["m", w1.shape[1]])]
    if model.encoding is not None:
        nodes, given = _encode(onnx, model.encoding, constants)
        opsets.append(make.make_opsetid("ai.onnx.ml", ONNX_ML_OPSET))
    unscaled = "X"
    if model.standardization is not None:
        unscaled = "scaled64"
        mean, deviation = model.standardization
        constants |= {"mean": mean.T, "deviation": deviation.T}
        nodes += [
            make.make_node("Sub", ["X", "mean"], ["centred"]),
            make.make_node("Div", ["centred", "deviation"], ["scaled64"]),
        ]
    if inputs == "scaled":
        nodes.append(make.make_node("Cast", [unscaled], [inputs], to=kind))
    nodes += [
        make.make_node("Gemm", [inputs, "w1", "b1"], ["z1"], transB=1),
        make.make_node("Sigmoid", ["z1"], ["f1"]),
        make.make_node("Gemm", ["f1", "w2", "b2"], ["z2"], transB=1),
        make.make_node(ONNX_OUTPUTS[model.output], ["z2"], [yhat if model.target_scale is None else "yhat"]),
    ]
    if model.target_scale is not None:
        mean, deviation = model.target_scale
        constants |= {"target_mean": mean.T, "target_deviation": deviation.T}
        nodes += [
            make.make_node("Cast", ["yhat"], ["yhat64"], to=onnx.TensorProto.DOUBLE),
            make.make_node("Mul", ["yhat64", "target_deviation"], ["stretched"]),
            make.make_node("Add", ["stretched", "target_mean"], [yhat]),
        ]
        kind_of_yhat = onnx.TensorProto.DOUBLE
    graph = make.make_graph(
        nodes,
        "nn_backend",
        given,
        [make.make_tensor_value_info(yhat, kind_of_yhat, ["m", len(w2)])],
        [from_array(np.ascontiguousarray(array), name) for name, array in constants.items()],
    )
    if model.encoding is not None:  # a column may be called like an array here
        graph = onnx.compose.add_prefix_graph(graph, f"{FORMAT}/", rename_outputs=False)
        names = {f"{FORMAT}/column{k}": name for k, name in enumerate(model.encoding.names)}
        for value in graph.input:
            value.name = names[value.name]
        for node in graph.node:
            node.input[:] = [names.get(name, name) for name in node.input]
    proto = make.make_model(graph, producer_name="nn_backend", ir_version=ONNX_IR, opset_imports=opsets)
    meaning = {"features": model.features, "target": model.target, "labels": model.labels}
    make.set_model_props(proto, {name: json.dumps(value) for name, value in meaning.items() if value is not None})
    onnx.checker.check_model(proto, full_check=True)
    return proto


def _encode(onnx: Any, encoding: Encoding, constants: dict[str, np.ndarray]) -> tuple[list[Any], list[Any]]:
    """Return the nodes that make X of a table's columns, and the graph's inputs; add the constants that they need."""
    node, double = onnx.helper.make_node, onnx.TensorProto.DOUBLE
    nodes, given, parts = [], [], []
    constants["one_column"] = np.array([1])
    for k, column in enumerate(encoding.columns):
        name, part = f"column{k}", f"inputs{k}"
        parts.append(part)
        kind = onnx.TensorProto.STRING if column.words else double
        given.append(onnx.helper.make_tensor_value_info(name, kind, ["m", 1]))
        if column.words:
            known = (*[""][: column.fill is not None], *column.words)
            places = [known.index(word) for word in column.shown] + [0] * (column.fill is not None)
            constants[f"places{k}"] = np.array(places)
            nodes += [
                node("OneHotEncoder", [name], [f"nested{k}"], domain="ai.onnx.ml", cats_strings=known, zeros=0),
                node("Squeeze", [f"nested{k}", "one_column"], [f"words{k}"]),
                node("Gather", [f"words{k}", f"places{k}"], [f"shown{k}"], axis=1),
                node("Cast", [f"shown{k}"], [part], to=double),
            ]
        elif column.fill is not None:
            constants[f"fill{k}"] = np.array([[column.fill]])
            nodes += [
                node("IsNaN", [name], [f"missing{k}"]),
                node("Where", [f"missing{k}", f"fill{k}", name], [f"filled{k}"]),
                node("Cast", [f"missing{k}"], [f"indicator{k}"], to=double),
                node("Concat", [f"filled{k}", f"indicator{k}"], [part], axis=1),
            ]
        else:
            nodes.append(node("Identity", [name], [part]))
    return [*nodes, node("Concat", parts, ["X"], axis=1)], given


def _model(result: FitResult | Model | Fitted) -> Model:
    if isinstance(result, FitResult):
        return Model.of(result)
    model = result.to_model() if isinstance(result, Fitted) else result
    if isinstance(model, Model):
        return model
    raise ArrayTypeError(
        f"the result is of type {type(result).__name__}; expected a FitResult, a Model or a fitted estimator"
    )


def _read_model(tensors: Mapping[str, np.ndarray], meaning: Mapping[str, Any]) -> Model:
    """Return the model; raise one of several errors where its parts do not fit together."""
    if set(tensors) != set(TENSORS.values()):
        raise DataError(f"its tensors are {', '.join(sorted(tensors))}")
    w1, b1, w2, b2 = (tensors[TENSORS[name]] for name in Params._fields)
    params = Params(w1, b1[:, None], w2, b2[:, None])
    if meaning["sizes"] != [*w1.shape[::-1], len(w2)] or meaning["dtype"] != w1.dtype.name:
        raise DataError(f"its tensors are of other sizes than {meaning['sizes']} in {meaning['dtype']}")
    return Model(
        params,
        meaning.get("output", "sigmoid"),  # version 1 had no other, and neither target_scale nor r2
        features=meaning["features"],
        target=meaning["target"],
        labels=meaning["labels"],
        standardization=_read_scale(meaning["standardization"]),
        target_scale=_read_scale(meaning.get("target_scale")),
        training=meaning["training"],
        cost=meaning["cost"],
        accuracy=meaning["accuracy"],
        r2=meaning.get("r2"),
        data_sha256=meaning["data_sha256"],
        encoding=Encoding.from_json(encoding) if (encoding := meaning.get("encoding")) else None,
    )


def _read_scale(scale: Mapping[str, Any] | None) -> Standardization | None:
    if scale is None:
        return None
    return Standardization(*(np.array(scale[name], np.float64)[:, None] for name in Standardization._fields))


def _networks_parts(networks: Networks) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return the arrays of networks, and all else as JSON values."""
    tensors = {f"{n}/{name}": array for n, stack in networks.sizes.items() for name, array in stack._asdict().items()}
    for role, scale in networks.scales._asdict().items():
        tensors |= {} if scale is None else {f"{role}/{name}": array for name, array in scale._asdict().items()}
    numbers = [name for name, kind in networks.table.dtypes.items() if kind in ("int64", "float64")]
    tensors |= {f"table/{name}": networks.table[name].to_numpy() for name in numbers}
    meaning = {name: getattr(networks, name) for name in ("output", "features", "target", "labels", "part", "training")}
    if networks.encoding is not None:
        meaning["encoding"] = networks.encoding.to_json()
    words = {name: networks.table[name].tolist() for name in networks.table if name not in numbers}
    score = networks.oob_score if networks.oob_score is None else np.asarray(networks.oob_score).tolist()
    return tensors, meaning | {"columns": [*networks.table], "words": words, "oob_score": score}


def _read_networks(tensors: Mapping[str, np.ndarray], meaning: Mapping[str, Any]) -> Networks:
    """Return networks; raise one of several errors where their parts do not fit together."""
    import pandas as pd

    table = pd.DataFrame(
        {
            name: meaning["words"][name] if name in meaning["words"] else tensors[f"table/{name}"]
            for name in meaning["columns"]
        }
    )
    sizes = table["n_hidden"].value_counts(sort=False)
    stacks = {int(n): Params(*(tensors[f"{n}/{name}"] for name in Params._fields)) for n in sizes.index}
    if any(len(array) != sizes[n] for n, stack in stacks.items() for array in stack):
        raise DataError("its table has other networks than its tensors")
    scales = Scales(
        *(
            Standardization(*(tensors[f"{role}/{name}"] for name in Standardization._fields))
            if f"{role}/mean" in tensors
            else None
            for role in Scales._fields
        )
    )
    score, features, labels = meaning["oob_score"], meaning["features"], meaning["labels"]
    return Networks(
        table,
        stacks,
        meaning["output"],
        scales,
        features=features and tuple(features),
        target=meaning["target"],
        labels=labels and tuple(labels),
        part=meaning["part"],
        encoding=Encoding.from_json(encoding) if (encoding := meaning.get("encoding")) else None,
        oob_score=np.array(score) if isinstance(score, list) else score,
        training=meaning["training"],
    )
