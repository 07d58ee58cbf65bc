"""The command compare: what it measures, prints and refuses, without a GPU and with one that is played."""

import html
import json
import math
import platform
import random
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import array_api_compat.numpy
import numpy as np
import pytest
from commands import Run, files_in, run_command
from places import STRICT, require_gpu

import nn_backend as nn
from nn_backend import engines, timings
from nn_backend.backend import Backend
from nn_backend.commands import compare
from nn_backend.timings import Comparison, Contender, pays_from

NO_GPU = "There is no GPU in this test."
START = nn.init_params(3, 4)
CPU = nn.get_backend("cpu")
# Its arrays are NumPy's, and its name is not to be taken for CuPy's.
OTHER = Backend("cupynumeric", array_api_compat.numpy, device_name="NumPy by another name")


class Measured(Run):
    @property
    def table(self) -> list[dict[str, str]]:
        """The Markdown table, by the names of its columns."""
        lines = [line for line in self.out.splitlines() if line.startswith("|")]
        assert all(line.startswith("| ") and line.endswith(" |") for line in lines if line != lines[1])
        assert re.fullmatch(r"\|(-*:?-+:?\|)+", lines[1])
        names, ruler, *rows = ([cell.strip() for cell in line[1:-1].split("|")] for line in lines)
        assert len(set(names)) == len(names) == len(ruler)
        return [dict(zip(names, row, strict=True)) for row in rows]


def seconds_of(cell: str) -> float:
    number, unit = cell.split()
    return float(number) * {"µs": 1e-6, "ms": 1e-3, "s": 1.0}[unit]


@pytest.fixture(autouse=True)
def _hurry(monkeypatch) -> None:
    monkeypatch.setattr(timings, "ROUND_SECONDS", 0.0)
    monkeypatch.setattr(timings, "SETTLE_SECONDS", 0.0)
    monkeypatch.setattr(timings, "ROUNDS", 2)


@pytest.fixture
def run_here(run_main: Callable[..., Run]) -> Callable[..., Measured]:
    return lambda *arguments: Measured(*run_main(compare.main, *arguments))


@pytest.fixture
def play(monkeypatch) -> Callable[[Backend | None], None]:
    """Let a backend be what the name "gpu" stands for; None for no GPU."""

    def put(gpu: Backend | None) -> None:
        def get_backend(name: str) -> Backend:
            if name == "gpu" and gpu is None:
                raise nn.BackendUnavailableError(NO_GPU)
            return gpu if name == "gpu" else nn.get_backend(name)

        monkeypatch.setattr(compare, "get_backend", get_backend)

    put(None)
    return put


@pytest.fixture
def bind(monkeypatch) -> Callable[[Callable[..., Any]], None]:
    """Let a function take the place of the one that binds a contender to data: it is told who, and how many threads."""

    def put(function: Callable[..., Any]) -> None:
        monkeypatch.setattr(timings, "_bind", lambda who, X, y, start, threads: function(who, threads))

    return put


# What is printed


def test_the_example_of_its_help_on_a_machine_without_a_gpu():
    """In a process of its own and at its real pace. OpenBLAS is told which processor's kernels to run."""
    _, _, typed = compare._parser().epilog.partition(" compare ")
    done = Measured(*run_command("compare", *typed.split(), CUDA_VISIBLE_DEVICES="", OPENBLAS_CORETYPE="Nehalem"))
    assert (done.code, done.err) == (0, "")
    machine, missing = done.out.splitlines()[:2]
    versions = r"processor \S+, threads \d+, python 3\.\d+\.\S+, numpy 2\.\S+, blas \w.*"
    assert re.fullmatch(f"numpy: device cpu, {versions}", machine)
    if platform.machine() == "x86_64" and "openblas" in machine:
        assert re.search(r"blas openblas \d+\.\d+\.\S+ Nehalem$", machine)
    assert missing.startswith("Only engines of the CPU are compared. ")
    assert "\nTime per iteration of gradient descent, 3-4-1 network, float32:\n" in done.out
    assert "The GPU pays" not in done.out
    rows = done.table
    assert [list(row) for row in rows] == [["rows", "numpy eager", "numpy compiled", "same bits"]] * 2
    assert [(row["rows"], row["same bits"]) for row in rows] == [("300", "yes"), ("10,000", "yes")]
    assert all(1e-6 < seconds_of(row["numpy eager"]) < 1 for row in rows)
    assert 1e-8 < seconds_of(rows[0]["numpy compiled"]) < seconds_of(rows[1]["numpy compiled"]) < 1


@pytest.mark.parametrize("backend", [STRICT, OTHER, None], ids=["strict", "other", "real"])
def test_a_table_with_a_gpu(run_here, play, backend):
    """One that is played has no compiled engine."""
    gpu = backend or require_gpu()
    play(gpu)
    done = run_here("--rows", "5,2000")
    assert (done.code, done.err) == (0, "")
    numpy, other = done.out.splitlines()[:2]
    assert numpy.startswith("numpy: device cpu, ")
    assert other.startswith(f"{gpu.name}: device {gpu.device_name}")
    assert "Only engines of the CPU" not in done.out
    names = [f"{gpu.name} eager", *([] if backend else [f"{gpu.name} compiled"]), "transfer to the GPU"]
    for row, rows in zip(done.table, ["5", "2,000"], strict=True):
        assert list(row) == ["rows", "numpy eager", "numpy compiled", *names, "same bits"]
        assert (row["rows"], row["same bits"]) == (rows, "yes")
        assert all(seconds_of(row[name]) > 0 for name in names)
    closing = r"\n\nThe GPU pays (at none of these sizes|from (5|2,000) rows on) \(the faster engine of each, .*\)\.\n"
    assert re.search(closing + r"\Z", done.out)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("gpu", [None, STRICT, OTHER], ids=["none", "strict", "other"])
def test_json_is_one_complete_document_beside_the_picture(run_here, play, folder, gpu, dtype):
    play(gpu)
    typed = f"--rows 5,20 --hidden 3 --dtype {dtype} --threads 2 --json --plot times.svg"
    done = run_here(*typed.split())
    assert (done.code, done.err) == (0, "")
    document = json.loads(done.out)
    comparisons, machines = document.pop("comparisons"), document.pop("machines")
    machine = machines.pop("numpy")
    assert (machine["device"], machine["threads"], machine["numpy"]) == ("cpu", 2, np.__version__)
    assert machine["python"] == ".".join(map(str, sys.version_info[:3]))
    assert machines == ({gpu.name: {"device": gpu.device_name}} if gpu else {})
    pays = pays_from([Comparison(**measured) for measured in comparisons], gpu.name) if gpu else None
    expected = {"no_gpu": None if gpu else NO_GPU, "left_out": {}, "hidden": 3, "dtype": dtype}
    assert document == {**expected, "gpu_pays_from_rows": pays, "interrupted": False}
    names = ["numpy eager", "numpy compiled", *([f"{gpu.name} eager"] if gpu else [])]
    assert [measured["rows"] for measured in comparisons] == [5, 20]
    for measured in comparisons:
        assert list(measured["seconds"]) == names
        assert all(1e-9 < seconds < 1 for seconds in measured["seconds"].values())
        assert (measured["transfer_seconds"] is None, measured["same_bits"]) == (gpu is None, True)
    found = re.findall(r"<!-- (.*?) -->", html.unescape(Path("times.svg").read_text(encoding="utf-8")))
    for name in (*names, f"One iteration of gradient descent, 3-3-1 network, {dtype}"):
        assert found.count(name) == 1


def test_what_was_measured_is_printed_and_drawn_for_each_size_in_order_and_once(run_here, play, monkeypatch, folder):
    """Times have three digits and a unit."""
    script = {
        100: Comparison(100, {"numpy eager": 2.5e-5, "numpy compiled": 1e-6, "strict eager": 0.000999}, 2.19e-7, True),
        1000: Comparison(1000, {"numpy eager": 1e-4, "numpy compiled": 2e-4, "strict eager": 9.9e-5}, 9.996e-4, False),
        20000: Comparison(20000, {"numpy eager": 12.345, "numpy compiled": None, "strict eager": 0.9987}, 0.9996, None),
    }
    drawn = []
    play(STRICT)
    monkeypatch.setattr(compare, "compare", lambda rows, *rest: script.get(rows, Comparison(rows, {}, None, None)))
    monkeypatch.setattr(compare, "plot_times", lambda path, times, title: drawn.append(times))
    sizes = ("--rows", "1000, 100,20000,100 ")
    done = run_here(*sizes, "--plot", "times.png")
    assert [list(row.values()) for row in done.table] == [
        ["100", "25 µs", "1 µs", "999 µs", "0.219 µs", "yes"],
        ["1,000", "100 µs", "200 µs", "99 µs", "1 ms", "NO"],
        ["20,000", "12.3 s", "out of memory", "999 ms", "1 s", ""],
    ]
    assert done.out.endswith("\n\nThe GPU pays from 1,000 rows on (the faster engine of each, transfer not counted).\n")
    assert "\n\nThe GPU pays at none of these sizes (the faster " in run_here("--rows", "100").out
    given, default = (json.loads(run_here(*typed, "--json").out)["comparisons"] for typed in (sizes, ()))
    assert [Comparison(**measured) for measured in given] == [*script.values()]
    assert [measured["rows"] for measured in default] == [10**k for k in range(2, 8)]
    assert drawn == [
        {
            "numpy eager": [(100, 2.5e-5), (1000, 1e-4), (20000, 12.345)],
            "numpy compiled": [(100, 1e-6), (1000, 2e-4)],
            "strict eager": [(100, 0.000999), (1000, 9.9e-5), (20000, 0.9987)],
        }
    ]


def test_pays_from_is_what_its_words_say():
    """The smallest size from which on, at each where memory sufficed for any, the GPU has the fastest engine."""
    draw = random.Random(8)
    on_cpu, on_gpu = ["numpy eager", "numpy compiled", "cupy:10 eager"], ["cupy:1 eager", "cupy:1 compiled"]
    for _ in range(3000):
        sizes = [
            {name: draw.choice([1, 2, 3, None, None]) for name in on_cpu + on_gpu} for _ in range(draw.randint(0, 5))
        ]
        faster = {}
        for rows, times in enumerate(sizes, start=1):
            cpu, gpu = (min(times[name] or math.inf for name in names) for names in (on_cpu, on_gpu))
            if min(cpu, gpu) < math.inf:
                faster[rows] = gpu < cpu
        expected = min((rows for rows in faster if all(faster[k] for k in faster if k >= rows)), default=None)
        assert pays_from([Comparison(k, times, 0.1, None) for k, times in enumerate(sizes, 1)], "cupy:1") == expected


# Wrong use, Ctrl-C, memory that does not suffice


def test_auto_without_a_gpu_is_no_gpu(run_here, monkeypatch):
    monkeypatch.setattr(compare, "get_backend", lambda name: CPU)
    done = run_here("--rows", "5", "--device", "auto")
    assert done == (2, "", "error: --device is auto, which is the CPU here; expected a GPU, such as gpu or cupy:1\n")


@pytest.mark.parametrize("measured", [[], [5]])
@pytest.mark.parametrize("text", [("--json",), ()], ids=["json", "table"])
def test_ctrl_c_ends_it_with_the_sizes_so_far(run_here, play, monkeypatch, folder, text, measured):
    first = Comparison(5, {"numpy eager": 1e-4, "numpy compiled": 1e-5}, None, True)
    monkeypatch.setattr(compare, "compare", Mock(side_effect=[*[first] * len(measured), KeyboardInterrupt]))
    done = run_here("--rows", "5,20,30", "--plot", "times.svg", *text)
    assert (done.code, done.err) == (130, f"interrupted after {len(measured)} of 3 sizes\n")
    assert files_in(folder) == ["times.svg"] * len(measured)
    if text:
        document = json.loads(done.out)
        assert document["interrupted"]
        assert [comparison["rows"] for comparison in document["comparisons"]] == measured
    else:
        assert f"Only engines of the CPU are compared. {NO_GPU}\n" in done.out
        assert [int(row["rows"]) for row in done.table] == measured


@pytest.mark.parametrize("at", [0, 1, 2, 3], ids=["binding", "checking", "first round", "second round"])
@pytest.mark.parametrize("out", ["numpy eager", "numpy compiled", "strict eager"])
def test_who_runs_out_of_memory_has_no_time_and_the_others_go_on(run_here, play, bind, out, at):
    play(STRICT)

    def bind_for_few_calls(who: Contender, threads: int | None) -> Callable[[int], nn.Params]:
        if who.name != out:
            return lambda count: START
        if at == 0:
            raise MemoryError
        return Mock(side_effect=[START] * (at - 1) + [MemoryError])

    bind(bind_for_few_calls)
    done = run_here("--rows", "5,20")
    assert (done.code, done.err) == (0, "")
    names = {"numpy eager", "numpy compiled", "strict eager"}
    for row, rows in zip(done.table, ["5", "20"], strict=True):
        assert row["rows"] == rows
        assert row["same bits"] == ("" if out == "numpy compiled" and at < 2 else "yes")
        assert {name for name in names if row[name] == "out of memory"} == {out}
        assert all(seconds_of(row[name]) > 0 for name in names - {out})
    assert out != "strict eager" or "The GPU pays at none of these sizes" in done.out


@pytest.mark.parametrize(("gpu", "columns"), [(None, 2), (STRICT, 3)], ids=["none", "strict"])
def test_data_that_does_not_fit_has_a_row_without_times(run_here, play, monkeypatch, gpu, columns):
    play(gpu)
    monkeypatch.setattr(timings, "simulate_marks", Mock(side_effect=[nn.simulate_marks(5), MemoryError]))
    done = run_here("--rows", "5,20")
    assert (done.code, done.err) == (0, "")
    small, large = done.table
    assert seconds_of(small["numpy eager"]) > 0
    assert [*large.values()] == ["20", *["out of memory"] * columns, *[""] * (2 if gpu else 1)]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(
    ("differs", "same"),
    [
        (lambda who, threads: False, True),
        (lambda who, threads: threads == 1, False),
        (lambda who, threads: who.backend is OTHER, False),
        (lambda who, threads: who.engine == "eager", True),  # that promises none
    ],
    ids=["none", "one thread", "another backend", "eager"],
)
def test_one_last_bit_of_any_compiled_run_is_told(bind, differs, same, dtype):
    reached = nn.Params(*(array.astype(dtype) for array in START))
    b2 = np.nextafter(reached.b2, np.inf, dtype=dtype)
    bind(lambda who, threads: lambda count: reached._replace(b2=b2) if differs(who, threads) else reached)
    contenders = [Contender(CPU, "compiled"), Contender(OTHER, "compiled"), Contender(CPU, "eager")]
    assert timings.compare(50, reached, contenders, 2).same_bits is same
    assert timings.compare(50, reached, contenders[2:]).same_bits is None


# Measuring


def test_times_are_those_of_an_iteration(bind, monkeypatch):
    """Engines that take 1 and 4 ms for it; a round takes 50 ms."""
    monkeypatch.setattr(timings, "ROUND_SECONDS", 0.05)
    bind(lambda who, threads: lambda count: time.sleep(count * {"numpy": 0.004, OTHER.name: 0.001}[who.backend.name]))
    found = timings.compare(5, START, [Contender(CPU, "eager"), Contender(OTHER, "eager")])
    assert 0.004 <= found.seconds["numpy eager"] < 0.02
    assert 0.001 <= found.seconds[f"{OTHER.name} eager"] < 0.01


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_same_data_and_all_options_reach_the_engines(run_here, play, monkeypatch, dtype):
    play(STRICT)
    bound = []
    monkeypatch.setattr(engines, "bind", Mock(wraps=engines.bind))
    assert run_here(*f"--rows 5 --dtype {dtype} --hidden 2 --threads 3".split()).code == 0
    for (engine, examples, params), options in engines.bind.call_args_list:
        backend = options["backend"]
        for array, expected in zip(examples.arrays().values(), nn.simulate_marks(5), strict=True):
            np.testing.assert_array_equal(backend.to_numpy(array), expected.astype(dtype), strict=True)
        assert (backend.to_numpy(params.w1).dtype.name, params.w1.shape) == (dtype, (2, 3))
        bound.append((backend.name, engine, options["threads"]))
    expected = [("numpy", "eager", 3), ("numpy", "compiled", 3), ("numpy", "compiled", 1)]  # the last for its bits
    assert bound == [*expected, ("strict", "eager", 3)]


def test_contenders_take_turns_and_the_median_of_the_rounds_counts(monkeypatch):
    times = iter([9.0, 90.0, 1.0, 10.0, 2.0, 20.0])
    monkeypatch.setattr(timings, "ROUNDS", 3)
    monkeypatch.setattr(timings, "_time_iteration", lambda advance: next(times))
    found = timings.compare(5, START, [Contender(CPU, "eager"), Contender(STRICT, "eager")])
    assert found.seconds == {"numpy eager": 2.0, "strict eager": 20.0}


def test_rounds_start_once_the_machine_has_settled(bind, monkeypatch):
    """What takes long enough at once is repeated for as long as is asked, and the last time counts."""
    monkeypatch.setattr(timings, "SETTLE_SECONDS", 0.15)
    monkeypatch.setattr(timings, "ROUNDS", 1)
    begun = []

    def slow_at_first(count: int) -> None:
        begun.append(time.monotonic())
        time.sleep(0.06 if begun[-1] - begun[0] < 0.1 else 0.001)

    bind(lambda who, threads: slow_at_first)
    assert timings.compare(5, START, [Contender(CPU, "eager")]).seconds["numpy eager"] < 0.05


def test_transfers_are_timed_and_waited_for():
    """A device that takes 2 ms for an array, and is asked whether it is done."""
    asked = []

    class Slow(Backend):
        def asarray(self, values, dtype=None):
            time.sleep(0.002)
            return super().asarray(values, dtype)

        def synchronize(self):
            asked.append(True)

    slow = Slow("slow", STRICT.xp, STRICT.device, "slow", STRICT.host)
    found = timings.compare(5, START, [Contender(CPU, "eager"), Contender(slow, "eager")])
    assert 0.004 <= found.transfer_seconds < 0.1
    assert asked
    assert math.isfinite(found.seconds["slow eager"])
