"""Saved networks: the same to the bit when loaded, whole or not at all, and the same numbers in other programs."""

import hashlib
import itertools
import json
import os
import pickle
import re
import struct
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import safetensors
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

import nn_backend as nn
from nn_backend.tensors import digest

POSIX = pytest.mark.skipif(os.name != "posix", reason="signals and forks as POSIX has them")
DTYPES = ("float64", "float32")
SIZES = [(3, 4, 1), (1, 1, 1), (2, 1, 3), (1, 5, 2), (7, 33, 4)]
MARKS = Path(__file__).parents[1] / "data" / "marks.csv"
TENSORS = {"w1": "0.weight", "b1": "0.bias", "w2": "2.weight", "b2": "2.bias"}


def draw(sizes: tuple[int, int, int] = (3, 4, 1), dtype: str = "float64", seed: int = 0) -> nn.Params:
    """Draw parameters, none of them zero."""
    n0, n1, n2 = sizes
    random = np.random.default_rng(seed)
    shapes = ((n1, n0), (n1, 1), (n2, n1), (n2, 1))
    return nn.Params(*(random.normal(0, 0.6, shape).astype(dtype) for shape in shapes))


def draw_features(n0: int, m: int = 50, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(3, 2, (n0, m))


def scale_of(n0: int) -> nn.Standardization:
    random = np.random.default_rng(2)
    return nn.Standardization(random.normal(3, 1, (n0, 1)), random.uniform(0.5, 3, (n0, 1)))


FULL = {
    "features": ("x1", "x2", "x3"),
    "target": "y",
    "labels": ("failed", "passed"),
    "standardization": scale_of(3),
    "training": {"learning_rate": 0.1, "iterations": 7, "nested": {"list": [1, None, True, "ä"]}, "empty": {}},
    "cost": 0.1 + 0.2,
    "accuracy": 1 / 3,
    "data_sha256": "ab" * 32,
}


CLASSES = {**FULL, "output": "softmax", "labels": (1, 2, 5)}
NUMBERS = {**FULL, "output": "identity", "labels": None, "target_scale": scale_of(1), "accuracy": None, "r2": 0.7}


def full_model(dtype: str = "float64", **changes: Any) -> nn.Model:
    return nn.Model(draw(dtype=dtype), **{**FULL, **changes})


def small_model() -> nn.Model:
    scale = nn.Standardization(np.array([[0.1]]), np.array([[3.0]]))
    meaning = {"features": ("x",), "labels": ("no", "yes"), "standardization": scale, "training": {"a": 1}}
    return nn.Model(draw((1, 1, 1)), **meaning, cost=0.5)


def bits(value: Any) -> Any:
    """Give what can be compared with ==, and is equal only where every bit, dtype, shape and type is."""
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes()
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value).__name__, *map(bits, value)
    return repr(value)


def bits_of(model: nn.Model) -> dict[str, Any]:
    return {part.name: bits(getattr(model, part.name)) for part in fields(nn.Model)}


def round_trip(result: nn.Model | nn.FitResult, path: str | Path = "a.safetensors") -> nn.Model:
    nn.save(path, result)
    return nn.load(path)


def refusal(path: str | Path) -> str:
    """Give the text of the error that loading ends in, having checked that it is one line which names the file."""
    with pytest.raises(nn.DataFileError) as caught:
        nn.load(path)
    said = str(caught.value)
    assert said.startswith(f"{path} ")
    assert "\n" not in said
    return said


# Saved and loaded


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("sizes", "known"),
    [*((sizes, {}) for sizes in SIZES), ((3, 4, 1), FULL), ((3, 4, 3), CLASSES), ((3, 4, 1), NUMBERS)],
)
def test_parameters_and_everything_that_a_model_knows(folder, sizes, known, dtype):
    model = nn.Model(draw(sizes, dtype), **known)
    assert bits_of(round_trip(model)) == bits_of(model)


@pytest.mark.parametrize("labels", [(0, 1), (2, -(10**30)), (0.5, 1e300), (False, True), ("1", "2"), np.array([3, 4])])
def test_labels_are_those_of_the_training_also_by_type(folder, labels):
    """As the classes of a scikit-learn estimator."""
    labels_in_python = labels.tolist() if isinstance(labels, np.ndarray) else labels
    for model in (nn.Model(draw(), labels=labels), nn.Model(draw((3, 4, 2)), output="softmax", labels=labels)):
        assert bits(round_trip(model).labels) == bits(tuple(labels_in_python))


@pytest.mark.parametrize("name", [name for name in FULL if name != "training"])
def test_each_attribute_alone_and_all_but_it(folder, name):
    for model in (nn.Model(draw(), **{name: FULL[name]}), full_model(**{name: None})):
        assert bits_of(round_trip(model)) == bits_of(model)


@pytest.mark.parametrize(
    "features",
    [
        ("größe", "身長", "🎓 mark"),
        ("", " ", "\n\t"),
        ('quoted "name"', "back\\slash", "it's"),
        ("\0", "\x7f", "\udc80"),
        ("null", "true", "[1, 2]"),
        ("x" * 10_000, "y", "format"),
    ],
)
def test_names_may_be_any_text(folder, features):
    model = full_model(features=features, target=features[0], labels=features[:2])
    assert bits_of(round_trip(model)) == bits_of(model)


@pytest.mark.parametrize("dtype", DTYPES)
def test_numbers_at_the_edges_of_their_format(folder, dtype):
    limits = np.finfo(dtype)
    w1 = np.array([[-0.0, limits.smallest_subnormal, limits.max]], dtype)
    params = nn.Params(w1, *(np.array([[v]], dtype) for v in (-limits.max, 1 + limits.eps, limits.tiny)))
    scale = nn.Standardization(np.array([[-0.0], [1e-300], [1e300]]), np.array([[5e-324], [1 / 3], [1.7e308]]))
    model = nn.Model(params, standardization=scale, cost=5e-324, accuracy=0.0)
    assert bits_of(round_trip(model)) == bits_of(model)


@given(
    sizes=st.tuples(*[st.integers(1, 4)] * 3),
    dtype=st.sampled_from(DTYPES),
    exponent=st.integers(-30, 30),
    seed=st.integers(0, 1000),
)
@settings(max_examples=30, deadline=None)
def test_any_size_and_magnitude(tmp_path_factory, sizes, dtype, exponent, seed):
    params = nn.Params(*(array * np.dtype(dtype).type(10.0**exponent) for array in draw(sizes, dtype, seed)))
    model = nn.Model(params)
    assert bits_of(round_trip(model, tmp_path_factory.getbasetemp() / "drawn.safetensors")) == bits_of(model)


def test_arrays_in_any_layout(folder):
    w1, b1, w2, b2 = draw((4, 6, 2))
    strided = nn.Params(np.asfortranarray(w1), np.repeat(b1, 2, axis=0)[::2], w2.T.copy().T, b2[::-1][::-1])
    assert not all(array.flags.c_contiguous for array in strided)
    assert bits_of(round_trip(nn.Model(strided))) == bits_of(nn.Model(nn.Params(w1, b1, w2, b2)))


@pytest.mark.parametrize("path", ["a", "a.safetensors", Path("a.bin"), "größe.st"])
def test_any_path_and_once_more(folder, path):
    assert bits_of(round_trip(round_trip(full_model(), path), path)) == bits_of(full_model())
    assert [file.name for file in folder.iterdir()] == [str(path)]


def test_the_same_model_gives_the_same_bytes(folder):
    """Also in another process: files can be compared, and a build that trains can be reproduced."""
    statement = (
        "import sys; sys.path.insert(0, sys.argv[1]); import nn_backend as nn; from test_export import full_model; "
        "nn.save('other', full_model())"
    )
    subprocess.run([sys.executable, "-c", statement, str(Path(__file__).parent)], check=True, timeout=60)
    for name in "abcd":
        nn.save(name, full_model())
    assert len({Path(name).read_bytes() for name in ("a", "b", "c", "d", "other")}) == 1


def test_networks_can_be_compared(folder):
    """Whatever the answer is, arrays may not make it an error."""
    assert (round_trip(full_model()) == full_model()) in (True, False)


def test_a_loaded_network_does_not_follow_its_file(folder):
    model = round_trip(full_model())
    with Path("a.safetensors").open("r+b") as file:  # written over in place, as other programs may
        file.write(b"\xff" * Path("a.safetensors").stat().st_size)
    assert bits_of(model) == bits_of(full_model())


# What a FitResult knows


RAN = {"iterations": 25, "status": "done", "optimizer": "gd", "backend": "numpy"}


@pytest.fixture(scope="module")
def fitted() -> nn.FitResult:
    X, y = nn.load_marks()
    return nn.fit(X, y, nn.init_params(3, 4), iterations=25, log_every=10)


def test_a_result_is_saved_with_what_it_knows(folder, fitted):
    model = round_trip(fitted)
    assert bits(model.params) == bits(fitted.params)
    X, y = nn.load_marks()
    assert (model.cost, model.accuracy) == tuple(fitted.history.iloc[-1][["cost", "accuracy"]])
    assert (model.cost, model.accuracy) == pytest.approx(nn.score(fitted.params, X, y)[:2], rel=1e-12)
    assert model.training == {**RAN, "engine": fitted.engine}
    for name in ("features", "target", "labels", "standardization", "target_scale", "r2", "data_sha256"):
        assert getattr(model, name) is None


def test_a_model_of_a_result_adds_meaning(fitted):
    model = nn.Model.of(fitted, features=("a", "b", "c"), training={"seed": 3, "engine": "by hand"})
    assert model.features == ("a", "b", "c")
    assert model.training == {**RAN, "engine": "by hand", "seed": 3}
    assert bits(model.params) == bits(fitted.params)


@pytest.mark.parametrize("output", ["softmax", "identity"])
def test_a_model_of_a_result_has_its_output_and_the_score_of_its_best_row(output):
    X, y = nn.load_marks()
    y = X[:1] if output == "identity" else np.concatenate([1 - y, y])
    X, held = X[1:], slice(300, None)
    options = {"output": output, "optimizer": "rprop", "iterations": 60, "log_every": 1, "patience": 5}
    start = nn.init_params(2, 4, len(y), factor=1.0)
    result = nn.fit(X[:, :300], y[:, :300], start, validation=(X[:, held], y[:, held]), **options)
    model = nn.Model.of(result)
    assert model.output == output
    assert 0 < result.best_iteration < result.iterations
    best = result.history.iloc[result.best_iteration]
    reached = (model.accuracy, model.r2) if output == "softmax" else (model.r2, model.accuracy)
    assert (model.cost, *reached) == (best["cost"], best["accuracy" if output == "softmax" else "r2"], None)


class Estimator:
    """Something that knows its model."""

    def to_model(self) -> nn.Model:
        return full_model()


def test_results_and_estimators_are_saved_as_their_model(folder, fitted):
    assert bits_of(round_trip(Estimator())) == bits_of(full_model())
    for result, model in ((Estimator(), full_model()), (fitted, nn.Model.of(fitted))):
        assert nn.to_onnx(result).SerializeToString() == nn.to_onnx(model).SerializeToString()


# What cannot be a model, and what cannot be saved


@pytest.mark.parametrize("give", [nn.save, lambda _, result: nn.to_onnx(result)])
@pytest.mark.parametrize("result", [None, "a.safetensors", 3, {}, draw(), tuple(draw()), draw().w1])
def test_other_things_are_no_result(folder, give, result):
    expected = f"the result is of type {type(result).__name__}; expected a FitResult, a Model or a fitted estimator"
    with pytest.raises(nn.ArrayTypeError, match=re.escape(expected)):
        give("a.safetensors", result)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("lead", [(2,), (1,), (2, 3)])
def test_many_networks_are_refused_with_advice(folder, lead):
    many = nn.Params(*(np.broadcast_to(array, (*lead, *array.shape)).copy() for array in nn.init_params(3, 4)))
    expected = f"the parameters have leading axes {lead}; expected one network: take array[k] of each"
    X, y = nn.load_marks()
    result = nn.fit(X, y, many, iterations=1)
    for give in (nn.Model, lambda _: nn.save("a.safetensors", result), lambda _: nn.to_onnx(result)):
        with pytest.raises(nn.DataError, match=re.escape(expected)):
            give(many)
    assert list(folder.iterdir()) == []
    one = nn.Params(*(array[(0,) * len(lead)] for array in result.params))  # the advice, followed
    assert bits(round_trip(nn.Model(one)).params) == bits(one)


@pytest.mark.parametrize(
    "features", [(), ("a",), ("a", "b"), tuple("abcd"), ("a", "b", "a"), (1, 2, 3), "abc", ("a", "b", None)]
)
def test_each_input_has_a_name_of_its_own(features):
    with pytest.raises(nn.DataError) as caught:
        nn.Model(draw(), features=features)
    said = f"features are {features!r}; expected 3 different names, the inputs of the network"
    assert str(caught.value) == said


def test_names_may_be_given_as_a_list():
    """As columns of a data frame are; they are kept as what they are documented to be."""
    model = nn.Model(draw(), features=["a", "b", "c"], labels=["no", "yes"])
    assert (model.features, model.labels) == (("a", "b", "c"), ("no", "yes"))


@pytest.mark.parametrize("number", [np.float64(0.5), np.float32(0.5)])
def test_numbers_may_be_numpys(folder, number):
    """As the cells of a history are; they are kept as JSON can keep them."""
    model = round_trip(nn.Model(draw(), cost=number, accuracy=number))
    assert (model.cost, model.accuracy) == (0.5, 0.5)


def scaled_model(name: str, mean: np.ndarray, deviation: np.ndarray) -> nn.Model:
    return nn.Model(draw((3, 4, 3)), output="identity", **{name: nn.Standardization(mean, deviation)})


@pytest.mark.parametrize("name", ["standardization", "target_scale"])
def test_each_input_and_scaled_output_has_a_finite_mean_and_a_deviation_above_zero(name):
    right = np.ones((3, 1))
    for shape in [(3,), (1, 3), (2, 1), (4, 1), (3, 2), (1, 1), ()]:
        for scale in ((right, np.ones(shape)), (np.ones(shape), right)):
            with pytest.raises(nn.DataError, match=rf"^the {name} is not of .* shape \(3, 1\)"):
                scaled_model(name, *scale)
    means = [np.array([[0.0], [mean], [0.0]]) for mean in (np.nan, np.inf, -np.inf)]
    deviations = [np.array([[1.0], [deviation], [1.0]]) for deviation in (0.0, -0.0, -1.0, np.nan, np.inf)]
    for scale in [*((mean, right) for mean in means), *((right, deviation) for deviation in deviations)]:
        with pytest.raises(nn.DataError, match=f"^the {name} "):
            scaled_model(name, *scale)


@pytest.mark.parametrize(
    ("output", "labels", "said"),
    [
        *[
            ("sigmoid", labels, "2 different words, numbers or booleans, for 0 and for 1")
            for labels in [(), ("yes",), ("no", "maybe", "yes"), ("yes", "yes"), "no", "yes", (0, "1"), (0, True)]
        ],
        *[
            ("softmax", labels, "3 different words, numbers or booleans, one for each output")
            for labels in [("a", "b"), (1, 2, 2), (1, 2, 3, 4), "abc", (1.0, np.nan, 2.0), (1.0, np.inf, 2.0)]
        ],
        ("softmax", (b"a", b"b", b"c"), "3 different words"),
        ("identity", (1, 2, 3), "None, as output 'identity' has no classes"),
    ],
)
def test_labels_are_as_many_as_classes(output, labels, said):
    with pytest.raises(nn.DataError, match=re.escape(f"labels are {labels!r}; expected {said}")):
        nn.Model(draw((3, 4, 3)), output=output, labels=labels)


def test_classes_are_not_scaled_and_outputs_are_known():
    for output in ("sigmoid", "softmax"):
        with pytest.raises(nn.DataError, match=r"^there is a target_scale; expected None"):
            nn.Model(draw(), output=output, target_scale=scale_of(1))
    with pytest.raises(nn.ArgumentError, match=r"^output 'tanh' is not known; accepted: sigmoid, softmax, identity$"):
        nn.Model(draw(), output="tanh")


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("name", nn.Params._fields)
def test_parameters_are_finite(name, value):
    params = draw()
    getattr(params, name)[0, 0] = value
    with pytest.raises(nn.DataError, match=f"^{name} holds NaN or infinity; expected finite parameters$"):
        nn.Model(params)


def test_parameters_have_shapes_that_fit_and_one_dtype():
    w1, b1, w2, b2 = draw()
    with pytest.raises(nn.DataError, match="expected w1"):
        nn.Model(nn.Params(w1, b1[:, 0], w2, b2))
    with pytest.raises(nn.DataError, match="expected all float64 or all float32"):
        nn.Model(nn.Params(w1.astype(np.float32), b1, w2, b2))


@pytest.mark.parametrize(
    "settings", [{"x": np.nan}, {"x": float("inf")}, {"x": object()}, {"x": {1, 2}}, {"x": b"bytes"}, {(1, 2): 3}]
)
def test_settings_that_json_lacks_are_refused_and_nothing_is_written(folder, settings):
    Path("a.safetensors").write_text("old")
    with pytest.raises(nn.ArgumentError, match=r"^the model's settings cannot be saved as JSON: "):
        nn.save("a.safetensors", full_model(training=settings))
    assert Path("a.safetensors").read_text() == "old"
    assert [file.name for file in folder.iterdir()] == ["a.safetensors"]


@pytest.mark.parametrize("path", [".", "missing/a.safetensors", "file/a.safetensors"])
def test_places_where_nothing_can_be_saved(folder, path):
    Path("file").write_text("here")
    with pytest.raises(nn.DataFileError) as caught:
        nn.save(path, full_model())
    assert "\n" not in str(caught.value)
    assert [file.name for file in folder.iterdir()] == ["file"]


# The file, read without this package


def metadata_of(path: str | Path) -> dict[str, Any]:
    with safetensors.safe_open(path, framework="np") as file:
        (name, text), *others = file.metadata().items()
    assert (name, others) == ("nn_backend", [])
    return json.loads(text)


def test_metadata_says_what_the_numbers_mean(folder):
    nn.save("a.safetensors", nn.Model(draw(), **NUMBERS))
    metadata = metadata_of("a.safetensors")
    assert re.fullmatch("[0-9a-f]{64}", metadata.pop("sha256"))
    mean, deviation = FULL["standardization"]
    target_mean, target_deviation = NUMBERS["target_scale"]
    assert metadata == {
        "format_version": 2,
        "kind": "model",
        "output": "identity",
        "sizes": [3, 4, 1],
        "dtype": "float64",
        "features": ["x1", "x2", "x3"],
        "target": "y",
        "labels": None,
        "standardization": {"mean": mean[:, 0].tolist(), "deviation": deviation[:, 0].tolist()},
        "target_scale": {"mean": target_mean[:, 0].tolist(), "deviation": target_deviation[:, 0].tolist()},
        "training": FULL["training"],
        "cost": FULL["cost"],
        "accuracy": None,
        "r2": NUMBERS["r2"],
        "data_sha256": FULL["data_sha256"],
    }


def test_metadata_of_what_is_not_known_is_null(folder):
    nn.save("a.safetensors", nn.Model(draw((2, 5, 3), "float32")))
    metadata = metadata_of("a.safetensors")
    assert (metadata["sizes"], metadata["dtype"], metadata["training"]) == ([2, 5, 3], "float32", {})
    assert [metadata[name] for name in FULL if name != "training"] == [None] * (len(FULL) - 1)


def test_a_long_list_is_not_printed_whole():
    with pytest.raises(nn.DataError) as caught:
        nn.Model(nn.init_params(2000, 1), features=tuple(f"g{k}" for k in range(1999)))
    assert str(caught.value).startswith("features are ('g0', 'g1', ")
    assert len(str(caught.value)) < 150


def test_what_fit_has_not_given_is_no_result(folder):
    with pytest.raises(nn.ArrayTypeError, match=r"result is of type Params; expected a FitResult"):
        nn.Model.of(nn.init_params(3, 4))
    with pytest.raises(nn.ArgumentError, match=r"m\.npz ends in \.npz, which it would not be; expected \.safetensors"):
        nn.save("m.npz", nn.Model(nn.init_params(3, 4)))
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("dtype", DTYPES)
def test_tensors_have_the_names_and_shapes_of_pytorch(folder, dtype):
    params = draw((3, 4, 2), dtype)
    nn.save("a.safetensors", nn.Model(params))
    tensors = safetensors.numpy.load_file("a.safetensors")
    expected = {"0.weight": params.w1, "0.bias": params.b1[:, 0], "2.weight": params.w2, "2.bias": params.b2[:, 0]}
    assert sorted(tensors) == sorted(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(tensors[name], array, strict=True)


def test_digest_is_that_of_the_rows_in_the_file():
    rows = [line.split(",") for line in MARKS.read_text().splitlines()[1:301]]
    columns = list(zip(*rows, strict=True))
    packed = b"".join(struct.pack("<d", float(cell)) for column in columns for cell in column)
    X, y = nn.load_marks()
    assert digest(X[:, :300], y[:, :300]) == hashlib.sha256(packed).hexdigest()


def test_digest_is_of_values_not_of_their_layout():
    X, y = nn.load_marks()
    expected = digest(X, y)
    for dtype in (">f8", np.float32, int):
        assert digest(X.astype(dtype), y) == expected
    for other in (np.asfortranarray(X), np.repeat(X, 2, axis=1)[:, ::2]):
        assert digest(other, y) == expected
    changed = X.copy()
    changed[1, 200] = np.nextafter(changed[1, 200], 99)
    assert digest(changed, y) != expected
    assert digest(X, 1 - y) != expected
    assert digest(X[::-1], y) != expected


# Answers: here, written out, in PyTorch and in ONNX Runtime

TOLERANCE = {"float64": 1e-12, "float32": 1e-6}
scaled = pytest.mark.parametrize("standardized", [False, True])
each_dtype = pytest.mark.parametrize("dtype", DTYPES)
each_size = pytest.mark.parametrize("sizes", SIZES)
each_output = pytest.mark.parametrize("output", ["sigmoid", "softmax", "identity"])


def sigmoid(z: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-z))


OUTPUTS = {"sigmoid": sigmoid, "softmax": lambda z: np.exp(z) / np.exp(z).sum(axis=0), "identity": lambda z: z}


def answers(model: nn.Model, X: np.ndarray) -> np.ndarray:
    """Give them as the article writes them, in float64."""
    w1, b1, w2, b2 = (array.astype(np.float64) for array in model.params)
    if model.standardization is not None:
        X = (X - model.standardization.mean) / model.standardization.deviation
    yhat = OUTPUTS[model.output](w2 @ sigmoid(w1 @ X + b1) + b2)
    return yhat if model.target_scale is None else model.target_scale.mean + yhat * model.target_scale.deviation


def assert_answers(found: np.ndarray, expected: np.ndarray, dtype: str) -> None:
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE[dtype] * max(1, np.abs(expected).max()))


def session_of(model: nn.Model) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(nn.to_onnx(model).SerializeToString(), providers=["CPUExecutionProvider"])


def ask_onnx(model: nn.Model, X: np.ndarray) -> np.ndarray:
    rows = np.ascontiguousarray(X.T, np.float64 if model.standardization else model.params.w1.dtype)
    name = "predictions" if model.output == "identity" else "probabilities"
    (answer,) = session_of(model).run([name], {"X": rows})
    return answer.T


def drawn_model(sizes: tuple[int, int, int], dtype: str, standardized: bool, output: str) -> tuple[nn.Model, Any, str]:
    """Give a model, features to ask it about, and the dtype of its answers."""
    X = draw_features(sizes[0]).astype(np.float32).astype(np.float64)  # no rounding where an input is float32
    scale, target_scale = scale_of(sizes[0]) if standardized else None, None
    if standardized and output == "identity":
        target_scale, dtype_out = scale_of(sizes[2]), "float64"
    else:
        dtype_out = dtype
    params = draw(sizes, dtype)
    return nn.Model(params, output, standardization=scale, target_scale=target_scale), X, dtype_out


@scaled
@each_dtype
@each_size
@each_output
def test_answers_of_a_loaded_network(folder, output, sizes, dtype, standardized):
    model, X, dtype_out = drawn_model(sizes, dtype, standardized, output)
    loaded = round_trip(model).predict_proba(X)
    np.testing.assert_array_equal(loaded, model.predict_proba(X), strict=True)
    assert (loaded.dtype, loaded.shape) == (np.dtype(dtype_out), (sizes[2], X.shape[1]))
    assert_answers(loaded, answers(model, X), dtype)


@scaled
@each_dtype
@each_size
@each_output
def test_answers_of_pytorch(folder, output, sizes, dtype, standardized):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed; it is in the extra bench")
    from safetensors.torch import load_file

    model, X, _ = drawn_model(sizes, dtype, standardized, output)
    nn.save("a.safetensors", model)
    kind = getattr(torch, dtype)
    n0, n1, n2 = sizes
    heads = {"sigmoid": torch.nn.Sigmoid(), "softmax": torch.nn.Softmax(dim=1), "identity": torch.nn.Identity()}
    net = torch.nn.Sequential(
        torch.nn.Linear(n0, n1, dtype=kind), torch.nn.Sigmoid(), torch.nn.Linear(n1, n2, dtype=kind), heads[output]
    )
    net.load_state_dict(load_file("a.safetensors"), strict=True)
    told = metadata_of("a.safetensors")
    scales = [
        tuple(np.array(told[name][part]) for part in ("mean", "deviation")) if told[name] else (0, 1)
        for name in ("standardization", "target_scale")
    ]
    (mean, deviation), (target_mean, target_deviation) = scales
    with torch.no_grad():
        answer = net(torch.tensor((X.T - mean) / deviation, dtype=kind)).numpy()
    assert answer.dtype == dtype
    assert_answers((answer * target_deviation + target_mean).T, nn.load("a.safetensors").predict_proba(X), dtype)


@scaled
@each_dtype
@each_size
@each_output
def test_a_graph_and_its_answers_in_onnx_runtime(output, sizes, dtype, standardized):
    """What is scaled goes in and comes out as it was before, in float64."""
    model, X, dtype_out = drawn_model(sizes, dtype, standardized, output)
    answer = ask_onnx(model, X)
    assert (answer.dtype, answer.shape) == (np.dtype(dtype_out), (sizes[2], X.shape[1]))
    assert_answers(answer, model.predict_proba(X), dtype)
    assert_answers(answer, answers(model, X), dtype)
    onnx.checker.check_model(nn.to_onnx(model), full_check=True)
    session = session_of(model)
    kinds = {"float64": "tensor(double)", "float32": "tensor(float)"}
    told = [(value.name, value.shape, value.type) for value in (*session.get_inputs(), *session.get_outputs())]
    name = "predictions" if output == "identity" else "probabilities"
    assert told == [
        ("X", ["m", sizes[0]], kinds["float64" if standardized else dtype]),
        (name, ["m", sizes[2]], kinds[dtype_out]),
    ]


@given(
    sizes=st.tuples(st.integers(1, 6), st.integers(1, 6), st.integers(1, 3)),
    weight=st.sampled_from([1e-6, 0.1, 1.0, 4.0]),
    unit=st.sampled_from([1e-9, 1.0, 1e9]),
    seed=st.integers(0, 1000),
)
@settings(max_examples=30, deadline=None)
def test_answers_of_onnx_runtime_for_any_size_and_unit(sizes, weight, unit, seed):
    params = nn.Params(*(array * weight for array in draw(sizes, seed=seed)))
    X = draw_features(sizes[0], 11, seed) * unit
    model = nn.Model(params, standardization=nn.standardization(X))
    np.testing.assert_allclose(ask_onnx(model, X), answers(model, X), rtol=0, atol=1e-12)
    np.testing.assert_allclose(model.predict_proba(X), answers(model, X), rtol=0, atol=1e-12)


@each_dtype
def test_a_network_that_is_sure(dtype):
    params = nn.Params(*(np.array([[value]], dtype) for value in (1000, 0, 2000, -1000)))
    X = np.array([[1.0, -1.0, 50.0]])
    assert nn.Model(params).predict_proba(X).tolist() == [[1, 0, 1]]
    np.testing.assert_allclose(ask_onnx(nn.Model(params), X), [[1, 0, 1]], rtol=0, atol=TOLERANCE[dtype])


NEAR = 1e9 + np.arange(20.0)[None]
IN_UNITS = nn.Standardization([[1e9]], [[1.0]])


@pytest.mark.parametrize(
    ("X", "output", "scale"),
    [
        (NEAR, "sigmoid", {"standardization": nn.standardization(NEAR)}),
        (draw_features(1).astype(np.float32), "identity", {"target_scale": IN_UNITS}),
    ],
)
def test_float32_networks_are_fed_and_answer_in_float64(X, output, scale):
    """As in training. Scaled in float32, features or answers would all be equal."""
    model = nn.Model(draw((1, 4, 1), "float32"), output, **scale)
    for found in (model.predict_proba(X), ask_onnx(model, X)):
        np.testing.assert_allclose(found, answers(model, X), rtol=0, atol=1e-6)
        assert np.ptp(found) > 1e-3


# What a model is asked


@scaled
def test_score_of_numbers_is_that_of_the_scaled_target(backend, standardized):
    """As `fit` sees it; scaling moves the cost by the square of the deviation, and R² not at all."""
    from sklearn.metrics import mean_squared_error, r2_score

    X, y = nn.load_marks()
    X, y = X[:2], X[2:] * 1000
    meaning = {"standardization": nn.standardization(X), "target_scale": nn.standardization(y)}
    model = nn.Model(draw((2, 4, 1), backend.dtype), "identity", **meaning if standardized else {})
    yhat, unit = answers(model, X), meaning["target_scale"].deviation.item() if standardized else 1
    expected = mean_squared_error(y[0], yhat[0]) / unit**2 / 2, r2_score(y[0], yhat[0])
    reached = model.score(X, backend.asarray(y), backend=backend.backend)
    assert (reached.cost, reached.r2) == pytest.approx(expected, rel=10 * TOLERANCE[backend.dtype])
    assert np.isnan(reached.accuracy)


@each_output
def test_training_and_model_agree_on_the_score(output):
    X, y = nn.load_marks()
    y = {"sigmoid": y, "softmax": np.concatenate([1 - y, y]), "identity": X[:1]}[output]
    scale, target_scale = nn.standardization(X), nn.standardization(y) if output == "identity" else None
    seen = y if target_scale is None else target_scale.apply(y)
    result = nn.fit(scale.apply(X), seen, nn.init_params(3, 4, len(y)), output=output, iterations=9)
    model = nn.Model.of(result, standardization=scale, target_scale=target_scale)
    assert model.score(X, y) == pytest.approx(result.score, rel=1e-12, nan_ok=True)


@scaled
@pytest.mark.parametrize(
    "give",
    [lambda X: X.T, lambda X: X[0], lambda X: X[:1], lambda X: X[:2], lambda X: X[None]],
    ids=["rows", "one_row", "one_input", "two_inputs", "three_axes"],
)
def test_features_of_another_shape_are_refused(standardized, give):
    """Scaling may not stretch a lone row over all the network's inputs."""
    X, y = nn.load_marks()
    model = nn.Model(draw(), standardization=nn.standardization(X) if standardized else None)
    for ask in (model.predict_proba, lambda X: model.score(X, y)):
        with pytest.raises(nn.DataError, match=r"^X has shape .*; expected \(n0, m\) with n0 = 3"):
            ask(give(X))


@scaled
@pytest.mark.parametrize("X", ["abc", [[1, 2], [3]], [["a"], ["b"], ["c"]], None])
def test_features_that_are_no_numbers_are_refused(standardized, X):
    model = nn.Model(draw(), standardization=scale_of(3) if standardized else None)
    with pytest.raises(nn.NNBackendError):
        model.predict_proba(X)


@scaled
def test_answer_and_score_are_those_of_the_scaled_features_also_where_they_are_on_the_backend(backend, standardized):
    X, y = nn.load_marks()
    model = nn.Model(draw(dtype=backend.dtype), standardization=nn.standardization(X) if standardized else None)
    expected, rtol = answers(model, X), TOLERANCE[backend.dtype]
    cost = -np.mean(y * np.log(expected) + (1 - y) * np.log(1 - expected))
    for given_X in (X, backend.asarray(X)):
        answer = model.predict_proba(given_X, backend=backend.backend)
        assert isinstance(answer, np.ndarray)
        assert answer.dtype == backend.dtype
        np.testing.assert_allclose(answer, expected, rtol=0, atol=rtol)
        reached = model.score(given_X, backend.asarray(y), backend=backend.backend)
        assert reached[:2] == pytest.approx((cost, np.mean((expected >= 0.5) == y)), rel=rtol)


# ONNX graphs


def test_a_graph_is_for_runtimes_of_2022():
    proto = nn.to_onnx(full_model())
    assert [(opset.domain, opset.version) for opset in proto.opset_import] == [("", 17)]
    assert (proto.ir_version, proto.producer_name) == (8, "nn_backend")


@scaled
@pytest.mark.parametrize("rows", [0, 1, 2, 1000])
def test_a_graph_takes_any_number_of_rows(rows, standardized):
    model = nn.Model(draw(), standardization=scale_of(3) if standardized else None)
    X = draw_features(3, rows)
    answer = ask_onnx(model, X)
    assert answer.shape == (1, rows)
    np.testing.assert_allclose(answer, answers(model, X), rtol=0, atol=1e-12)


def test_a_graph_refuses_other_columns():
    with pytest.raises(Exception, match="invalid dimensions"):
        ask_onnx(full_model(), draw_features(4))


def test_a_graph_knows_names():
    names = ("größe", "b", 'c"d')
    proto = nn.to_onnx(full_model(features=names, labels=("nein", "ja"), target="bestanden"))
    told = {entry.key: json.loads(entry.value) for entry in proto.metadata_props}
    assert told == {"features": list(names), "labels": ["nein", "ja"], "target": "bestanden"}
    custom = session_of(full_model()).get_modelmeta().custom_metadata_map
    assert json.loads(custom["features"]) == ["x1", "x2", "x3"]
    assert list(nn.to_onnx(nn.Model(draw())).metadata_props) == []


def test_a_graph_keeps_the_parameters_to_the_bit():
    params = draw((3, 4, 2), "float32")
    proto = nn.to_onnx(nn.Model(params))
    kept = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in proto.graph.initializer}
    expected = {"w1": params.w1, "b1": params.b1[:, 0], "w2": params.w2, "b2": params.b2[:, 0]}
    assert sorted(kept) == sorted(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(kept[name], array, strict=True)


# Files that are something else


def test_a_missing_file_and_a_folder(folder):
    assert refusal("a.safetensors") == "a.safetensors does not exist; expected a model saved by nn_backend"
    refusal("missing/a.safetensors")
    assert "is no safetensors file" in refusal(Path("../" + folder.name))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0",
        b"\0" * 8,
        b"\0" * 1000,
        b"\xff" * 1000,
        b"x1,x2,x3,y\n5,6,6,0\n" * 50,
        struct.pack("<Q", 2) + b"[]",
        struct.pack("<Q", 4) + b"null",
        struct.pack("<Q", 2**63) + b"{}",
        pickle.dumps(tuple(draw())),
        pickle.dumps({"w1": [1.0]}, protocol=0),
    ],
)
def test_files_of_another_kind(folder, content):
    Path("a.safetensors").write_bytes(content)
    assert "is no safetensors file" in refusal("a.safetensors")


class Opened:
    """What a pickle would do as it is loaded."""

    def __reduce__(self):
        return Path.touch, (Path("executed"),)


def test_nothing_in_a_file_is_executed(folder):
    for content in (pickle.dumps(Opened()), pickle.dumps(Opened(), protocol=0)):
        Path("a.safetensors").write_bytes(content)
        refusal("a.safetensors")
    np.savez("a.npz", w1=np.array([Opened()], dtype=object))
    refusal("a.npz")
    assert not Path("executed").exists()
    pickle.loads(pickle.dumps(Opened()))
    assert Path("executed").exists()  # that is, it would have been seen


@pytest.mark.parametrize("metadata", [None, {}, {"format": "pt"}, {"NN_BACKEND": "{}"}, {"format_version": "1"}])
def test_networks_of_others(folder, metadata):
    safetensors.numpy.save_file({"0.weight": draw().w1}, "a.safetensors", metadata)
    said = "a.safetensors holds something else than a model saved by nn_backend"
    assert refusal("a.safetensors") == said


# Damaged files


def test_a_file_cut_at_any_byte_or_with_bytes_too_many(folder):
    nn.save("a.safetensors", small_model())
    whole = Path("a.safetensors").read_bytes()
    cut = [whole[:length] for length in range(len(whole))]
    for content in [*cut, *(whole + more for more in (b"\0", b"\n", b" " * 8, b"\0" * 4096))]:
        Path("changed").write_bytes(content)
        refusal("changed")
    Path("changed").write_bytes(whole)
    assert bits_of(nn.load("changed")) == bits_of(small_model())


def test_a_file_with_any_byte_changed(folder):
    """It is refused, or it is the same network still; in the tensors it is refused always, and told as damage."""
    nn.save("a.safetensors", small_model())
    whole = Path("a.safetensors").read_bytes()
    tensors = len(whole) - 4 * 8
    told = set()
    for place, change in itertools.product(range(len(whole)), (0x01, 0x02, 0x10, 0x20, 0x80, 0xFF)):
        changed = bytearray(whole)
        changed[place] ^= change
        Path("changed").write_bytes(changed)
        try:
            model = nn.load("changed")
        except nn.DataFileError as error:
            told |= {str(error)} if place >= tensors else set()
        else:
            assert place < tensors
            assert bits_of(model) == bits_of(small_model()), (place, change)
    assert told == {"changed was changed or damaged after it was saved: its checksum is wrong"}


# Files whose checksum is right and whose content is not

CODES = {"float64": "F64", "float32": "F32", "float16": "F16", "int64": "I64"}


def checksum(tensors: dict[str, np.ndarray], meaning: dict[str, Any]) -> str:
    """Give it as `save` writes it: of the other metadata as sorted JSON, then of each tensor by name."""
    hashed = hashlib.sha256(json.dumps(meaning, sort_keys=True).encode())
    for name, tensor in sorted(tensors.items()):
        hashed.update(f"{name} {tensor.dtype.str} {tensor.shape}".encode() + tensor.tobytes())
    return hashed.hexdigest()


def forge(path: str, entries: dict[str, tuple[str, list[int], bytes]], metadata: dict[str, str]) -> None:
    """Write a safetensors file, byte by byte, of tensors given by type, shape and content."""
    header: dict[str, Any] = {"__metadata__": metadata}
    body = b""
    for name, (code, shape, content) in entries.items():
        header[name] = {"dtype": code, "shape": shape, "data_offsets": [len(body), len(body) + len(content)]}
        body += content
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    Path(path).write_bytes(struct.pack("<Q", len(text)) + text + body)


def entries_of(tensors: dict[str, np.ndarray]) -> dict[str, tuple[str, list[int], bytes]]:
    return {name: (CODES[array.dtype.name], list(array.shape), array.tobytes()) for name, array in tensors.items()}


def parts_of(model: nn.Model) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    nn.save("whole.safetensors", model)
    return safetensors.numpy.load_file("whole.safetensors"), metadata_of("whole.safetensors")


def forge_model(tensors: dict[str, np.ndarray | None] | None = None, **metadata: str | None) -> None:
    """Write the full model with other tensors or JSON, None for none, and the checksum that belongs to them."""
    old_tensors, old_meaning = parts_of(full_model())
    new_tensors = {name: tensor for name, tensor in {**old_tensors, **(tensors or {})}.items() if tensor is not None}
    del old_meaning["sha256"]
    texts = {name: json.dumps(value) for name, value in old_meaning.items()} | metadata
    text = "{" + ", ".join(f'"{name}": {text}' for name, text in texts.items() if text is not None) + "}"
    try:
        said = checksum(new_tensors, json.loads(text))
    except (ValueError, RecursionError):  # no JSON, and so nothing to sum
        said = ""
    forge("a.safetensors", entries_of(new_tensors), {"nn_backend": f'{text[:-1]}, "sha256": "{said}"}}'})


def test_the_checksum_is_of_all_that_a_file_holds(folder):
    tensors, meaning = parts_of(full_model())
    assert meaning.pop("sha256") == checksum(tensors, meaning)


def test_a_file_of_version_1_is_a_network_of_sigmoids(folder):
    forge_model(format_version="1", **dict.fromkeys(["kind", "output", "target_scale", "r2"]))
    assert sorted(metadata_of("a.safetensors")) == [
        *["accuracy", "cost", "data_sha256", "dtype", "features", "format_version", "labels", "sha256", "sizes"],
        *["standardization", "target", "training"],
    ]
    assert bits_of(nn.load("a.safetensors")) == bits_of(full_model())


def test_a_checkpoint_is_no_model(folder):
    X, y = nn.load_marks()
    nn.fit(X, y, nn.init_params(3, 4), iterations=1, checkpoint="a.safetensors")
    assert refusal("a.safetensors") == "a.safetensors holds a checkpoint; expected a model or networks"


def test_a_forged_file_that_is_right_is_loaded(folder):
    """Else the refusals below would say nothing."""
    forge_model()
    assert bits_of(nn.load("a.safetensors")) == bits_of(full_model())
    forge_model(labels='["nein", "ja"]', cost="0.25")
    assert bits_of(nn.load("a.safetensors")) == bits_of(full_model(labels=("nein", "ja"), cost=0.25))


@pytest.mark.parametrize("version", ["3", "10", "1.5", "0"])
def test_a_later_format_version(folder, version):
    forge_model(format_version=version)
    said = refusal("a.safetensors")
    assert said.startswith(f"a.safetensors is of format version {version}; this nn_backend reads versions up to 2")


def test_a_later_format_may_have_other_tensors_and_no_checksum(folder):
    """What it is comes first, so that the remedy told is to update."""
    forge("a.safetensors", entries_of({"layers.0": np.zeros(3)}), {"nn_backend": '{"format_version": 3}'})
    assert "is of format version 3" in refusal("a.safetensors")


@pytest.mark.parametrize(
    "text", ["", "null", "1", "[]", "[1]", '"text"', "{}", "{", '{"format_version": 2}', "[" * 10**5]
)
def test_metadata_of_another_shape(folder, text):
    forge("a.safetensors", entries_of({"0.weight": draw().w1}), {"nn_backend": text})
    refusal("a.safetensors")


def scale_text(mean: Any, deviation: Any) -> str:
    return json.dumps({"mean": mean, "deviation": deviation})


PAIRS = [([0, 0], [1, 1]), ([0, 0, 0], [1, 1]), ([0] * 4, [1] * 4), (0, 1), ([[0, 0, 0]], [[1, 1, 1]])]
PAIRS += [([0.5, 0.5, 0.5], [1.5, deviation, 1.5]) for deviation in (0.0, -1.5, float("nan"))]
PAIRS += [([0.5, mean, 0.5], [1.5, 1.5, 1.5]) for mean in (float("nan"), float("inf"))]
PAIRS += [(["a", "b", "c"], [1, 1, 1]), ([None] * 3, [1, 1, 1]), ([10**400, 0, 0], [1, 1, 1])]
NO_MODEL: dict[str, list[str | None]] = {
    "sizes": [None, "[3, 4, 2]", "[4, 3, 1]", "[3, 4]", "[3, 4, 1, 1]", "null", '"3-4-1"', "12"],
    "dtype": [None, '"float32"', '"float16"', "null", "8"],
    "features": [
        *[None, "[]", '["a"]', '["a", "b", "c", "d"]', '"abc"', "3", "true", "0", "{}", "[1, 2, 3]"],
        *['["a", "b", null]', '[["a"], ["b"], ["c"]]', '{"a": 1, "b": 2, "c": 3}'],
    ],
    "labels": [
        *[None, "[]", '["a"]', '["a", "b", "c"]', '"ab"', '"abc"', "2", "true", "false", "{}", '""'],
        *["[0, false]", "[null, null]", '["a", "a"]', "[NaN, 1]", "[[], {}]"],
    ],
    "output": ['"tanh"', "[]", "null", "3", '"softmax"', '"identity"'],
    "target_scale": ["3", '{"mean": [0], "deviation": [1]}'],
    "target": ["7", '["y"]', "{}", "true"],
    "cost": [
        *[None, '"cheap"', "[0.5]", "{}", "true", "NaN", "Infinity", "1e999"],
        *["", "{not json", "0.5 0.5", "9" * 5000, "[" * 100_000],
    ],
    "r2": ['"good"', "true", "NaN"],
    "accuracy": ['"good"', "[0.5]", "true", "NaN"],
    "training": [None, "7", '["a"]', '"ab"', "null", '{"a":' * 100_000],
    "data_sha256": ["7", '["a"]', "true"],
    "standardization": [
        *[None, "[]", "{}", "3", "true", '"abc"', '{"mean": [0, 0, 0]}', "[[0, 0, 0], [1, 1, 1]]"],
        *(scale_text(mean, deviation) for mean, deviation in PAIRS),
    ],
}


@pytest.mark.parametrize(
    ("name", "text"),
    [(name, text) for name, texts in NO_MODEL.items() for text in texts],
    ids=lambda text: f"{text}"[:30],
)
def test_metadata_that_does_not_fit(folder, name, text):
    forge_model(**{name: text})
    assert "holds no model that fits together" in refusal("a.safetensors")


def test_metadata_without_a_checksum(folder):
    tensors, meaning = parts_of(full_model())
    del meaning["sha256"]
    forge("a.safetensors", entries_of(tensors), {"nn_backend": json.dumps(meaning)})
    refusal("a.safetensors")


def test_standardization_in_whole_numbers_is_float64(folder):
    """As other writers of JSON may put it."""
    forge_model(standardization=scale_text([0, 1, 2], [1, 2, 3]))
    model = nn.load("a.safetensors")
    assert {array.dtype for array in model.standardization} == {np.dtype(np.float64)}


def changed_full(name: str, value: float) -> dict[str, np.ndarray]:
    tensor = getattr(draw(), name).copy()
    tensor[0, 0] = value
    return {TENSORS[name]: tensor if name.startswith("w") else tensor[:, 0]}


@pytest.mark.parametrize(
    "tensors",
    [
        *[changed_full(name, value) for name in TENSORS for value in (np.nan, np.inf)],
        {"0.weight": None},
        {"2.bias": None},
        {"3.weight": np.zeros(3)},
        {"0.weight": None, "weight": draw().w1},
        {"0.weight": draw().w1.T.copy()},
        {"0.weight": draw().w1[None]},
        {"0.weight": draw().w1[:0]},
        {"0.weight": draw().w1.astype(np.float32)},
        {"0.bias": draw().b1},
        {"0.bias": np.array(1.0)},
        {"0.weight": np.array(1.0)},
        {"2.bias": np.zeros(2)},
        {"0.weight": draw((3, 5, 1)).w1},
        {"0.weight": draw((2, 4, 1)).w1},
    ],
    ids=lambda tensors: " ".join(tensors),
)
def test_tensors_that_do_not_fit(folder, tensors):
    forge_model(tensors)
    assert "holds no model that fits together" in refusal("a.safetensors")


@pytest.mark.parametrize("dtype", ["float16", "int64", "float32"])
def test_tensors_of_another_dtype_though_metadata_agrees(folder, dtype):
    w1, b1, w2, b2 = (array.astype(dtype) for array in draw())
    forge_model(dict(zip(TENSORS.values(), (w1, b1[:, 0], w2, b2[:, 0]), strict=True)), dtype=json.dumps(dtype))
    if dtype == "float32":  # that is a network
        assert nn.load("a.safetensors").params.w1.dtype == dtype
    else:
        assert "holds no model that fits together" in refusal("a.safetensors")


@pytest.mark.parametrize(("code", "width"), [("BF16", 2), ("F8_E4M3", 1), ("F8_E5M2", 1), ("BOOL", 1), ("C64", 8)])
def test_tensors_of_a_kind_that_numpy_may_lack(folder, code, width):
    tensors, meaning = parts_of(full_model())
    entries = {**entries_of(tensors), "0.bias": (code, [4], b"\1" * 4 * width)}
    forge("a.safetensors", entries, {"nn_backend": json.dumps(meaning)})
    refusal("a.safetensors")


# Without the extra


@pytest.mark.parametrize(
    ("package", "statement", "other"),
    [
        ("safetensors", "nn.save('a', model)", "nn.to_onnx(model)"),
        ("safetensors", "nn.load('a')", "nn.to_onnx(model)"),
        ("onnx", "nn.to_onnx(model)", "nn.save('b', model); nn.load('b')"),
    ],
)
def test_a_missing_package_is_named_with_its_extra_and_the_other_format_serves(folder, package, statement, other):
    before = f"import sys; sys.modules[{package!r}] = None; import nn_backend as nn; "
    before += f"model = nn.Model(nn.init_params(3, 4)); {other}"
    program = f"{before}\ntry:\n    {statement}\nexcept nn.MissingPackageError as error:\n    print(error)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    said = f'{package} is not installed, and the format needs it: run "pip install nn-backend[export]"\n'
    assert (done.returncode, done.stdout, done.stderr) == (0, said, "")
    assert not Path("a").exists()


# Ends that nobody chooses

# The child saves two networks in turn, into one file; its parent kills it at a random moment and loads what is there.
KILL = """
import os, random, signal, time
import numpy as np
import nn_backend as nn

KILLS = 40
models = [nn.Model(nn.init_params(300, 200, seed=seed, factor=1.0), cost=float(seed)) for seed in (0, 1)]
bits = [[array.tobytes() for array in model.params] for model in models]
draw, found, left = random.Random(5), [0, 0], 0

nn.save("a", models[0])
start = time.monotonic()
nn.save("a", models[1])
lasts = time.monotonic() - start
for kill in range(KILLS):
    child = os.fork()
    if child == 0:
        for k in range(100_000):
            nn.save("a", models[k % 2])
        os._exit(1)
    time.sleep(min(draw.uniform(0, 6 * lasts), 0.3))
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), "the child ended by itself"
    model = nn.load("a")
    which = bits.index([array.tobytes() for array in model.params])  # ValueError if it is neither
    assert model.cost == which
    found[which] += 1
    for name in set(os.listdir()) - {"a"}:
        assert name.startswith(".") and name.endswith(".tmp"), name
        left += 1
        os.unlink(name)
print(*found, left)
"""


@POSIX
def test_a_killed_save_leaves_the_old_network_or_the_new(folder):
    done = subprocess.run([sys.executable, "-c", KILL], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    first, second, left = map(int, done.stdout.split())
    assert min(first, second) >= 2  # saves had been finished
    assert left >= 5  # and others were killed in their midst


def test_a_save_that_fails_leaves_the_old_network(folder, monkeypatch):
    nn.save("a.safetensors", full_model())

    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", interrupted)
        with pytest.raises(KeyboardInterrupt):
            nn.save("a.safetensors", replace(full_model(), cost=9.0))
    assert bits_of(nn.load("a.safetensors")) == bits_of(full_model())
    assert [file.name for file in folder.iterdir()] == ["a.safetensors"]
