"""Saved networks: the same to the bit when loaded, whole or not at all, and the same numbers in other programs."""

import contextlib
import hashlib
import itertools
import json
import pickle
import re
import struct
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import onnx
import onnxruntime
import pytest
import safetensors
import safetensors.numpy
from commands import files_in
from sklearn import metrics

import nn_backend as nn
from nn_backend.tensors import digest

DTYPES = ("float64", "float32")
PATH = "a.safetensors"

scaled = pytest.mark.parametrize("standardized", [False, True])
each_dtype = pytest.mark.parametrize("dtype", DTYPES)
each_output = pytest.mark.parametrize("output", ["sigmoid", "softmax", "identity"])


def draw(sizes: tuple[int, int, int] = (3, 4, 1), dtype: str = "float64", seed: int = 0) -> nn.Params:
    """Draw parameters, none of them zero."""
    n0, n1, n2 = sizes
    random = np.random.default_rng(seed)
    shapes = ((n1, n0), (n1, 1), (n2, n1), (n2, 1))
    return nn.Params(*(random.normal(0, 0.6, shape).astype(dtype) for shape in shapes))


def draw_features(n0: int, m: int = 50, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(3, 2, (n0, m))


def scale_of(n0: int) -> nn.Standardization:
    """Draw numbers so far from zero that float32 would round off what sets examples apart."""
    random = np.random.default_rng(2)
    return nn.Standardization(random.normal(1000, 1, (n0, 1)), random.uniform(0.5, 3, (n0, 1)))


FULL = {
    "output": "sigmoid",
    "features": ("x1", "x2", "x3"),
    "target": "y",
    "labels": ("failed", "passed"),
    "standardization": scale_of(3),
    "target_scale": None,
    "training": {"learning_rate": 0.1, "iterations": 7, "nested": {"list": [1, None, True, "ä"]}, "empty": {}},
    "cost": 0.1 + 0.2,
    "accuracy": 1 / 3,
    "r2": None,
    "data_sha256": "ab" * 32,
}
CLASSES = {**FULL, "output": "softmax", "labels": (1, 2, 5)}
NUMBERS = {**FULL, "output": "identity", "labels": None, "target_scale": scale_of(3), "accuracy": None, "r2": 0.7}
OPTIONAL = [name for name, value in FULL.items() if value and name not in ("output", "training")]


def full_model(**changes: Any) -> nn.Model:
    return nn.Model(**{"params": draw(), **FULL, **changes})


def bits(value: Any) -> Any:
    """Give what can be compared with ==, and is equal only where every bit, dtype, shape and type is."""
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes()
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value).__name__, *map(bits, value)
    return repr(value)


def bits_of(model: nn.Model) -> dict[str, Any]:
    return {part.name: bits(getattr(model, part.name)) for part in fields(nn.Model)}


def round_trip(result: nn.Model | nn.FitResult, path: str | Path = PATH) -> nn.Model:
    nn.save(path, result)
    return nn.load(path)


# What the file holds, without this package


def tensors_of(params: nn.Params) -> dict[str, np.ndarray]:
    """Give a file's tensors: names and shapes are PyTorch's."""
    return {"0.weight": params.w1, "0.bias": params.b1[:, 0], "2.weight": params.w2, "2.bias": params.b2[:, 0]}


def meaning_of(model: nn.Model) -> dict[str, Any]:
    """Give a file's metadata, all but the checksum."""
    w1, _, w2, _ = model.params
    sizes = [w1.shape[1], w1.shape[0], w2.shape[0]]
    meaning = {"format_version": 2, "kind": "model", "sizes": sizes, "dtype": w1.dtype.name}
    for name in FULL:
        value = getattr(model, name)
        if isinstance(value, nn.Standardization):
            value = {"mean": value.mean[:, 0].tolist(), "deviation": value.deviation[:, 0].tolist()}
        meaning[name] = list(value) if isinstance(value, tuple) else value
    return meaning


def checksum(tensors: dict[str, np.ndarray], meaning: dict[str, Any]) -> str:
    """Give it of the metadata as sorted JSON, then of each tensor by name."""
    hashed = hashlib.sha256(json.dumps(meaning, sort_keys=True).encode())
    for name, tensor in sorted(tensors.items()):
        hashed.update(f"{name} {tensor.dtype.str} {tensor.shape}".encode() + tensor.tobytes())
    return hashed.hexdigest()


def metadata_of(path: str | Path) -> dict[str, Any]:
    with safetensors.safe_open(path, framework="np") as file:
        (name, text), *others = file.metadata().items()
    assert (name, others) == ("nn_backend", [])
    return json.loads(text)


# Saved and loaded

LABELS = [(0, 1), (2, -(10**30)), (0.5, 1e300), (False, True), ("1", "2")]  # of each type that they may have
TEXTS = (
    *("größe", "身長", "🎓 mark", "", " ", "\n\t", 'quoted "name"', "back\\slash", "it's"),
    *("\0", "\x7f", "\udc80", "null", "true", "[1, 2]", "x" * 10_000, "format"),
)


EDGES = {"standardization": nn.Standardization([[-0.0], [1e-300], [1e300]], [[5e-324], [1 / 3], [1.7e308]])}


def at_the_edges(dtype: str) -> nn.Params:
    limits = np.finfo(dtype)
    w1 = np.array([[-0.0, limits.smallest_subnormal, limits.max]], dtype)
    return nn.Params(w1, *(np.array([[v]], dtype) for v in (-limits.max, 1 + limits.eps, limits.tiny)))


def in_other_layouts(dtype: str) -> nn.Params:
    w1, b1, w2, b2 = draw((3, 6, 2), dtype)
    return nn.Params(np.asfortranarray(w1), np.repeat(b1, 2, axis=0)[::2], w2.T.copy().T, b2[::-1][::-1])


@each_dtype
@pytest.mark.parametrize(
    ("make", "known"),
    [
        (at_the_edges, {**EDGES, "cost": 5e-324, "accuracy": 0.0}),
        (in_other_layouts, {}),
        *[((3, 4, 1), {}), ((3, 4, 1), FULL), ((3, 4, 3), CLASSES), ((3, 4, 3), NUMBERS)],
        *(((3, 4, 1), {name: FULL[name]}) for name in OPTIONAL),
        *(((3, 4, 1), {**FULL, name: None}) for name in OPTIONAL),
        *(((3, 4, 1), {"labels": labels}) for labels in LABELS),
        *(((len(TEXTS), 4, 1), {"features": TEXTS, "target": text, "labels": (text, "no")}) for text in TEXTS),
    ],
)
def test_parameters_and_everything_that_a_model_knows(folder, make, known, dtype):
    """Labels also by type, as the classes of a scikit-learn estimator; names may be any text."""
    params = make(dtype) if callable(make) else draw(make, dtype)
    model = nn.Model(params, **known)
    assert bits_of(round_trip(model)) == bits_of(model)
    expected, found, metadata = tensors_of(params), safetensors.numpy.load_file(PATH), metadata_of(PATH)
    assert {name: bits(array) for name, array in found.items()} == {name: bits(expected[name]) for name in expected}
    assert metadata.pop("sha256") == checksum(expected, metadata)
    assert metadata == meaning_of(model)


def test_the_same_model_gives_the_same_bytes_at_any_path_and_once_more(folder):
    """Also in another process: files can be compared, and a build that trains can be reproduced."""
    statement = (
        "import sys; sys.path.insert(0, sys.argv[1]); import nn_backend as nn; from test_export import full_model; "
        "nn.save('other', full_model())"
    )
    subprocess.run([sys.executable, "-c", statement, str(Path(__file__).parent)], check=True, timeout=60)
    paths = [PATH, "a", Path("a.bin"), "größe.st"]
    for path in paths:
        assert bits_of(round_trip(round_trip(full_model(), path), path)) == bits_of(full_model())
    assert files_in(folder) == sorted(["other", *map(str, paths)])
    assert len({file.read_bytes() for file in folder.iterdir()}) == 1


def test_a_network_stays_as_it_is_where_a_save_fails_and_where_its_file_is_written_over(folder):
    nn.save(PATH, full_model())
    with mock.patch("os.fsync", side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
        nn.save(PATH, full_model(cost=9.0))
    assert files_in(folder) == [PATH]
    model = nn.load(PATH)
    with Path(PATH).open("r+b") as file:  # in place, as other programs may
        file.write(b"\xff" * Path(PATH).stat().st_size)
    assert bits_of(model) == bits_of(full_model())


def test_digest_is_of_the_values_row_by_row_not_of_their_layout():
    X, y = nn.load_marks()
    expected = hashlib.sha256(b"".join(struct.pack("<d", cell) for row in (*X, *y) for cell in row)).hexdigest()
    for same in (X, X.astype(">f8"), X.astype(np.float32), X.astype(int), np.asfortranarray(X), X.repeat(2, 1)[:, ::2]):
        assert digest(same, y) == expected
    changed = X.copy()
    changed[1, 200] = np.nextafter(changed[1, 200], 99)
    for others in ((changed, y), (X, 1 - y), (X[::-1], y)):
        assert digest(*others) != expected


# What a model knows of a FitResult, and of what it is given


def test_a_result_is_saved_with_what_it_knows_and_its_model_adds_meaning(folder):
    X, y = nn.load_marks()
    result = nn.fit(X, y, nn.init_params(3, 4), iterations=25, log_every=10)
    ran = {"iterations": 25, "status": "done", "optimizer": "gd", "backend": "numpy", "engine": result.engine}
    reached = {name: result.history.iloc[-1][name] for name in ("cost", "accuracy")}
    model = round_trip(result)
    assert bits_of(model) == bits_of(nn.Model(result.params, training=ran, **reached))
    more = nn.Model.of(result, features=FULL["features"], training={"seed": 3, "engine": "by hand"})
    training = {**ran, "engine": "by hand", "seed": 3}
    assert bits_of(more) == bits_of(replace(model, features=FULL["features"], training=training))


@each_output
def test_a_model_of_a_result_has_its_output_and_the_score_of_its_best_row(output):
    """As the model scores the rows in their own units, whatever `fit` saw."""
    X, y = nn.load_marks()
    X, y = X[1:], {"sigmoid": y, "softmax": np.concatenate([1 - y, y]), "identity": X[:1]}[output]
    scale, target_scale = nn.standardization(X), nn.standardization(y) if output == "identity" else None
    seen = scale.apply(X), y if target_scale is None else target_scale.apply(y)
    few = 60  # rows to train on, so that it overfits
    train, held = ([array[:, rows] for array in seen] for rows in (slice(few), slice(few, None)))
    options = {"output": output, "optimizer": "rprop", "iterations": 300, "log_every": 1, "patience": 5}
    result = nn.fit(*train, nn.init_params(2, 4, len(y), factor=1.0), validation=held, **options)
    model = nn.Model.of(result, standardization=scale, target_scale=target_scale)
    assert model.output == output
    assert 0 < result.best_iteration < result.iterations
    best = result.history.iloc[result.best_iteration]
    assert [getattr(model, name) for name in nn.Score._fields] == [best.get(name) for name in nn.Score._fields]
    assert model.score(X[:, :few], y[:, :few]) == pytest.approx(result.score, rel=1e-12, nan_ok=True)


def test_a_model_keeps_what_it_is_given_as_python_has_it():
    """As documented, and as JSON can keep it: names are often a list, classes an array, scores cells of a frame."""
    given = {"features": ["a", "b", "c"], "labels": np.array([3, 4]), "cost": np.float64(0.5), "r2": np.float32(0.5)}
    model = nn.Model(draw(), **given)
    assert bits((model.features, model.labels, model.cost, model.r2)) == bits((("a", "b", "c"), (3, 4), 0.5, 0.5))
    assert model != nn.Model(draw(), **given)  # of arrays the question would be an error


# What cannot be a model, and what cannot be saved


@pytest.mark.parametrize("give", [lambda result: nn.save(PATH, result), nn.to_onnx, nn.Model.of])
@pytest.mark.parametrize("result", [None, PATH, {}, draw(), draw().w1])
def test_other_things_are_no_result(folder, give, result):
    with pytest.raises(nn.ArrayTypeError, match=f"result is of type {type(result).__name__}; expected a FitResult"):
        give(result)
    assert files_in(folder) == []


@pytest.mark.parametrize("lead", [(2,), (1,), (2, 3)])
def test_many_networks_are_refused_with_advice(folder, lead):
    many = nn.Params(*(np.broadcast_to(array, (*lead, *array.shape)).copy() for array in nn.init_params(3, 4)))
    expected = f"the parameters have leading axes {lead}; expected one network: take array[k] of each"
    X, y = nn.load_marks()
    result = nn.fit(X, y, many, iterations=1)
    for give in (nn.Model, lambda _: nn.save(PATH, result), lambda _: nn.to_onnx(result)):
        with pytest.raises(nn.DataError, match=re.escape(expected)):
            give(many)
    assert files_in(folder) == []
    one = nn.Params(*(array[(0,) * len(lead)] for array in result.params))  # the advice, followed
    assert bits(round_trip(nn.Model(one)).params) == bits(one)


GOOD = draw((3, 4, 3))
GENES = tuple(f"g{k}" for k in range(1999))
NAMES = "different names, the inputs of the network"
TWO = "expected 2 different words, numbers or booleans, for 0 and for 1"
NO_CLASSES = "expected None, as output 'identity' has no classes"
THREE = "expected 3 different words, numbers or booleans, one for each output"
ENDLESS = "holds NaN or infinity; expected finite parameters"
NO_NAMES = [(), ("a", "b"), tuple("abcd"), ("a", "b", "a"), (1, 2, 3), "abc", ("a", "b", None)]
NO_TWO = [(), ("a",), ("a", "b", "c"), ("a", "a"), ("a", "b", "a"), "no", (0, "1"), (0, True), (None, None)]
NO_THREE = [("a", "b"), (1, 2, 2), (1, 2, 3, 4), "abc", (1.0, np.nan, 2.0), (1.0, np.inf, 2.0), (b"a", b"b", b"c")]
SCALED = {"target_scale": scale_of(3)}
ONES = np.ones((3, 1))
FOURS = nn.Standardization(4 * ONES, ONES)
NO_MEANS = [np.ones(shape) for shape in [(3,), (1, 3), (2, 1), (4, 1), (3, 2), (1, 1), ()]]
NO_MEANS += [ONES * [[1], [value], [1]] for value in (np.nan, np.inf, -np.inf)]
NO_DEVIATIONS = NO_MEANS + [ONES * [[1], [value], [1]] for value in (0.0, -0.0, -1.0)]
NO_SCALES = [*((mean, ONES) for mean in NO_MEANS), *((ONES, deviation) for deviation in NO_DEVIATIONS)]


@pytest.mark.parametrize(
    ("known", "said"),
    [
        *(({"features": names}, f"features are {names!r}; expected 3 {NAMES}") for names in NO_NAMES),
        ({"params": draw((2000, 1, 1)), "features": GENES}, f"features are {repr(GENES)[:60]}…; expected 2000 {NAMES}"),
        *(({"labels": two}, f"labels are {two!r}; {TWO}") for two in NO_TWO),
        *(({"output": "softmax", "labels": three}, f"labels are {three!r}; {THREE}") for three in NO_THREE),
        ({"output": "identity", "labels": (1, 2)}, f"labels are (1, 2); {NO_CLASSES}"),
        (SCALED, "there is a target_scale; expected None, as output 'sigmoid' has classes"),
        ({"output": "softmax", **SCALED}, "there is a target_scale; expected None, as output 'softmax' has classes"),
        *(
            ({"output": "identity", name: nn.Standardization(*scale)}, f"the {name} ")
            for name, scale in itertools.product(["standardization", "target_scale"], NO_SCALES)
        ),
        ({"output": "tanh"}, "output 'tanh' is not known; accepted: sigmoid, softmax, identity"),
        *(
            ({"params": GOOD._replace(**{name: array + np.resize([bad, 0], array.shape)})}, f"{name} {ENDLESS}")
            for (name, array), bad in itertools.product(GOOD._asdict().items(), (np.nan, np.inf))
        ),
        ({"params": GOOD._replace(b1=GOOD.b1[:, 0])}, "expected w1"),
        ({"params": GOOD._replace(w1=GOOD.w1.astype(np.float32))}, "expected all float64 or all float32"),
    ],
    ids=lambda value: f"{value}"[:60],
)
def test_what_does_not_fit_together_is_no_model(known, said):
    with pytest.raises((nn.DataError, nn.ArgumentError)) as caught:
        nn.Model(**{"params": GOOD, **known})
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        *((PATH, value, "the model's settings cannot be saved as JSON") for value in (np.nan, {1}, b"", {(1, 2): 3})),
        ("a.npz", 1, "a.npz ends in .npz, which it would not be; expected .safetensors"),
    ],
)
def test_what_cannot_be_saved_leaves_the_old_file(folder, path, value, said):
    Path(path).write_text("old")
    with pytest.raises(nn.ArgumentError, match=f"^{re.escape(said)}"):
        nn.save(path, full_model(training={"x": value}))
    assert Path(path).read_text() == "old"
    assert files_in(folder) == [path]


@pytest.mark.parametrize(
    ("package", "use", "other"),
    [
        ("safetensors", round_trip, nn.to_onnx),
        ("safetensors", lambda _: nn.load(PATH), nn.to_onnx),
        ("onnx", nn.to_onnx, round_trip),
    ],
)
def test_a_missing_package_is_named_and_the_other_format_serves(folder, monkeypatch, package, use, other):
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        monkeypatch.setitem(sys.modules, name, None)
    said = f'{package} is not installed, and the format needs it: run "pip install nn-backend[export]"'
    with pytest.raises(nn.MissingPackageError, match=f"^{re.escape(said)}$"):
        use(full_model())
    assert files_in(folder) == []
    other(full_model())


# Files that are something else


def written(tensors: dict[str, np.ndarray], text: str, **codes: str) -> bytes:
    """Give a safetensors file with that metadata, byte by byte; a tensor's type may be told as another of its width."""
    header: dict[str, Any] = {"__metadata__": {"nn_backend": text}}
    body = b""
    for name, array in tensors.items():
        code = codes.get(name, f"{array.dtype.kind.upper()}{8 * array.itemsize}")
        header[name] = {"dtype": code, "shape": array.shape, "data_offsets": [len(body), len(body) + array.nbytes]}
        body += array.tobytes()
    encoded = json.dumps(header).encode()
    return struct.pack("<Q", len(encoded)) + encoded + body


def forged(changes: dict[str, np.ndarray | str | None]) -> bytes:
    """Give the full model's file with other tensors or JSON, None for none, and the checksum that belongs to them."""
    meaning = {name: json.dumps(value) for name, value in meaning_of(full_model()).items()}
    parts = {**tensors_of(draw()), **meaning, **changes}
    tensors = {name: part for name, part in parts.items() if isinstance(part, np.ndarray)}
    text = ", ".join(f'"{name}": {part}' for name, part in parts.items() if isinstance(part, str))
    try:
        said = checksum(tensors, json.loads(f"{{{text}}}"))
    except (ValueError, RecursionError):  # no JSON, and so nothing to sum
        said = ""
    return written(tensors, f'{{{text}, "sha256": "{said}"}}')


def refusal(path: str | Path = PATH) -> str:
    """Give the text of the error that loading ends in, having checked that it is one line which names the file."""
    with pytest.raises(nn.DataFileError) as caught:
        nn.load(path)
    said = str(caught.value)
    assert said.startswith(f"{path} ")
    assert "\n" not in said
    return said.removeprefix(f"{path} ")


@pytest.mark.parametrize(
    ("changes", "known"),
    [
        ({}, {}),
        ({"labels": '["nein", "ja"]', "cost": "0.25"}, {"labels": ("nein", "ja"), "cost": 0.25}),
        ({**tensors_of(draw(dtype="float32")), "dtype": '"float32"'}, {"params": draw(dtype="float32")}),
        # Version 1 had networks of sigmoids only.
        ({"format_version": "1", **dict.fromkeys(["kind", "output", "target_scale", "r2"])}, {}),
        # Other writers of JSON may put whole numbers.
        ({"standardization": '{"mean": [4, 4, 4], "deviation": [1, 1, 1]}'}, {"standardization": FOURS}),
    ],
)
def test_a_forged_file_that_is_right_is_loaded(folder, changes, known):
    """Else the refusals below would say nothing."""
    Path(PATH).write_bytes(forged(changes))
    assert bits_of(nn.load(PATH)) == bits_of(full_model(**known))


class Opened:
    """What a pickle would do as it is loaded; the test sees what was made."""

    def __reduce__(self):
        return Path.touch, (Path("executed"),)


PARTS, MEANING = tensors_of(draw()), json.dumps(meaning_of(full_model()))
UPDATE = "this nn_backend reads versions up to 2, update it"
NO_FILE = "is no safetensors file, or only a part of one: "
UNFIT = "holds no model that fits together: "


@pytest.mark.parametrize(
    ("content", "said"),
    [
        *((content, NO_FILE) for content in (b"", b"\0", b"\0" * 8, b"\0" * 1000, b"\xff" * 1000, b"x1,y\n5,0\n" * 90)),
        *((pickle.dumps(Opened(), protocol), NO_FILE) for protocol in (0, pickle.HIGHEST_PROTOCOL)),
        *((struct.pack("<Q", size) + text, NO_FILE) for size, text in ((2, b"[]"), (4, b"null"), (2**63, b"{}"))),
        *(
            (safetensors.numpy.save(PARTS, metadata), "holds something else than a model saved by nn_backend")
            for metadata in [None, {}, {"format": "pt"}, {"NN_BACKEND": "{}"}, {"format_version": "1"}]
        ),
        *(
            (forged({"format_version": other}), f"is of format version {other}; {UPDATE}")
            for other in ["3", "10", "1.5", "0"]
        ),
        # A later format may have other tensors and no checksum: what it is comes first.
        (written({"layers.0": np.zeros(3)}, '{"format_version": 3}'), "is of format version 3"),
        *(
            (written(PARTS, text), UNFIT)
            for text in ["", "null", "1", "[]", "[1]", '"text"', "{}", "{", '{"format_version": 2}', "[" * 10**5]
        ),
        (written(PARTS, MEANING), f"{UNFIT}it lacks 'sha256'"),
        # NumPy may lack these types, and early versions of safetensors those of eight bits.
        *(
            (
                written({"0.bias": np.ones(4, width)}, MEANING, **{"0.bias": code}),
                (f"{UNFIT}its tensors are of types", *([NO_FILE] * code.startswith("F8"))),
            )
            for code, width in [("BF16", "u2"), ("F8_E4M3", "u1"), ("F8_E5M2", "u1"), ("BOOL", "u1"), ("U64", "u8")]
        ),
    ],
    ids=lambda content: f"{content}"[:50],
)
def test_files_of_another_kind_are_refused_and_nothing_in_them_executed(folder, content, said):
    Path(PATH).write_bytes(content)
    assert refusal().startswith(said)
    assert files_in(folder) == [PATH]


PAIRS = [([0, 0], [1, 1]), ([0, 0, 0], [1, 1]), ([0] * 4, [1] * 4), (0, 1), ([[0, 0, 0]], [[1, 1, 1]])]
PAIRS += [([0.5, 0.5, 0.5], [1.5, deviation, 1.5]) for deviation in (0.0, float("nan"))]
PAIRS += [(["a", "b", "c"], [1, 1, 1]), ([None] * 3, [1, 1, 1]), ([10**400, 0, 0], [1, 1, 1])]
RIGHT = {  # of what JSON may hold, or lack, what is right where
    None: ("output", "target_scale", "r2"),  # as in version 1
    "null": (*OPTIONAL, "target_scale", "r2"),
    "7": ("cost", "accuracy", "r2"),
    '"text"': ("target", "data_sha256"),
    '{"a": 1}': ("training",),
    **dict.fromkeys(["true", "false", "NaN", "[]", '["a"]', "[7]", "[[], {}]", '[["a"], ["b"], ["c"]]'], ()),
}
WRONG = {
    "sizes": ["[3, 4, 2]", "[4, 3, 1]", "[3, 4]", "[3, 4, 1, 1]", '"3-4-1"'],
    "dtype": ['"float32"', '"float16"'],
    "features": [*map(json.dumps, NO_NAMES), '{"a": 1, "b": 2, "c": 3}'],
    "labels": [*map(json.dumps, NO_TWO), "[NaN, 1]", '""', '{"a": 1, "b": 2}'],
    "output": ['"softmax"', '"identity"'],
    "target_scale": ['{"mean": [0], "deviation": [1]}'],
    "cost": ["Infinity", "1e999", "", "{not json", "0.5 0.5", "9" * 5000, "[" * 100_000, '{"a":' * 100_000],
    "standardization": [
        *['{"mean": [0, 0, 0]}', "[[0, 0, 0], [1, 1, 1]]", "{}"],
        *(json.dumps({"mean": mean, "deviation": deviation}) for mean, deviation in PAIRS),
    ],
}
W1, B1 = PARTS["0.weight"], PARTS["0.bias"]
NO_W1 = [W1.T.copy(), W1[None], W1[:0], np.array(1.0), np.ones((5, 3)), np.ones((4, 2)), W1.astype("f4"), W1 * np.inf]


@pytest.mark.parametrize(
    "changes",
    [
        *({name: text} for text, right in RIGHT.items() for name in ("sizes", "dtype", *FULL) if name not in right),
        *({name: text} for name, texts in WRONG.items() for text in texts),
        *({name: None} for name in PARTS),
        {"3.weight": np.zeros(3)},
        {"0.weight": None, "weight": W1},
        *({"0.weight": w1} for w1 in NO_W1),
        *({"0.bias": b1} for b1 in (B1[:, None], np.array(1.0), np.zeros(5))),
        {"2.bias": np.zeros(2)},
        *(
            {**{name: array.astype(dtype) for name, array in PARTS.items()}, "dtype": f'"{dtype}"'}
            for dtype in ("float16", "int64")
        ),
    ],
    ids=lambda changes: f"{changes}"[:50],
)
def test_parts_that_do_not_fit_though_the_checksum_is_right(folder, changes):
    Path(PATH).write_bytes(forged(changes))
    assert refusal().startswith(UNFIT)


def test_a_file_that_is_missing_or_a_folder_or_cut_or_changed_at_any_byte(folder):
    """It is refused, or it is the same network still; changed in the tensors it is refused always, as damage."""
    assert refusal() == "does not exist; expected a model saved by nn_backend"
    assert refusal(Path("../" + folder.name)).startswith(NO_FILE)
    scale = nn.Standardization([[0.1]], [[3.0]])
    small = nn.Model(draw((1, 1, 1)), features=("x",), labels=("no", "yes"), standardization=scale, cost=0.5)
    nn.save("whole", small)
    whole = Path("whole").read_bytes()
    tensors = len(whole) - 4 * 8
    cut = [whole[:length] for length in range(len(whole))]
    for content in [*cut, *(whole + more for more in (b"\0", b"\n", b" " * 8, b"\0" * 4096))]:
        Path(PATH).write_bytes(content)
        refusal()
    told = set()
    for place, change in itertools.product(range(len(whole)), (0x01, 0x02, 0x10, 0x20, 0x80, 0xFF)):
        changed = bytearray(whole)
        changed[place] ^= change
        Path(PATH).write_bytes(changed)
        if place >= tensors:
            told.add(refusal())
            continue
        with contextlib.suppress(nn.DataFileError):
            assert bits_of(nn.load(PATH)) == bits_of(small), (place, change)
    assert told == {"was changed or damaged after it was saved: its checksum is wrong"}


# Answers: here, written out, in PyTorch and in ONNX Runtime

TOLERANCE = {"float64": 1e-12, "float32": 1e-6}


OUTPUTS = {
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
    "softmax": lambda z: np.exp(z) / np.exp(z).sum(axis=0),
    "identity": lambda z: z,
}


def answers(model: nn.Model, X: np.ndarray) -> np.ndarray:
    """Give them as the article writes them, in float64."""
    w1, b1, w2, b2 = (array.astype(np.float64) for array in model.params)
    if model.standardization is not None:
        X = (X - model.standardization.mean) / model.standardization.deviation
    yhat = OUTPUTS[model.output](w2 @ OUTPUTS["sigmoid"](w1 @ X + b1) + b2)
    return yhat if model.target_scale is None else model.target_scale.mean + yhat * model.target_scale.deviation


def assert_answers(found: np.ndarray, expected: np.ndarray, dtype: str) -> None:
    spread = np.ptp(expected) if expected.size else 0
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE[dtype] * max(1, spread))


def session_of(model: nn.Model) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(nn.to_onnx(model).SerializeToString(), providers=["CPUExecutionProvider"])


def ask_onnx(model: nn.Model, X: np.ndarray) -> np.ndarray:
    rows = np.ascontiguousarray(X.T, np.float64 if model.standardization else model.params.w1.dtype)
    name = "predictions" if model.output == "identity" else "probabilities"
    (answer,) = session_of(model).run([name], {"X": rows})
    return answer.T


@scaled
@each_dtype
@pytest.mark.parametrize("sizes", [(3, 4, 1), (1, 1, 1), (2, 1, 3), (1, 5, 2), (7, 33, 4)])
@each_output
def test_answers_of_a_loaded_network_and_of_onnx_runtime(folder, output, sizes, dtype, standardized):
    """What is scaled goes in and comes out in its own units, in float64 also where the network is float32."""
    X, meaning, dtype_out = draw_features(sizes[0]), {}, dtype
    if not standardized:
        X = X.astype(dtype).astype(np.float64)  # no rounding where an input is float32
    else:
        X, meaning["standardization"] = X + 1000, scale_of(sizes[0])
        if output == "identity":
            meaning["target_scale"], dtype_out = scale_of(sizes[2]), "float64"
    model = nn.Model(draw(sizes, dtype), output, **meaning)
    loaded = round_trip(model).predict_proba(X)
    np.testing.assert_array_equal(loaded, model.predict_proba(X), strict=True)
    for found, m in ((loaded, 50), *((ask_onnx(model, X[:, :m]), m) for m in (50, 1, 0))):
        assert (found.dtype, found.shape) == (np.dtype(dtype_out), (sizes[2], m))
        assert_answers(found, answers(model, X[:, :m]), dtype)
    onnx.checker.check_model(nn.to_onnx(model), full_check=True)
    session = session_of(model)
    kinds = {"float64": "tensor(double)", "float32": "tensor(float)"}
    told = [(value.name, value.shape, value.type) for value in (*session.get_inputs(), *session.get_outputs())]
    assert told == [
        ("X", ["m", sizes[0]], kinds["float64" if standardized else dtype]),
        ("predictions" if output == "identity" else "probabilities", ["m", sizes[2]], kinds[dtype_out]),
    ]


@each_dtype
def test_pytorch_takes_the_file(folder, dtype):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed; it is in the extra bench")
    from safetensors.torch import load_file

    nn.save(PATH, nn.Model(draw((3, 4, 2), dtype), "identity"))
    kind, X = getattr(torch, dtype), draw_features(3)
    net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Sigmoid(), torch.nn.Linear(4, 2)).to(kind)
    net.load_state_dict(load_file(PATH), strict=True)
    answer = net(torch.tensor(X.T, dtype=kind)).detach().numpy()
    assert_answers(answer.T, nn.load(PATH).predict_proba(X), dtype)


@each_dtype
def test_a_network_that_is_sure(dtype):
    params = nn.Params(*(np.array([[value]], dtype) for value in (1000, 0, 2000, -1000)))
    X = np.array([[1.0, -1.0, 50.0]])
    assert nn.Model(params).predict_proba(X).tolist() == [[1, 0, 1]]
    np.testing.assert_allclose(ask_onnx(nn.Model(params), X), [[1, 0, 1]], rtol=0, atol=TOLERANCE[dtype])


def test_a_graph_is_for_runtimes_of_2022_and_keeps_names_and_parameters():
    params = draw((3, 4, 2), "float32")
    names = {"features": ["größe", "b", 'c"d'], "target": "bestanden", "labels": ["nein", "ja"]}
    model = nn.Model(params, **names)
    proto = nn.to_onnx(model)
    assert [(opset.domain, opset.version) for opset in proto.opset_import] == [("", 17)]
    assert (proto.ir_version, proto.producer_name) == (8, "nn_backend")
    told = session_of(model).get_modelmeta().custom_metadata_map
    assert {name: json.loads(text) for name, text in told.items()} == names
    assert list(nn.to_onnx(nn.Model(params)).metadata_props) == []
    kept = {tensor.name: bits(onnx.numpy_helper.to_array(tensor)) for tensor in proto.graph.initializer}
    assert kept == dict(zip(params._fields, map(bits, tensors_of(params).values()), strict=True))


# What a model is asked


@scaled
@pytest.mark.parametrize("output", ["sigmoid", "identity"])
def test_answers_and_score_are_those_of_the_scaled_rows_also_on_a_backend(backend, output, standardized):
    """Scaling of the target moves its cost by the square of the deviation, and R² not at all."""
    X, y = nn.load_marks()
    X, y = X[:2], y if output == "sigmoid" else X[2:] * 1000
    meaning = {"standardization": nn.standardization(X)} if standardized else {}
    if standardized and output == "identity":
        meaning["target_scale"] = nn.standardization(y)
    model = nn.Model(draw((2, 4, 1), backend.dtype), output, **meaning)
    yhat, tolerance = answers(model, X), TOLERANCE[backend.dtype]
    if output == "sigmoid":
        expected = metrics.log_loss(y[0], yhat[0]), metrics.accuracy_score(y[0], yhat[0] >= 0.5), np.nan
    else:
        unit = meaning["target_scale"].deviation.item() if standardized else 1.0
        expected = metrics.mean_squared_error(y, yhat) / unit**2 / 2, np.nan, metrics.r2_score(y[0], yhat[0])
        tolerance *= 10
    for given in (X, backend.asarray(X)):
        answer = model.predict_proba(given, backend=backend.backend)
        assert isinstance(answer, np.ndarray)
        assert answer.dtype == ("float64" if "target_scale" in meaning else backend.dtype)
        assert_answers(answer, yhat, backend.dtype)
        reached = model.score(given, backend.asarray(y), backend=backend.backend)
        assert reached == pytest.approx(expected, rel=tolerance, nan_ok=True)


@scaled
def test_other_features_are_refused(standardized):
    """Scaling may not stretch a lone row over all the network's inputs."""
    X, y = nn.load_marks()
    model = nn.Model(draw(), standardization=nn.standardization(X) if standardized else None)
    for wrong in (X.T, X[0], X[:1], X[:2], X[None]):
        for ask in (model.predict_proba, lambda X: model.score(X, y)):
            with pytest.raises(nn.DataError, match=r"^X has shape .*; expected \(n0, m\) with n0 = 3"):
                ask(wrong)
    for wrong in ("abc", [[1, 2], [3]], [["a"], ["b"], ["c"]], None):
        with pytest.raises(nn.NNBackendError):
            model.predict_proba(wrong)
    with pytest.raises(Exception, match="invalid dimensions"):
        ask_onnx(model, draw_features(4))
