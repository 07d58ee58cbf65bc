"""Many networks at once: each has the bits it has alone, and a table, predictions and a file for all."""

import functools
import multiprocessing
import pickle
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from loky import ProcessPoolExecutor as LokyExecutor
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import GroupKFold, KFold, ShuffleSplit, StratifiedKFold

import nn_backend as nn
from nn_backend import grids, many, networks, tasks
from nn_backend.compiler import pool

OUTPUTS = ("sigmoid", "softmax", "identity")
OUTPUT = pytest.mark.parametrize("output", OUTPUTS)
MEASURE = {"sigmoid": "accuracy", "softmax": "accuracy", "identity": "r2"}
SETTING = {"n_hidden": 3, "optimizer": "rprop", "alpha": 0.5, "tol": 0.01, "iterations": 20, "seed": 1, "factor": 0.4}
M = 90


def rows_of(output: str) -> tuple[np.ndarray, np.ndarray]:
    """Features far from standardised, and what can be learned from them."""
    generator = np.random.default_rng(1)
    X = generator.standard_normal((3, M)) * [[1.0], [10.0], [0.1]] + [[5.0], [0.0], [-1.0]]
    y = np.stack([X[0] - 5 + X[1] / 20, X[2] * 7 + X[0] + 2]) + generator.standard_normal((2, M)) / 3
    if output == "identity":
        return X, y
    classes = np.concatenate([y, [np.full(M, 0.5)]]).argmax(axis=0)
    return X, (classes == np.arange(3)[:, None]).astype(float) if output == "softmax" else (y[:1] > 0) * 1.0


ROWS, BY = rows_of("sigmoid"), np.random.default_rng(2).choice(["b", "a", "d", "c"], M, p=[0.4, 0.1, 0.3, 0.2])


def alone(
    X: np.ndarray, y: np.ndarray, output: str, setting: Mapping[str, Any], *, standardize: bool = True, **options: Any
) -> tuple[nn.FitResult, nn.Standardization | None, nn.Standardization | None]:
    """What fit reaches with one network, whose rows these are, and how they were scaled."""
    drawn = {name: setting[name] for name in ("seed", "factor")}
    start = nn.init_params(len(X), setting["n_hidden"], len(y), **drawn, dtype=options.pop("dtype", "float64"))
    scale = nn.standardization(X) if standardize else None
    target_scale = nn.standardization(y) if output == "identity" else None
    given = {name: value for name, value in setting.items() if name not in ("n_hidden", *drawn)}
    X, y = X if scale is None else scale.apply(X), y if target_scale is None else target_scale.apply(y)
    return nn.fit(X, y, start, output=output, **given, **options), scale, target_scale


def assert_same(model: nn.Model, expected: tuple[Any, ...], row: Mapping[str, Any]) -> None:
    """Check a network, its scaling and its row of the table against what it is alone, to the bit."""
    result, *scales = expected
    for one, other in zip(model.params, result.params, strict=True):
        assert (one.dtype, one.tobytes()) == (other.dtype, other.tobytes())
    for scale, other in zip((model.standardization, model.target_scale), scales, strict=True):
        assert (scale is None) == (other is None)
        assert scale is None or all(a.tobytes() == b.tobytes() for a, b in zip(scale, other, strict=True))
    assert (row["iterations"], row["status"]) == (result.iterations, result.status)
    for name in ("cost", MEASURE[model.output]):
        assert row[name] == getattr(model, name) == getattr(result.score, name)


def same_bits(one: nn.Networks, other: nn.Networks) -> None:
    pd.testing.assert_frame_equal(one.table, other.table, check_exact=True)
    for model, twin in zip(one, other, strict=True):
        assert repr(model) == repr(twin)
        assert all(a.tobytes() == b.tobytes() for a, b in zip(model.params, twin.params, strict=True))


# Each network as it is alone

MIXED: list[dict[str, Any]] = [
    {"seed": 1},
    {"n_hidden": 2, "alpha": 0.1},
    {"optimizer": "gd", "learning_rate": 0.3, "tol": 0.05},
    {"n_hidden": 2, "iterations": 10},
    {"learning_rate": 0.1, "seed": 2, "factor": 0.2},
]
PARTS: dict[str, dict[str, Any]] = {
    "settings": {},
    "groups": {"by": BY},
    "resamples": {"bootstrap": 3},
    "shuffled": {"cv": [*ShuffleSplit(3, test_size=0.3, random_state=0).split(np.empty(M))]},
    "partition": {"cv": [*KFold(3, shuffle=True, random_state=0).split(np.empty(M))]},
    "gap": {"cv": [(np.arange(28), np.arange(30, M)), (np.arange(32, M), np.arange(30)), ([5, 3, 80, 1], [2])]},
}
KEYS = {"settings": [None], "groups": ["a", "b", "c", "d"]}  # of others, 0 to 2


def draw_counts(seed: int) -> np.ndarray:
    """Return how often each of three resamples has each row, (3, M)."""
    return np.random.RandomState(seed).multinomial(M, [1 / M] * M, 3)


@OUTPUT
@pytest.mark.parametrize(("standardize", "dtype"), [(True, "float64"), (False, "float64"), (True, "float32")])
@pytest.mark.parametrize("kind", PARTS)
def test_each_network_is_what_it_is_alone(kind: str, standardize: bool, dtype: str, output: str) -> None:
    X, y = rows_of(output)
    options = {"standardize": standardize, "dtype": dtype}
    found = nn.fit_many(X, y, MIXED, **PARTS[kind], **SETTING, **options)
    asked = [(setting, key) for setting in MIXED for key in KEYS.get(kind, [0, 1, 2])]
    for model, (_, row), (setting, key) in zip(found, found.table.iterrows(), asked, strict=True):
        told = {**SETTING, **setting}
        columns = {"max_iterations" if name == "iterations" else name: value for name, value in told.items()}
        columns |= {} if key is None else {found.part: key}
        assert row[[*columns]].to_dict() == columns
        own, held = PARTS[kind]["cv"][key] if "cv" in PARTS[kind] else (slice(None), None)
        own = key == BY if kind == "groups" else own
        weights = draw_counts(told["seed"])[key] if kind == "resamples" else None
        assert_same(model, alone(X[:, own], y[:, own], output, told, weights=weights, **options), row)
        for name in ("cost", MEASURE[output]) if held is not None else ():
            score = model.score(X[:, held], y[:, held])
            assert row[f"validation_{name}"] == pytest.approx(getattr(score, name), rel=1e-12)


@OUTPUT
def test_the_score_out_of_bag_is_of_the_mean_of_those_that_have_not_drawn_a_row(output: str) -> None:
    X, y = rows_of(output)
    found = nn.fit_many(X, y, {"n_hidden": [3, 2], "seed": [5, 8]}, bootstrap=3, **SETTING)
    votes = found.predict_proba(X).reshape(4, 3, *y.shape)
    for yhat, seed, score in zip(votes, [5, 8, 5, 8], found.oob_score, strict=True):
        absent = draw_counts(seed) == 0
        known = absent.any(axis=0)
        assert 0 < known.sum() < M
        mean = (yhat * absent[:, None]).sum(axis=0)[:, known] / absent.sum(axis=0)[known]
        if output == "identity":
            expected = r2_score(y[:, known].T, mean.T)
        else:
            labels = (each.argmax(axis=0) if output == "softmax" else each[0] >= 0.5 for each in (y[:, known], mean))
            expected = accuracy_score(*labels)
        assert score == pytest.approx(expected, rel=1e-12)
    single = nn.fit_many(X, y, bootstrap=3, **{**SETTING, "seed": 8})
    assert single.oob_score == found.oob_score[1]
    assert isinstance(single.oob_score, float)


@pytest.mark.parametrize(
    "options", [{}, {"bootstrap": 4}, {"by": np.arange(M) % 40}, {"cv": 3}, {"cv": 20, "standardize": False}]
)
def test_all_of_a_size_are_trained_by_one_call(options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    monkeypatch.setattr(tasks, "fit", lambda **given: made.append(1) or nn.fit(**given))
    found = nn.fit_many(*rows_of("identity"), {"seed": range(5), "n_hidden": [2, 3]}, iterations=1, **options)
    assert (found.table["status"] == "done").all()
    assert len(made) == 2


@OUTPUT
@pytest.mark.parametrize("by", [False, True])
def test_each_network_ends_where_its_validation_rows_say(output: str, by: bool) -> None:
    X, y = rows_of(output)
    y[:, 60:] = y[:, :30]  # nothing to be learned
    groups, fitted, watched = np.tile(["b", "a", "c"], M // 3), np.arange(60), np.arange(60, M)
    options: dict[str, Any] = {"validation": (X[:, watched], y[:, watched])}
    if by:
        options = {"validation": (*options["validation"], groups[watched]), "by": groups[fitted]}
    setting = {**SETTING, "tol": 0, "iterations": 60}
    looks = {"patience": 2, "check_every": 3}
    found = nn.fit_many(X[:, fitted], y[:, fitted], {"seed": range(4)}, **options, **looks, **setting)
    for model, (_, row) in zip(found, found.table.iterrows(), strict=True):
        own, held = (rows[groups[rows] == row["group"]] if by else rows for rows in (fitted, watched))
        given, target = (nn.standardization(rows[:, own]) for rows in (X, y))
        truth = target.apply(y[:, held]) if output == "identity" else y[:, held]
        told = {**setting, "seed": row["seed"], **looks, "validation": (given.apply(X[:, held]), truth)}
        expected = alone(X[:, own], y[:, own], output, told)
        assert_same(model, expected, row)
        assert row["best_iteration"] == expected[0].best_iteration < row["iterations"]
        assert row["validation_cost"] == expected[0].history["validation_cost"].min()
    assert found.table["best_iteration"].nunique() > 1
    best = found.table["validation_cost"].idxmin()
    assert found.best().params.w1.tobytes() == found.params.w1[best].tobytes()


def side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have threads train networks side by side, and executors have tasks, however small these are."""
    monkeypatch.setattr(many, "WORK", 1)
    monkeypatch.setattr(many, "EACH", 1)


@pytest.mark.parametrize("options", [{}, {"by": BY}, {"cv": 3}, {"cv": 3, "standardize": False}, {"bootstrap": 2}])
def test_in_whatever_company(options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    asked = functools.partial(nn.fit_many, *ROWS, {"n_hidden": [3, 2], "seed": range(5)}, iterations=20, **options)
    together = asked()
    with ThreadPoolExecutor(2) as executor:
        same_bits(together, asked(executor=executor))
    side_by_side(monkeypatch)
    same_bits(together, asked(threads=3))
    monkeypatch.setattr(many, "AT_ONCE", 3)
    monkeypatch.setattr(grids, "NUMBERS_AT_ONCE", 300)
    same_bits(together, asked())
    same_bits(together, pickle.loads(pickle.dumps(together)))


@pytest.mark.parametrize("options", [{}, {"by": BY}, {"cv": 3}, {"bootstrap": 2}])
def test_the_equations_as_written_reach_the_same(options: dict[str, Any]) -> None:
    told = {**SETTING, **options, "tol": 0, "optimizer": "gd", "learning_rate": 0.3}
    eager, compiled = (nn.fit_many(*ROWS, engine=engine, **told) for engine in ("eager", "compiled"))
    for one, other in zip(eager.params, compiled.params, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)
    assert eager.training["engine"] == "eager"


# What can be asked


def test_a_grid_may_be_written_in_three_ways() -> None:
    as_dict = nn.fit_many(*ROWS, {"n_hidden": [2, 3], "seed": range(2)}, iterations=5)
    listed = [{"n_hidden": n, "seed": s} for n in (2, 3) for s in (0, 1)]
    for other in (listed, pd.DataFrame(listed)):
        same_bits(as_dict, nn.fit_many(*ROWS, other, iterations=5))


def test_what_is_not_asked_has_a_default() -> None:
    rates = [{}, {"learning_rate": 0.3}, {"learning_rate": 0.3, "optimizer": "rprop"}]
    asked = pd.DataFrame([*rates, {"optimizer": nn.adam(beta1=0.8)}, {"optimizer": nn.adam(beta1=0.9)}])
    found = nn.fit_many(*ROWS, asked, iterations=2)
    assert found.table["optimizer"].tolist() == ["rprop", "gd", "rprop", "adam", "adam"]
    assert found.table["learning_rate"].tolist() == [0.01, 0.3, 0.3, 0.05, 0.05]
    assert found[3].cost != found[4].cost
    expected = {"n_hidden": 4, "alpha": 1.0, "tol": 1e-3, "max_iterations": 2, "seed": 3, "factor": 2 / 3**0.5}
    assert (found.table[[*expected]] == pd.Series(expected)).all(axis=None)
    assert nn.fit_many(*ROWS, learning_rate=0.3, iterations=1).table["optimizer"].tolist() == ["gd"]


def test_kinds_of_networks_follow_from_y() -> None:
    truth = {output: rows_of(output)[1] for output in OUTPUTS}
    asked = functools.partial(nn.fit_many, rows_of("sigmoid")[0], iterations=1)
    assert [asked(y).output for y in truth.values()] == [*truth]
    flat = truth["sigmoid"][0]
    same_bits(asked(flat), asked(flat[None]))
    assert asked(flat, output="identity").output == "identity"
    assert asked([flat, 1 - flat], output="sigmoid").output == "sigmoid"


def frame_of(output: str) -> pd.DataFrame:
    X, y = rows_of(output)
    words = np.array(["low", "high", "mid"])[y.argmax(axis=0)] if output == "softmax" else y[0]
    words = np.where(y[0] == 1, "yes", "no") if output == "sigmoid" else words
    return pd.DataFrame({"a": X[0], "b": X[1], "c": X[2], "y": words, "store": BY}, index=np.arange(M) * 2)


@OUTPUT
def test_a_frame_gives_the_same_networks_and_answers_on_its_index(output: str) -> None:
    frame, table = frame_of(output), nn.load_table(frame_of(output), target="y", features=["a", "b", "c"])
    by = pd.Series(BY, name="store")
    found = nn.fit_many(frame, "y", {"seed": [1, 2]}, by="store", iterations=5)
    arrays = nn.fit_many(table.X, table.y, {"seed": [1, 2]}, by=by, iterations=5)
    pd.testing.assert_frame_equal(found.table, arrays.table, check_exact=True)
    model = found["b"]
    assert (model.features, model.target, model.labels) == (("a", "b", "c"), "y", table.labels)
    shuffled = frame.sample(frac=1, random_state=1)[["store", "c", "b", "a", "y"]]
    answer = found.predict_proba(shuffled, by="store", reduce="mean").loc[frame.index]
    assert np.array_equal(np.atleast_2d(answer.to_numpy().T), arrays.predict_proba(table.X, by=by, reduce="mean"))
    assert isinstance(answer, pd.Series) == (output != "softmax")
    each = found.predict_proba(shuffled).loc[frame.index]
    assert np.array_equal(each.to_numpy().T.reshape(8, len(table.y), M), arrays.predict_proba(table.X))
    if output == "softmax":
        assert [*answer] == ["high", "low", "mid"]
        assert [*each][:4] == [(0, "high"), (0, "low"), (0, "mid"), (1, "high")]
    scores = found.score(shuffled, "y", by="store"), arrays.score(table.X, table.y, by)
    np.testing.assert_allclose(*scores, rtol=1e-12)


def test_a_splitter_is_given_groups_which_are_no_feature() -> None:
    frame, splitter = frame_of("sigmoid"), GroupKFold(4)
    features = frame.drop(columns="store")
    expected = nn.fit_many(features, "y", cv=splitter.split(features, None, BY), iterations=3)
    same_bits(expected, nn.fit_many(frame, "y", cv=splitter, groups="store", iterations=3))
    same_bits(expected, nn.fit_many(features, "y", cv=splitter, groups=BY, iterations=3))


@OUTPUT
def test_folds_by_number_are_those_of_scikit_learn(output: str, monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = rows_of(output)
    by_number = nn.fit_many(X, y, cv=3, iterations=3)
    splitter = KFold(3) if output == "identity" else StratifiedKFold(3)
    same_bits(by_number, nn.fit_many(X, y, cv=splitter, iterations=3))
    pairs = splitter.split(X.T, y.argmax(axis=0) if output == "softmax" else y[0])
    monkeypatch.setitem(sys.modules, "sklearn.model_selection", None)
    masks = ((np.isin(np.arange(M), train), test) for train, test in pairs)
    same_bits(by_number, nn.fit_many(X, y, cv=masks, iterations=3))
    with pytest.raises(nn.MissingPackageError, match="cv as a number needs scikit-learn: run"):
        nn.fit_many(X, y, cv=3, iterations=3)


def test_a_network_that_has_diverged_is_not_its_groups_best() -> None:
    found = nn.fit_many(*ROWS, {"seed": [0, 1]}, by=BY, iterations=5)
    table, own = found.table.copy(), found.table["group"] == "b"
    best = found.table["cost"][own].idxmin()
    table.loc[best, "status"] = "diverged"
    (other,) = set(table.index[own]) - {best}
    assert replace(found, table=table)["b"].training["seed"] == table["seed"][other]


def test_a_group_of_one_class_keeps_its_start() -> None:
    (X, y), by = rows_of("sigmoid"), BY
    y[:, by == "b"] = 1
    found = nn.fit_many(X, y, {"n_hidden": [2, 3]}, by=by, iterations=5)
    assert found.table["status"].tolist() == ["done", "one_class", "done", "done"] * 2
    assert found.table["iterations"].tolist() == [5, 0, 5, 5] * 2
    start = nn.init_params(3, 2, seed=3, factor=2 / 3**0.5)
    assert all(a.tobytes() == b.tobytes() for a, b in zip(found["b"].params, start, strict=True))
    assert found["b"].cost is None
    rest = nn.fit_many(X[:, by != "b"], y[:, by != "b"], {"n_hidden": [2, 3]}, by=by[by != "b"], iterations=5)
    assert rest.table["cost"].tolist() == found.table["cost"].dropna().tolist()
    nobody = nn.fit_many(X, np.ones(M), by=by, iterations=5)
    assert set(nobody.table["status"]) == {"one_class"}
    with pytest.raises(nn.DataError, match="no network has a number in column 'cost'"):
        nobody.best()
    constant = nn.fit_many(X, np.full(M, 7.5), by=by, iterations=50)
    assert "one_class" not in set(constant.table["status"])
    assert constant.predict_proba(X, by=by) == pytest.approx(7.5, abs=0.1)


def test_a_network_that_diverges_is_not_the_best() -> None:
    flat, steep = {"learning_rate": 1e-9, "factor": 9}, {"learning_rate": 1e308, "factor": 0.01}
    found = nn.fit_many(*rows_of("identity"), [flat, steep], iterations=9, alpha=1e6)
    assert found.table["status"].tolist() == ["done", "diverged"]
    assert found.table["cost"][1] < found.table["cost"][0] == found.best().cost


@pytest.mark.parametrize("threads", [1, 3])
def test_progress_counts_networks(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[float] = []

    def progress(done: float, total: int) -> None:
        assert (threading.current_thread(), total) == (threading.main_thread(), 6)
        seen.append(done)

    side_by_side(monkeypatch)
    asked = {"n_hidden": [2, 3], "seed": range(3)}
    nn.fit_many(*ROWS, asked, iterations=9, tol=0, threads=threads, progress=progress)
    assert sorted(seen) == seen
    assert [*dict.fromkeys(seen)][-1] == 6
    assert threads > 1 or [*dict.fromkeys(seen)] == [3, 6]


@pytest.mark.parametrize("fails", ["nobody", "the caller", "another thread"])
def test_ctrl_c_or_what_fails_in_one_thread_ends_all(fails: str, monkeypatch: pytest.MonkeyPatch) -> None:
    side_by_side(monkeypatch)
    ended, training = [], threading.Barrier(3)

    def fit(**given: Any) -> Any:
        training.wait(timeout=60)  # each has begun
        me = "the caller" if threading.current_thread() is threading.main_thread() else "another thread"
        if me == fails:
            raise nn.DataError("here")
        found = nn.fit(**given)
        ended.append(threading.get_ident())
        return found

    def interrupt(done: float, total: int) -> None:
        if fails == "nobody" and done > 0:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(tasks, "fit", fit)
    endless = {"iterations": 10**9, "tol": 0, "threads": 3, "progress": interrupt}
    asked = functools.partial(nn.fit_many, *ROWS, {"seed": range(3)}, **endless)
    if fails != "nobody":
        with pytest.raises(nn.DataError, match=r"^here$"):
            asked()
        return
    found = asked()
    assert found.table["status"].tolist() == ["interrupted"] * 3
    assert len({*ended}) == (found.table["iterations"] > 0).sum() == 3
    assert np.isfinite(found.table["cost"]).all()


def test_kinds_of_tasks_come_in_turn() -> None:
    kinds = {"a": 2, "b": 2, "c": 3, "d": 1}
    found = tasks.interleave(iter([f"{kind}{n}" for n in range(count)]) for kind, count in kinds.items())
    assert [*found] == ["a0", "b0", "a1", "c0", "b1", "d0", "c1", "c2"]


def test_where_the_system_starts_no_thread_one_trains_all(monkeypatch: pytest.MonkeyPatch) -> None:
    alone = nn.fit_many(*ROWS, {"seed": range(3)}, iterations=5)
    side_by_side(monkeypatch)

    def refuse(self: pool.Worker) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(pool.Worker, "__init__", refuse)
    same_bits(alone, nn.fit_many(*ROWS, {"seed": range(3)}, iterations=5, threads=3))


class Elsewhere(Executor):
    """Does the first tasks at once, and then is broken, or raises what is raised there."""

    def __init__(self, good: int, error: BaseException, at_submit: bool = False) -> None:
        self.left, self.error, self.at_submit, self.futures = good, error, at_submit, []

    def submit(self, function: Any, /, *arguments: Any, **options: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.futures.append(future)
        self.left -= 1
        if self.left >= 0:
            future.set_result(pickle.loads(pickle.dumps(function))(*pickle.loads(pickle.dumps(arguments)), **options))
        elif self.at_submit:
            raise self.error
        elif self.left == -1:
            future.set_exception(self.error)
        return future


@pytest.mark.parametrize("at_submit", [True, False])
@pytest.mark.parametrize("error", [BrokenExecutor("a worker died"), KeyError("lost"), KeyboardInterrupt()])
def test_an_executor_that_fails_loses_nothing_that_was_done(
    error: BaseException, at_submit: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    side_by_side(monkeypatch)
    executor = Elsewhere(3, error, at_submit)
    asked = functools.partial(nn.fit_many, *ROWS, {"seed": range(5)}, iterations=4)
    if isinstance(error, KeyboardInterrupt):
        found = asked(executor=executor)
    else:
        with pytest.warns(RuntimeWarning, match="the executor failed .*networks that it has not trained have the"):
            found = asked(executor=executor)
    assert found.table["status"].tolist() == ["done"] * 3 + ["interrupted"] * 2
    assert found.table["cost"].tolist()[:3] == asked().table["cost"].tolist()[:3]
    assert all(future.done() for future in executor.futures[3:] if not at_submit)
    with pytest.raises(nn.ArgumentError, match="learning_rate is -1"):  # what is wrong is said by workers too
        asked(executor=Elsewhere(3, nn.ArgumentError("learning_rate is -1"), at_submit))


def test_a_worker_that_is_killed_changes_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of real processes: what was done is returned, and the same as here."""
    side_by_side(monkeypatch)
    asked = functools.partial(nn.fit_many, *ROWS, {"seed": range(200)}, iterations=50)
    here = asked()
    with LokyExecutor(2) as pool:
        same_bits(here, asked(executor=pool))
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        same_bits(here, asked(executor=pool))

        def kill(done: float, total: int) -> None:
            for worker in pool._processes.values() if done > 9 else ():
                worker.kill()

        with pytest.warns(RuntimeWarning, match="the executor failed"):
            found = asked(executor=pool, progress=kill)
    done = found.table["status"] != "interrupted"
    assert 9 < done.sum() < 200
    pd.testing.assert_frame_equal(found.table[done], here.table[done], check_exact=True)


# What is done with them


@pytest.mark.parametrize("options", [{}, {"by": BY}, {"cv": 3}, {"bootstrap": 2}])
@OUTPUT
def test_all_answer_as_each_model_does(output: str, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = rows_of(output)
    found = nn.fit_many(X, y, {"n_hidden": [2, 3]}, iterations=5, **options)
    each = np.stack([model.predict_proba(X) for model in found])
    scores = np.array([model.score(X, y) for model in found]).T
    assert np.array_equal(found.predict_proba(X), each)
    np.testing.assert_array_equal(found.score(X, y), scores)
    for reduce in ("mean", "std"):
        assert np.array_equal(found.predict_proba(X, reduce=reduce), getattr(np, reduce)(each, axis=0))
    monkeypatch.setattr(networks, "CHUNK_BYTES", 8 * each[..., 0].size * 7)  # seven columns
    assert np.array_equal(found.predict_proba(X), each)


@OUTPUT
def test_groups_are_asked_each_its_own(output: str) -> None:
    X, y = rows_of(output)
    by = BY
    found = nn.fit_many(X, y, {"n_hidden": [2, 3]}, by=by, iterations=5)
    expected, one = np.empty((2, *y.shape)), nn.fit_many(X, y, n_hidden=2, by=by, iterations=5)
    for model, (k, row) in zip(found, found.table.iterrows(), strict=True):
        expected[k // 4][:, by == row["group"]] = model.predict_proba(X[:, by == row["group"]])
    assert found["c"].cost == found.table["cost"][found.table["group"] == "c"].min()
    assert np.array_equal(found.predict_proba(X, by), expected)
    assert np.array_equal(found.predict_proba(X, by, "std"), expected.std(axis=0))
    assert np.array_equal(one.predict_proba(X, by), expected[0])
    for name in ("cost", MEASURE[output]):
        np.testing.assert_allclose(getattr(found.score(X, y, by), name), found.table[name], rtol=1e-12)
    few = found.score(X[:, by == "d"], y[:, by == "d"], by[by == "d"])
    assert np.isnan(few.cost).tolist() == [True, True, True, False] * 2


def test_the_best_is_the_lowest_cost_or_the_highest_accuracy() -> None:
    found = nn.fit_many(*ROWS, {"seed": range(5), "alpha": [0.1, 5]}, iterations=10)
    assert found.best().cost == found.table["cost"].min()
    assert found.best("accuracy").accuracy == found.table["accuracy"].max()
    assert found[-1].cost == found[9].cost == found.table["cost"].iloc[9]
    assert found.best().training["seed"] == found.table["seed"][found.table["cost"].idxmin()]


@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("column", [None, "validation_accuracy", "cost"])
def test_the_best_setting_of_folds_is_trained_on_all_rows(column: str | None, standardize: bool) -> None:
    frame = frame_of("sigmoid").drop(columns="store")
    options = {"iterations": 20, "standardize": standardize}
    found = nn.fit_many(frame, "y", {"alpha": [30.0, 0.1, 3.0], "n_hidden": [2, 3]}, cv=4, **options)
    means = found.table.groupby(["alpha", "n_hidden"], sort=False)[column or "validation_cost"].mean()
    alpha, n_hidden = means.idxmax() if column == "validation_accuracy" else means.idxmin()
    expected = nn.fit_many(frame, "y", alpha=alpha, n_hidden=n_hidden, **options)[0]
    assert repr(found.best(column)) == repr(expected)


FILES: dict[str, Callable[[], nn.Networks]] = {
    "grid": lambda: nn.fit_many(*rows_of("softmax"), {"n_hidden": [3, 2, 3], "seed": [1, 2]}, iterations=3),
    "float32": lambda: nn.fit_many(*ROWS, {"seed": [1, 2]}, iterations=3, dtype="float32"),
    "groups": lambda: nn.fit_many(frame_of("identity"), "y", by="store", iterations=3),
    "numbered groups": lambda: nn.fit_many(*ROWS, by=np.arange(M) % 3, iterations=3, standardize=False),
    "folds": lambda: nn.fit_many(frame_of("softmax").drop(columns="store"), "y", cv=3, iterations=3),
    "resamples": lambda: nn.fit_many(*rows_of("identity"), bootstrap=3, iterations=3),
}


@pytest.mark.parametrize("kind", FILES)
def test_one_file_keeps_all_to_the_bit(kind: str, folder: Any) -> None:
    found = FILES[kind]()
    nn.save("a.safetensors", found)
    loaded = nn.load("a.safetensors")
    same_bits(found, loaded)
    assert (loaded.part, loaded.oob_score, loaded.training) == (found.part, found.oob_score, found.training)
    assert (loaded.features, loaded.target, loaded.labels) == (found.features, found.target, found.labels)
    nn.save("b.safetensors", FILES[kind]())
    nn.save("c.safetensors", loaded)
    first, *others = (folder / f"{name}.safetensors" for name in "abc")
    assert [other.read_bytes() for other in others] == [first.read_bytes()] * 2
    if kind == "folds":
        with pytest.raises(nn.ArgumentError, match="networks from a file have no rows to train on"):
            loaded.best()


# What is refused

FRAME = frame_of("sigmoid")
THREE_CLASSES = {"X": frame_of("softmax").drop(columns="store"), "y": "y"}
FAR = np.where(np.arange(M) < 9, 1e200, 0) * np.ones((3, 1))
WRONG = {
    nn.ArgumentError: [
        ({"hidden": 3, "grid": {"rate": [1]}}, "'hidden', 'rate' are not known; accepted: n_hidden, opt"),
        ({"grid": {"seed": 3}}, "seed of the grid is 3; expected a sequence"),
        ({"grid": {"optimizer": "gd"}}, "optimizer of the grid is 'gd'; expected a sequence"),
        ({"grid": {"seed": []}}, "the grid has no setting"),
        ({"grid": [{"seed": 1e3}, {"seed": None, "factor": True}]}, "factor is True; expected a finite"),
        ({"n_hidden": 2.5}, "n_hidden is 2.5; expected a whole number"),
        ({"optimizer": "sgd"}, "optimizer 'sgd' is not known"),
        ({"grid": {"alpha": [1, -1]}}, "alpha is .*; expected a finite number, at least 0"),
        ({"by": BY, "cv": 3}, "by and cv are given; expected one of by, cv and bootstrap"),
        ({"groups": BY}, "groups are given without cv"),
        ({"cv": 3, "validation": ROWS}, "validation and cv are both given"),
        ({"validation": ROWS, "by": BY}, r"tuple .*, with by \(X, y, groups\)"),
        ({"bootstrap": 0}, "bootstrap is 0; expected a whole number, at least 1"),
        ({"cv": []}, "cv has no fold, or one without rows; expected pairs of rows"),
        ({"cv": [(range(M), [])]}, "cv has no fold, or one without rows"),
        ({"by": "store"}, "by is 'store', a column's name, and X no data frame"),
        ({"by": pd.Series(BY, name="cost")}, "by is a column 'cost', which the .*; rename it"),
        ({**THREE_CLASSES, "output": "sigmoid"}, "output is 'sigmoid'; expected 'soft"),
        ({"output": "tanh"}, "output 'tanh' is not known"),
    ],
    nn.ArrayTypeError: [
        ({"validation": FRAME}, "validation is of type DataFrame; expected a tuple"),
        ({"X": FRAME}, "X is a data frame, and y is of type ndarray; expected a column"),
    ],
    nn.DataError: [
        ({"validation": (np.ones((2, 4)), np.ones((1, 4)))}, r"\(2, 4\), .* but for the last axis"),
        ({"validation": (np.ones((3, 1)), np.ones((1, 1)), ["d"]), "by": BY}, "group 'a' has no validation row"),
        ({"by": [1, 2]}, r"by has shape \(2,\); expected \(m,\) = \(90,\)"),
        ({"by": np.where(np.arange(M) == 4, np.nan, 1)}, "group, row 5: missing value"),
        ({"X": ROWS[0].T}, r"X has shape \(90, 3\) and y \(1, 90\); .* Pass X.T."),
        ({"X": np.full((3, M), np.nan)}, "X holds NaN or infinity"),
        ({"X": FRAME, "y": "z"}, "the data frame has 0 columns 'z'; its columns are 'a', 'b'"),
        ({"X": FAR, "by": np.arange(M) // 18}, "feature 1 lies between 0 and 1e"),
    ],
}


@pytest.mark.parametrize(("error", "change", "message"), [(e, *case) for e, cases in WRONG.items() for case in cases])
def test_wrong_input_is_one_clear_sentence(error: type[Exception], change: dict[str, Any], message: str) -> None:
    with pytest.raises(error, match=message):
        nn.fit_many(**{"X": ROWS[0], "y": ROWS[1], "iterations": 2, **change})


def test_wrong_questions_are_one_clear_sentence() -> None:
    (X, y), frame = ROWS, FRAME
    plain, grouped = nn.fit_many(X, y, iterations=1), nn.fit_many(frame, "y", by="store", iterations=1)
    for ask, error, message in (
        (
            lambda: nn.fit_many(X, y, {"n_hidden": [2, 3]}).params,
            nn.ArgumentError,
            "networks have 2, 3 hidden units and",
        ),
        (lambda: grouped["e"], nn.DataError, "store 'e' has no network; these have: 'a', 'b', 'c', 'd'"),
        (lambda: grouped.predict_proba(frame.assign(store="z"), by="store"), nn.DataError, "store 'z' has no network"),
        (lambda: grouped.predict_proba(frame.drop(columns="b")), nn.DataError, "the data frame lacks the column 'b'"),
        (lambda: plain.predict_proba(frame), nn.ArrayTypeError, "features have no names; expected an array"),
        (lambda: plain.predict_proba(X, by=BY), nn.ArgumentError, "by is given; expected None"),
        (lambda: plain.predict_proba(X, reduce="max"), nn.ArgumentError, "reduce is 'max'; accepted: None, mean, std"),
        (lambda: plain.predict_proba(X[:2]), nn.DataError, r"X has shape \(2, 90\); expected \(n0, m\) with n0 = 3"),
        (lambda: plain.score(X, y[:, 1:]), nn.DataError, r"y has shape \(1, 89\); expected \(n2, m\) = \(1, 90\)"),
        (lambda: plain[1], nn.ArgumentError, "there is no network 1; expected a row of the table, 0 to 0"),
        (lambda: plain["a"], nn.ArgumentError, "there is no network 'a'"),
        (lambda: plain.best("r2"), nn.ArgumentError, "column is 'r2'; accepted: cost, accuracy"),
        (lambda: plain.best("seed"), nn.ArgumentError, "column is 'seed'; accepted: cost, accuracy"),
    ):
        with pytest.raises(error, match=message):
            ask()
