"""Checkpoints: a run that was cut anywhere goes on to the same bits; another run, or a damaged file, is refused."""

import contextlib
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest
from places import Place

import nn_backend as nn
from nn_backend import descent, run, tensors
from nn_backend.equations import OUTPUTS
from nn_backend.optimizers import OPTIMIZERS

PATH = "run.safetensors"
GENERATOR = np.random.default_rng(0)
X, X_HELD = GENERATOR.standard_normal((3, 50)), GENERATOR.standard_normal((3, 30))
WEIGHTS = GENERATOR.random(50)
STARTS = [nn.init_params(3, 4, 2, seed=seed, factor=0.5) for seed in range(5)]
MANY = nn.Params(*map(np.stack, zip(*STARTS, strict=True)))


def truth(X: np.ndarray, output: str = "sigmoid") -> np.ndarray:
    numbers = np.stack([X[0] + np.sin(3 * X[1]), X[1] * X[2]])
    classes = numbers > numbers.mean(axis=0) if output == "softmax" else numbers > 0
    return numbers if output == "identity" else classes.astype(float)


Y = truth(X)
ENDING: dict[str, Any] = {  # of five networks one diverges, one reaches tol, two overfit, and the last goes on
    "optimizer": "nesterov",
    "learning_rate": np.array([0.2, 1e308, 3, 0.1, 0.02]),
    "tol": np.array([0, 0, 0, 0.1, 0]),
    "validation": (X_HELD, truth(X_HELD)),
    "patience": 3,
    "check_every": 4,
}


def bits(arrays: dict[str, np.ndarray]) -> list[Any]:
    return [(name, array.shape, array.dtype, array.tobytes()) for name, array in arrays.items()]


def assert_same(one: nn.FitResult, other: nn.FitResult) -> None:
    """Compare all that a run reaches, bit by bit."""
    assert one.history.equals(other.history)
    for name in ("status", "iterations", "best_iteration", "score"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert bits(one.state.arrays()) == bits(other.state.arrays())
    assert bits(one.params._asdict()) == bits(other.params._asdict())


# --- the same bits ---


@pytest.mark.parametrize("at", [20, 23], ids=["at a row", "between rows"])
@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_resumed_run_is_the_uninterrupted_one(folder: Path, optimizer: str, output: str, at: int) -> None:
    y = truth(X, output)
    options = {"output": output, "optimizer": optimizer, "alpha": 0.1, "weights": WEIGHTS, "log_every": 10}
    whole = nn.fit(X, y, STARTS[0], iterations=45, **options)
    nn.fit(X, y, STARTS[0], iterations=at, checkpoint=PATH, threads=1, **options)
    assert_same(nn.fit(X, y, STARTS[0], iterations=45, resume=PATH, threads=2, **options), whole)
    assert [*folder.iterdir()] == [folder / PATH]


@pytest.mark.parametrize("at", [8, 27, 60])
@pytest.mark.parametrize("engine", ["eager", "compiled"])
def test_networks_that_have_ended_stay_so(folder: Path, engine: str, at: int) -> None:
    options = {"engine": engine, **ENDING}
    whole = nn.fit(X, Y, MANY, iterations=60, **options)
    assert {*whole.status} == {"done", "diverged", "tol", "patience"}
    first = nn.fit(X, Y, MANY, iterations=at, checkpoint=PATH, **options)
    assert (first.status != "done").any()
    assert_same(nn.fit(X, Y, MANY, iterations=60, resume=PATH, checkpoint=PATH, **options), whole)
    assert_same(nn.fit(X, Y, MANY, iterations=60, resume=PATH, **options), whole)  # what is over stays over


def test_resumes_on_every_backend(backend: Place, folder: Path) -> None:
    start = nn.Params(*(array.astype(backend.dtype) for array in STARTS[0]))
    options = {"optimizer": "rprop", "backend": backend.backend, "engine": "eager", "log_every": 5}
    whole = nn.fit(X, Y, start, iterations=12, **options)
    nn.fit(X, Y, start, iterations=7, checkpoint=PATH, **options)
    assert_same(nn.fit(X, Y, start, iterations=12, resume=PATH, **options), whole)


def test_a_run_that_begins_with_a_memory_resumes(folder: Path) -> None:
    begun, other = (nn.fit(X, Y, STARTS[0], optimizer="adam", iterations=k).state for k in (5, 6))
    whole = nn.fit(X, Y, begun, optimizer="adam", iterations=20)
    nn.fit(X, Y, begun, optimizer="adam", iterations=9, checkpoint=PATH)
    assert_same(nn.fit(X, Y, begun, optimizer="adam", iterations=20, resume=PATH), whole)
    with pytest.raises(nn.ArgumentError, match="cannot be resumed: memory differ; expected the same"):
        nn.fit(X, Y, nn.State(begun.params, other.memory), optimizer="adam", iterations=20, resume=PATH)


def test_other_rows_may_be_logged_and_more_iterations_done_but_no_fewer(folder: Path) -> None:
    nn.fit(X, Y, STARTS[0], iterations=20, log_every=10, checkpoint=PATH)
    result = nn.fit(X, Y, STARTS[0], iterations=90, log_every=30, resume=PATH)
    assert result.history["iteration"].tolist() == [0, 10, 20, 30, 60, 90]
    whole = nn.fit(X, Y, STARTS[0], iterations=90)
    assert bits(result.params._asdict()) == bits(whole.params._asdict())
    with pytest.raises(nn.ArgumentError, match=rf"iterations is 19; expected at least 20, as {PATH} has"):
        nn.fit(X, Y, STARTS[0], iterations=19, resume=PATH)


def test_ctrl_c_at_any_moment_leaves_a_run_that_resumes(folder: Path) -> None:
    """Raise KeyboardInterrupt wherever CPython may in `fit`, in turn: as functions begin, and after calls into C."""
    options = {"iterations": 17, **ENDING}
    whole = nn.fit(X, Y, MANY, **options)
    seen, due, interrupted = 0, 0, 0

    def interrupt(frame: FrameType, event: str, argument: object) -> None:
        nonlocal seen
        if event in ("call", "c_return") and frame.f_code.co_filename in (descent.__file__, run.__file__):
            seen += 1
            if seen == due:
                raise KeyboardInterrupt

    def begin(iteration: int, score: nn.Score) -> None:
        if iteration == 0:
            sys.setprofile(interrupt)

    while seen == due:
        seen, due = 0, due + 1
        with contextlib.suppress(KeyboardInterrupt):  # of a run that is over, while it is saved or scored
            result = nn.fit(X, Y, MANY, checkpoint=PATH, callback=begin, **options)
            interrupted += result.interrupted
        sys.setprofile(None)
        assert_same(nn.fit(X, Y, MANY, resume=PATH, **options), whole)
    assert interrupted > 100


# --- when and where ---


@pytest.mark.parametrize(("every", "saved"), [(0, [0, 1, 2, 3, 4]), (1e9, [0, 0, 0, 0, 4])])
def test_is_written_at_the_start_and_end_and_as_often_as_wanted(folder: Path, every: float, saved: list[int]) -> None:
    """Whatever a process leaves that is killed, the run goes on from there."""
    left: list[bytes] = []

    def look(iteration: int, score: nn.Score) -> None:
        if iteration:
            left.append(Path(PATH).read_bytes())

    run = {"X": X, "y": Y, "params": STARTS[0], "iterations": 4, "log_every": 1}
    whole = nn.fit(**run, checkpoint=PATH, every=every, callback=look)
    for content, iteration in zip([*left, Path(PATH).read_bytes()], saved, strict=True):
        Path(PATH).write_bytes(content)
        assert tensors.read(PATH, "checkpoint")[1]["iteration"] == iteration
        assert_same(nn.fit(**run, resume=PATH), whole)


FULL = pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("missing/run", "missing/run cannot be written: No such file or directory"),
        pytest.param("/dev/full", "/dev/full cannot be written: No space left on device", marks=FULL),
        (PATH, r"safetensors is not installed.*nn-backend\[export\]"),
    ],
)
def test_what_cannot_be_written_is_found_before_the_training(
    folder: Path, path: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if path == PATH:
        monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    progress: list[int] = []
    with pytest.raises((nn.DataFileError, nn.MissingPackageError), match=reason):
        nn.fit(X, Y, STARTS[0], iterations=10, checkpoint=path, progress=progress.append)
    assert progress == []


# --- refusals ---

RATES = np.linspace(0.1, 0.5, 5)
SINGLE = nn.Params(*(array.astype(np.float32) for array in STARTS[0]))
WATCHED = {"validation": (X_HELD, truth(X_HELD)), "log_every": 5}


@pytest.mark.parametrize(
    ("then", "change", "differences"),
    [
        ({}, {"X": X + 1e-9}, ["data differ"]),
        ({}, {"y": 1 - Y}, ["data differ"]),
        ({}, {"weights": WEIGHTS}, ["data differ"]),
        ({}, {"params": STARTS[1]}, ["params differ"]),
        ({}, {"learning_rate": 0.3}, ["learning_rate was 0.2 and is 0.3"]),
        ({}, {"alpha": 1}, ["alpha was 0.0 and is 1.0"]),
        ({"tol": 1e-3}, {"tol": 0}, ["tol was 0.001 and is 0.0"]),
        ({}, {"output": "identity"}, ["output was 'sigmoid' and is 'identity'"]),
        ({}, {"engine": "eager"}, ["engine was 'compiled' and is 'eager'"]),
        ({}, {"optimizer": "nesterov"}, ["optimizer was 'gd' and is 'nesterov'", "momentum was None and is 0.9"]),
        ({"optimizer": "adam"}, {"optimizer": nn.adam(beta1=0.8)}, ["beta1 was 0.9 and is 0.8"]),
        ({}, {"params": SINGLE}, ["dtype was 'float64' and is 'float32'", "params differ", "data differ"]),
        ({}, WATCHED, ["validation differ", "patience was None and is 10", "check_every was None and is 5"]),
        (WATCHED, {"validation": (X_HELD, 1 - truth(X_HELD))}, ["validation differ"]),
        (WATCHED, {"validation": (*WATCHED["validation"], np.ones(30))}, ["validation differ"]),
        (WATCHED, {"patience": 3, "check_every": 2}, ["patience was 10 and is 3", "check_every was 5 and is 2"]),
        (WATCHED, {"log_every": 6}, ["check_every was 5 and is 6"]),  # by default, rows tell when to look
        # Numbers of many networks are not listed.
        ({"params": MANY, "learning_rate": RATES}, {"learning_rate": RATES[::-1]}, ["learning_rate differ"]),
    ],
)
def test_other_settings_are_refused_all_at_once(folder: Path, then: Any, change: Any, differences: list[str]) -> None:
    run = {"X": X, "y": Y, "params": STARTS[0], **then}
    nn.fit(**run, iterations=6, checkpoint=PATH)
    with pytest.raises(nn.ArgumentError, match=rf"^{PATH} cannot be resumed: .*; expected the same$") as refused:
        nn.fit(**{**run, **change}, iterations=12, resume=PATH)
    said = str(refused.value).removeprefix(f"{PATH} cannot be resumed: ").removesuffix("; expected the same")
    assert {*said.split("; ")} == {*differences}


def test_another_kind_of_file_is_refused_and_a_damaged_one(folder: Path) -> None:
    nn.save("model.safetensors", nn.Model(STARTS[0]))
    nn.fit(X, Y, STARTS[0], iterations=3, checkpoint=PATH)
    whole = Path(PATH).read_bytes()
    Path("changed").write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    for path, message in (
        ("model.safetensors", "model.safetensors holds a model; expected a checkpoint"),
        ("changed", "changed was changed or damaged after it was saved"),
        ("none", "none does not exist; expected a checkpoint saved by nn_backend"),
    ):
        with pytest.raises(nn.DataFileError, match=f"^{message}"):
            nn.fit(X, Y, STARTS[0], iterations=3, resume=path)
    with pytest.raises(nn.DataFileError, match=f"{PATH} holds a checkpoint; expected a model"):
        nn.load(PATH)
    assert nn.fit(X, Y, STARTS[0], iterations=3, resume=PATH).iterations == 3


def test_a_whole_file_whose_parts_do_not_fit_is_refused(folder: Path) -> None:
    nn.fit(X, Y, STARTS[0], iterations=3, checkpoint=PATH)
    arrays, meaning = tensors.read(PATH, "checkpoint")
    meaning = {name: meaning[name] for name in ("iteration", "status", "settings")}
    for lacking in ("state.w1", "iterations", "rows.iteration", "rows.score.cost"):
        tensors.write(PATH, "checkpoint", {name: arrays[name] for name in arrays if name != lacking}, meaning)
        with pytest.raises(nn.DataFileError, match=f"{PATH} holds no checkpoint that fits together"):
            nn.fit(X, Y, STARTS[0], iterations=3, resume=PATH)
