"""The printed CUDA kernels: the interpreter's bits when run on the CPU, and compiled by NVRTC for real devices."""

import contextlib
import functools
import json
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
from cuda_on_cpu import ORDERS, CudaError, compile_cuda, require_compiler
from methods import CPU, KINDS, METHODS, WAYS, ending, ends_right, interpreted, problem, run_packed, together
from places import Device, require_gpu

import nn_backend as nn
from nn_backend import engines, timings
from nn_backend.backend import Backend
from nn_backend.commands import compare
from nn_backend.compiler import device
from nn_backend.compiler.cuda import COLUMNS, WIDE_THREADS, Printer
from nn_backend.compiler.interpreter import add_tree, interpret
from nn_backend.compiler.plan import Plan
from nn_backend.compiler.program import STRIP, TILE, Program
from nn_backend.engines import Examples, compiled
from nn_backend.equations import SIGMOID
from nn_backend.errors import ArgumentError, BackendUnavailableError
from nn_backend.network import compute_layer
from nn_backend.optimizers import State

DTYPE = pytest.mark.parametrize("dtype", ["float32", "float64"])
ORDER = pytest.mark.parametrize("order", ORDERS)
ARTICLE = (3, 4, 1)


def program(task: str, sizes: tuple[int, int, int], dtype: str) -> Program:
    whole = compiled.program(task.removeprefix("endless "), *sizes, dtype)
    return whole._replace(endings={}) if task.startswith("endless") else whole


@functools.cache
def source(task: str = "step", sizes: tuple[int, int, int] = ARTICLE, dtype: str = "float32") -> str:
    return Printer(Plan(program(task, sizes, dtype))).print()


@functools.cache
def drawn(task: str, sizes: tuple[int, int, int], dtype: str, m: int, iterations: int, spans: Any) -> tuple[Any, ...]:
    """Return examples, the state and numbers of each network, and what the interpreter makes of its examples."""
    meant, generator, networks = program(task, sizes, dtype), np.random.default_rng(m), len(spans)
    examples = {value.attribute: generator.standard_normal((value.rows, m)) * 3 for value in meant.examples}
    if "y" in examples:
        examples["y"] = examples["y"] > 0
    state = {value.attribute: generator.standard_normal((networks, *value.shape)) for value in meant.state}
    numbers = {"m": np.full(networks, m), "learning_rate": np.linspace(0.5, 1, networks)}
    for arrays in (examples, state, numbers):
        arrays.update({name: array.astype(dtype) for name, array in arrays.items()})
    expected = []
    for n, (first, count) in enumerate(spans):
        mine = {name: array[:, first : first + count] for name, array in examples.items()}
        own = [{name: array[n] for name, array in part.items()} for part in (state, numbers)]
        expected += interpreted(meant, mine, *own, iterations)[:1] if meant.is_step else [interpret(meant, mine, *own)]
    return examples, state, numbers, expected


def agrees(task: str, sizes: tuple[int, int, int], dtype: str, m: int, iterations: int = 1, spans: Any = None) -> bool:
    """Whether the kernels give the interpreter's bits."""
    known = spans or ((0, m),)
    examples, state, numbers, expected = drawn(task, sizes, dtype, m, iterations, known)
    kernel = device.Kernel(program(task, sizes, dtype))
    run = kernel.bind(device.Examples(examples), len(known), spans and np.array(spans))
    packed, outputs = run_packed(run, kernel.plan, len(known), state, numbers, iterations)
    for n, (_, count) in enumerate(known):  # the first of its examples, and how many it has
        found = kernel.plan.results.unpack(packed[n])
        own, outputs = np.split(outputs, [-(-count // STRIP)])
        columns = own.swapaxes(0, 1).reshape(own.shape[1], len(own) * STRIP)
        assert not columns[:, count:].any()
        for name, value in kernel.plan.program.results.items():
            if value.varies:
                first = kernel.plan.outputs.first[value]
                found[name] = columns[first : first + value.rows, :count]
        if any(found[name].tobytes() != array.tobytes() for name, array in expected[n].items()):
            return False
    return True


@dataclass
class Driver:
    """How kernels run on the CPU, and what was asked of them."""

    set: Callable[[str, Any], None]  # a constant of `compiler.device`, until the test ends
    order: str = "forward"  # in which threads run
    edit: Callable[[str], str] = str  # what is done to the source before it is compiled
    launches: list[tuple[str, int]] = field(default_factory=list)  # kernel and blocks of each
    wait: Mock = field(default_factory=Mock)


class LoadedModule:
    """A module of kernels."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    def load(self, source: str) -> None:
        self._module = compile_cuda(self._driver.edit(source))

    def get_function(self, name: str) -> Any:
        def function(grid: tuple[int], block: tuple[int], arguments: Sequence[Any], shared_mem: int = 0) -> None:
            assert shared_mem <= function.ptr["dynamic"]
            self._driver.launches.append((name, *grid))
            self._module.launch(name, *grid, *block, arguments, shared_mem, self._driver.order)

        function.ptr = {"dynamic": 48 * 1024}  # bytes that it has without asking for more
        return function


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Driver:
    """Play what `compiler.device` asks of CuPy, with arrays in the host's memory and kernels that run on the CPU."""
    require_compiler()
    played = Driver(set=functools.partial(monkeypatch.setattr, device))
    cuda = SimpleNamespace(
        Device=lambda: SimpleNamespace(compute_capability="90", attributes={"MaxSharedMemoryPerBlockOptin": 232_448}),
        driver=SimpleNamespace(
            CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES="dynamic",
            funcSetAttribute=lambda function, attribute, value: function.update({attribute: value}),
        ),
        get_current_stream=lambda: SimpleNamespace(synchronize=played.wait),
    )
    arrays = {name: getattr(np, name) for name in ("asarray", "zeros", "concatenate")}
    cupy = SimpleNamespace(**arrays, empty=lambda shape, dtype: np.full(shape, np.nan, dtype), cuda=cuda)
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    monkeypatch.setitem(sys.modules, "cupy.cuda", cuda)
    module = SimpleNamespace(Module=functools.partial(LoadedModule, played))
    monkeypatch.setitem(sys.modules, "cupy.cuda.function", module)
    monkeypatch.setattr(device, "compile_cubin", lambda source, architecture: source)
    return played


@pytest.fixture(params=[True, False], ids=["small", "large"])
def small(request: pytest.FixtureRequest, driver: Driver) -> bool:
    """Whether data is taken for small, of which one launch does all."""
    driver.set("SMALL", 1e9 if request.param else 0)
    return request.param


@pytest.fixture
def gpu(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> Backend:
    """Return a backend of that driver, whose device is current only where the package makes it so."""
    second, cupy, xp = Device(), sys.modules["cupy"], ModuleType("cupy")
    xp.__dict__.update(vars(np), __name__="cupy", asarray=lambda values, dtype, device: np.array(values, dtype))
    for module, names in ((cupy, "asarray zeros empty"), (cupy.cuda, "Device"), (xp, "asarray isfinite")):
        for name in names.split():
            setattr(module, name, second.demanded(getattr(module, name)))
    monkeypatch.setattr(LoadedModule, "load", second.demanded(LoadedModule.load))
    monkeypatch.setattr(compiled, "kept", functools.cache(lambda make, *arguments: make(*arguments)))
    return Backend("cupy:1", xp, second)


@ORDER
@DTYPE
@pytest.mark.parametrize("m", [1, 31, 33, 129, 700])
def test_kernels_give_the_interpreters_bits(small: bool, m: int, dtype: str, order: str, driver: Driver) -> None:
    driver.order = order
    assert agrees("step", ARTICLE, dtype, m, 2)
    assert agrees("score", ARTICLE, dtype, m)
    launched = {"run_tiles"} if small or m < TILE else {"run_tiles", "add_runs", "follow"}
    assert {name for name, _ in driver.launches} == launched


@DTYPE
@pytest.mark.parametrize("task", ["step", "score", "yhat"])
@pytest.mark.parametrize("sizes", [(1, 1, 1), (2, 3, 2), (30, 8, 2)])
def test_networks_of_other_sizes(sizes: tuple[int, int, int], task: str, dtype: str, driver: Driver) -> None:
    for m, driver.order in ((32, "forward"), (127, "random"), (300, "backward")):
        assert agrees(task, sizes, dtype, m, 2)


@ORDER
@pytest.mark.parametrize(("tiles", "blocks", "runs"), [(73, 1024, 73), (16, 8, 8), (17, 8, 5), (23, 4, 3)])
def test_each_block_has_a_run_of_tiles(tiles: int, blocks: int, runs: int, order: str, driver: Driver) -> None:
    driver.set("MAX_BLOCKS", blocks)
    driver.set("SMALL", 0)
    driver.order = order
    for m in ((tiles - 1) * TILE + 1, tiles * TILE):
        assert agrees("step", (1, 1, 1), "float32", m)
    assert driver.launches[0] == ("run_tiles", runs)


@pytest.mark.parametrize("task", ["step", "score", "yhat"])
def test_each_network_has_its_own_examples(task: str, small: bool, driver: Driver) -> None:
    driver.set("MAX_BLOCKS", 2)  # fewer than networks: a block has several, one after the other
    driver.set("LAUNCH", 1)
    spans = (0, 700), (64, 1), (96, 129), (32 * 10, 300), (0, 513)
    for driver.order in ORDERS:
        assert agrees(task, (2, 3, 2), "float32", 700, 2, spans)
    launched = [blocks for name, blocks in driver.launches if name == "run_tiles"]
    assert launched == [2] * len(launched) if small else set(launched) == {1, 2}
    assert driver.wait.call_count == len(ORDERS) * (1 if small else len(spans) * 2)


@pytest.mark.parametrize(("name", "dtype"), [*zip(METHODS, ["float32", "float64"] * 6, strict=True)])
def test_every_way_to_train(name: str, dtype: str, small: bool, driver: Driver) -> None:
    given = problem(name, 300, dtype)
    kernel = device.Kernel(given.program("step"))
    driver.order = "forward" if small else "random"
    run = kernel.bind(device.Examples(given.arrays), 1)
    state, _ = run_packed(run, kernel.plan, 1, given.state.arrays(), given.rounded(), 4)
    expected, *_ = given.reached(4)
    for key, array in kernel.plan.state.unpack(state[0]).items():
        assert array.tobytes() == expected[key].tobytes(), key


@ORDER
@pytest.mark.parametrize(("kind", "output"), [*zip(KINDS, [*WAYS, "softmax", "identity"], strict=True)])
def test_each_network_has_its_own_rows_weights_and_fold(
    kind: str, output: str, order: str, small: bool, gpu: Backend, driver: Driver
) -> None:
    driver.set("MAX_BLOCKS", 4)
    driver.order = order
    assert_same_fit(gpu, together, kind, output, "float32", iterations=3, log_every=2)


# A kernel that breaks a rule, which the comparisons notice.

BROKEN = {  # what is in the source, and what stands there instead
    "mask of a half-warp": (r"0xffffu << j / 16 \* 16", "0xffffffffu"),
    "halving": (r", 8, 16\)", ", 4, 16)"),
    "one rounding": (r"__fmaf_rn\((\w+), (\w+), (\w+)\)", r"__fadd_rn(__fmul_rn(\1, \2), \3)"),
    "missing examples": (r"here = .*;", "here = true;"),
    "strips that are there": (r"\(left \+ 31\) / 32", "4"),
    "last tile": (r"m - first < TILE \? .* : TILE", "TILE"),
    "order of merging": (r"n % 2 == 0;", "top - SUMS > stack;"),
    "missing runs": (r"first \+ \(r \+ w\) \* width < n", "true"),
    "order of runs": (
        r"runs\[r\] = add\(.*",
        "if (r == 0) for (int q = w; q < 2 * w; ++q) runs[0] = add(runs[0], runs[q]);",
    ),
    "a block's share": (r"share && .* : left", "left"),
    "a barrier that some threads reach": (r"if \(strip < strips\) \{", r"\g<0> __syncthreads();"),
    "an end ignored": (r"\) reached = \d;", ") reached = 0;"),
    "an end of one thread": (r"__syncthreads_or\((.*)\)\)", r"(\1))"),
    "an end, and the step taken": (r"if \(reached\) return true;", ""),
    "an end, and the step counted": (r"(if \(reached\) .*\n)(.*\+\+progress.*\n)", r"\2\1"),
    "going on after an end": (r"progress\[2 \* n\] \? 0 : iterations", "iterations"),
    "going on after an end of large data": (r"if \(progress\[2 \* n\]\) return;", ""),
}
BARRIERS = source().count("__syncthreads();")


def tree_holds(text: str, dtype: str, n: int, order: str) -> bool:
    """Whether the first rows of n stacks are added as `add_tree` does."""
    sums, results = (int(re.search(rf"int {name} = (\d+)", text)[1]) for name in ("SUMS", "RESULTS"))
    rows = 3
    work = np.random.default_rng(n).standard_normal((n, rows * sums + results)).astype(dtype)
    work[:, :9] = -0.0
    meant, given = add_tree(work[:, :sums]), (work, np.int32(rows), np.int32(n))
    compile_cuda(text).launch("add_runs", sums // COLUMNS, WIDE_THREADS, given, order=order)
    return work[0, :sums].tobytes() == meant.tobytes()


def checks(dtype: str, driver: Driver) -> Iterator[bool]:
    """Yield whether kernels give the interpreter's bits and ends, in every order of threads."""
    many, ended = ending(dtype)
    text = driver.edit(source(dtype=dtype))
    for driver.order in ORDERS:
        yield from (tree_holds(text, dtype, n, driver.order) for n in (1, 2, 3, 8, 9, 20, 65, 1024))
        for small, task, iterations in ((1e9, "step", 3), (0, "step", 1), (1e9, "endless step", 1)):
            driver.set("SMALL", small)
            yield agrees(task, ARTICLE, dtype, 700, iterations)
        for small in (1e9, 0):
            driver.set("SMALL", small)
            yield ends_right(device.Kernel(many.program("step")), device.Examples(many.arrays), many, ended)


@DTYPE
def test_runs_are_added_as_a_tree_and_each_network_ends_by_itself(dtype: str, driver: Driver) -> None:
    assert all(checks(dtype, driver))


@pytest.mark.parametrize("rule", [*BROKEN, *range(BARRIERS)])
def test_a_broken_rule_or_a_missing_barrier_is_noticed(rule: str | int, driver: Driver) -> None:
    def leave_out_barrier(text: str) -> str:
        pieces = text.split(barrier := "__syncthreads();")
        return barrier.join(pieces[: rule + 1]) + barrier.join(pieces[rule + 1 :])

    driver.edit = leave_out_barrier if isinstance(rule, int) else functools.partial(re.sub, *BROKEN[rule])
    assert driver.edit(source()) != source()
    with contextlib.suppress(CudaError):
        assert not all(checks("float32", driver))


@DTYPE
def test_a_tile_that_shared_memory_cannot_hold(dtype: str, driver: Driver) -> None:
    assert agrees("step", (2, 70, 1), dtype, 33)  # more than a kernel has without asking
    plan = Plan(program("step", (3, 600, 1), dtype))
    needed = f"{plan.scratch.rows * TILE * np.dtype(dtype).itemsize:,} bytes of {dtype}"
    with pytest.raises(ArgumentError, match=f"{needed}; this GPU has 232,448 bytes. .* or engine='eager'") as raised:
        device.Kernel(plan.program)
    assert ("dtype='float32', " in str(raised.value)) == (dtype == "float64")


def test_the_engine_and_the_state_stay_on_their_device(gpu: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = (array[:, :300] for array in nn.load_marks())
    start = nn.init_params(3, 4)
    for task in ("yhat", "z2", "layers"):  # by an engine that has compiled nothing else
        asked = engines.bind("compiled", Examples(X), start, backend=gpu, tasks=(task,))
        layer = compute_layer(task, start, X, CPU, SIGMOID)
        assert asked.predict(asked.start(State(start, {})), task).tobytes() == layer.tobytes()
    uploads, asarray = [], gpu.xp.asarray
    monkeypatch.setattr(gpu.xp, "asarray", lambda a, **options: uploads.append(np.shape(a)) or asarray(a, **options))
    assert_same_fit(gpu, nn.fit, X, y, start, iterations=9, log_every=2)
    assert uploads.count(start.w1.shape) == 1
    assert max(map(np.prod, uploads[6:])) <= 2  # after parameters, X and y: m and the learning rate


def assert_same_fit(gpu: Backend, fit: Callable[..., nn.FitResult], *arguments: Any, **options: Any) -> None:
    here, there = (fit(*arguments, engine="compiled", backend=place, **options) for place in (CPU, gpu))
    assert there.backend == gpu.name
    assert here.history.equals(there.history)
    np.testing.assert_array_equal(here.status, there.status)
    for one, other in zip(here.state.arrays().values(), there.state.arrays().values(), strict=True):
        assert one.tobytes() == other.tobytes()


@pytest.mark.parametrize("hidden", [4, 600])
def test_the_comparison_leaves_out_a_tile_that_does_not_fit(
    hidden: int, gpu: Backend, run_main: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compare, "get_backend", lambda name: gpu if name == "gpu" else CPU)
    monkeypatch.setattr(compare, "describe", lambda *_: {})
    for name in ("ROUND_SECONDS", "SETTLE_SECONDS"):
        monkeypatch.setattr(timings, name, 0.0)
    table, told = (run_main(compare.main, "--rows", "20", "--hidden", str(hidden), *how) for how in ((), ("--json",)))
    assert (table.code, table.err) == (0, "")
    assert "| yes |" in table.out
    columns = ["numpy eager", "numpy compiled", "cupy:1 eager", "cupy:1 compiled"][: 4 if hidden == 4 else 3]
    assert f"\n| rows | {' | '.join(columns)} | transfer to the GPU | same bits |\n" in table.out
    left_out = json.loads(told.out)["left_out"]
    assert list(left_out) == ["cupy:1 compiled"] * (hidden == 600)
    for name, reason in left_out.items():
        assert re.fullmatch(r"the compiled engine keeps .* shared memory, .* or engine='eager'", reason)
        assert f"\n{name} is left out: {reason}\n" in table.out


@pytest.fixture
def nvrtc(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Return NVRTC with an empty cache, or skip the test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    nvrtc = pytest.importorskip("cupy", reason="CuPy is not installed").cuda.nvrtc
    try:
        nvrtc.getVersion()
    except (ImportError, RuntimeError) as error:
        pytest.skip(f"NVRTC is not installed: {str(error).splitlines()[0]}")
    return nvrtc


def test_machine_code_is_kept_on_disk_and_refusals_are_explained(nvrtc: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BackendUnavailableError, match=r"does not know .* sm_999: it knows .*sm_90, .*CUDA version$"):
        device.compile_cubin(source(), "sm_999")
    with pytest.raises(BackendUnavailableError, match=r"refuses .*\nnn_backend.cu\(1\): error: "):
        device.compile_cubin("wrong", "sm_90")
    cubin = device.compile_cubin(source(), "sm_90")
    assert cubin.startswith(b"\x7fELF")
    monkeypatch.setattr(nvrtc, "compileProgram", None)
    assert device.compile_cubin(source(), "sm_90") == cubin


@pytest.mark.parametrize("architecture", ["sm_80", "sm_90", "sm_100"])
@DTYPE
@pytest.mark.parametrize("task", ["step", "score"])
def test_registers_hold_the_articles_network(task: str, dtype: str, architecture: str, nvrtc: Any) -> None:
    handle = nvrtc.createProgram(source(task, ARTICLE, dtype), "k.cu", (), ())
    nvrtc.compileProgram(handle, (f"-arch={architecture}", *device.FLAGS, "--ptxas-options=-v"))
    log = nvrtc.getProgramLog(handle)
    spilled, used = (re.findall(pattern, log) for pattern in (r"(\d+) bytes spill stores", r"Used (\d+) registers"))
    # NVRTC 13.5 takes 72 for sm_100, so that seven blocks fit a multiprocessor, and there puts two numbers aside.
    newest = architecture == "sm_100" and nvrtc.getVersion() >= (13, 5)
    assert max(map(int, spilled)) <= (8 if newest else 0), log
    assert max(map(int, used)) <= (72 if newest else 64), log


@DTYPE
@pytest.mark.parametrize("m", [300, 20_000])
def test_gpu_gives_the_cpus_bits(m: int, dtype: str) -> None:
    gpu = require_gpu()
    X, y = nn.load_marks() if m == 300 else nn.simulate_marks(m, seed=1)
    start = nn.init_params(3, 4, dtype=dtype)
    for params in (start, nn.Params(*(np.stack([array, array * 2]) for array in start))):
        assert_same_fit(gpu, nn.fit, X[:, :m], y[:, :m], params, iterations=4500 if m == 300 else 50)
