"""The printed CUDA kernels: the interpreter's bits when run on the CPU, and compiled by NVRTC for real devices."""

import functools
import itertools
import json
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from cuda_on_cpu import ORDERS, CudaError, compile_cuda, require_compiler
from methods import CPU, KINDS, METHODS, WAYS, ending, ends_right, interpreted, problem, together
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
from nn_backend.compiler.trace import record
from nn_backend.engines import Examples, compiled
from nn_backend.equations import SIGMOID
from nn_backend.errors import ArgumentError, BackendUnavailableError
from nn_backend.network import compute_layer
from nn_backend.optimizers import State

DTYPE = pytest.mark.parametrize("dtype", ["float32", "float64"])
ARTICLE = (3, 4, 1)


def _softmax(*, xp, X, y, m, learning_rate, w, b):
    """Unlike the equations: folds over rows, results of each example, two products and a sum with one left factor."""
    z = w @ X + b
    e = xp.exp(z - xp.max(z, axis=-2, keepdims=True))
    p = e / xp.sum(e, axis=-2, keepdims=True)
    d = p - y
    dw, moment = d @ xp.matrix_transpose(X), d @ xp.matrix_transpose(p)
    db = xp.sum(d, axis=-1, keepdims=True)
    size = xp.sum(xp.abs(z), axis=(-2, -1))
    first, true = (xp.argmax(rows, axis=-2, keepdims=True) for rows in (z, y))
    return {
        "w": w - learning_rate * (dw / xp.sqrt(size)),
        "b": xp.maximum(xp.minimum(b - learning_rate * (db / m), 0.25), -0.25),
        "moment": moment,
        "p": p,
        "lowest": xp.min(z, axis=-2, keepdims=True),
        "right": xp.where(first == true, first, -1),
    }


@functools.cache
def program(task: str, sizes: tuple[int, int, int], dtype: str) -> Program:
    n0, _, n2 = sizes
    if task == "endless step":
        return compiled.program("step", *sizes, dtype)._replace(endings={})
    if task != "softmax":
        return compiled.program(task, *sizes, dtype)
    state = {"w": (n2, n0), "b": (n2, 1)}
    numbers = ("m", "learning_rate")
    return record(_softmax, dtype=dtype, examples={"X": n0, "y": n2}, state=state, numbers=numbers)


@functools.cache
def source(task: str = "step", sizes: tuple[int, int, int] = ARTICLE, dtype: str = "float32") -> str:
    return Printer(Plan(program(task, sizes, dtype))).print()


def draw(drawn: Program, m: int, networks: int) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return numbers for the examples, and for the state and numbers of some networks."""
    generator = np.random.default_rng(m)
    arrays = {value.attribute: generator.standard_normal((value.rows, m)) * 3 for value in drawn.examples}
    once = {value.attribute: generator.standard_normal((networks, *value.shape)) for value in drawn.state}
    rates = {"m": np.full(networks, m), "learning_rate": np.linspace(0.5, 1, networks)}
    once |= {value.attribute: rates[value.attribute] for value in drawn.numbers}
    if "y" in arrays:
        arrays["y"] = arrays["y"] > 0
    return tuple({name: array.astype(drawn.dtype) for name, array in part.items()} for part in (arrays, once))


class Driver:
    """What `compiler.device` asks of CuPy, with arrays in the host's memory and kernels that run on the CPU.

    Attributes
    ----------
    order : str
        In which order threads run, as in `cuda_on_cpu`.
    edit : callable
        What is done to the source before it is compiled.
    launches : list of (str, int)
        Kernel and blocks of each launch.
    """

    def __init__(self) -> None:
        self.order = "forward"
        self.edit = lambda text: text
        self.launches: list[tuple[str, int]] = []
        self.waits = 0

    def wait(self) -> None:
        self.waits += 1

    def modules(self) -> dict[str, Any]:
        """Return the modules that are imported."""
        attributes = {"MaxSharedMemoryPerBlockOptin": 232_448}
        cuda = SimpleNamespace(
            Device=lambda: SimpleNamespace(compute_capability="90", attributes=attributes),
            driver=SimpleNamespace(
                CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES="dynamic",
                funcSetAttribute=lambda function, attribute, value: function.update({attribute: value}),
            ),
            get_current_stream=lambda: SimpleNamespace(synchronize=self.wait),
        )
        arrays = {
            "asarray": np.asarray,
            "zeros": np.zeros,
            "concatenate": np.concatenate,
            "empty": lambda *given: np.full(given[0], np.nan, given[1]),
        }
        cupy = SimpleNamespace(**arrays, cuda=cuda)
        module = SimpleNamespace(Module=functools.partial(LoadedModule, self))
        return {"cupy": cupy, "cupy.cuda": cuda, "cupy.cuda.function": module}

    def run(
        self, task: str, sizes: tuple[int, int, int], dtype: str, m: int, iterations: int = 1, spans: Any = None
    ) -> list[dict[str, np.ndarray]]:
        """Return the results of each network."""
        kernel = device.Kernel(program(task, sizes, dtype))
        examples, once = draw(kernel.plan.program, m, networks := 1 if spans is None else len(spans))
        state, numbers = (
            np.zeros((networks, layout.size), dtype) for layout in (kernel.plan.state, kernel.plan.numbers)
        )
        kernel.plan.state.pack(once, state)
        kernel.plan.numbers.pack(once, numbers)
        packed, outputs = kernel.bind(device.Examples(examples), networks, spans)(state, numbers, iterations)
        assert (packed is state) == kernel.plan.program.is_step
        results = []
        for n in range(networks):
            count = m if spans is None else spans[n, 1]
            found = kernel.plan.results.unpack(packed[n])
            own, outputs = np.split(outputs, [-(-count // STRIP)])
            columns = own.swapaxes(0, 1).reshape(own.shape[1], len(own) * STRIP)
            assert not columns[:, count:].any()
            for name, value in kernel.plan.program.results.items():
                if value.varies:
                    first = kernel.plan.outputs.first[value]
                    found[name] = columns[first : first + value.rows, :count]
            results.append(found)
        return results


class LoadedModule:
    """A module of kernels."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    def load(self, source: str) -> None:
        self._module = compile_cuda(self._driver.edit(source))

    def get_function(self, name: str) -> Any:
        attributes = {"dynamic": 48 * 1024}

        class Function:
            ptr = attributes

            def __call__(_, grid: tuple[int], block: tuple[int], arguments: Sequence[Any], shared_mem: int = 0) -> None:  # noqa: N805
                assert shared_mem <= attributes["dynamic"]
                self._driver.launches.append((name, *grid))
                self._module.launch(name, *grid, *block, arguments, shared_mem, self._driver.order)

        return Function()


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Driver]:
    require_compiler()
    played = Driver()
    for name, module in played.modules().items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(device, "compile_cubin", lambda source, architecture: source)
    return played


@pytest.fixture
def gpu(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> Backend:
    """Return a backend of that driver, whose device is current only where the package makes it so."""
    second, cupy, xp = Device(), sys.modules["cupy"], ModuleType("cupy")
    xp.__dict__.update(vars(np), __name__="cupy", asarray=lambda values, dtype, device: np.array(values, dtype))
    for module, names in (
        (cupy, ("asarray", "zeros", "empty")),
        (cupy.cuda, ("Device",)),
        (xp, ("asarray", "isfinite")),
    ):
        for name in names:
            setattr(module, name, second.demanded(getattr(module, name)))
    monkeypatch.setattr(LoadedModule, "load", second.demanded(LoadedModule.load))
    monkeypatch.setattr(compiled, "kept", functools.cache(lambda make, *arguments: make(*arguments)))
    return Backend("cupy:1", xp, second)


@functools.cache
def expected(
    task: str, sizes: tuple[int, int, int], dtype: str, m: int, iterations: int, spans: tuple[tuple[int, int], ...]
) -> list[dict[str, np.ndarray]]:
    meant = program(task, sizes, dtype)
    examples, once = draw(meant, m, len(spans))
    results = []
    for n, (first, count) in enumerate(spans):
        mine = {name: array[:, first : first + count] for name, array in examples.items()}
        state = {value.attribute: once[value.attribute][n] for value in meant.state}
        numbers = {value.attribute: once[value.attribute][n] for value in meant.numbers}
        if meant.is_step:
            results.append(interpreted(meant, mine, state, numbers, iterations)[0])
        else:
            results.append(interpret(meant, mine, state, numbers))
    return results


def agrees(driver: Driver, task: str, sizes: tuple[int, int, int], dtype: str, m: int, iterations: int = 1, spans=None):
    """Whether the kernels give the interpreter's bits."""
    found = driver.run(task, sizes, dtype, m, iterations, spans)
    known = ((0, m),) if spans is None else tuple(map(tuple, spans.tolist()))
    meant = expected(task, sizes, dtype, m, iterations, known)
    return all(f[name].tobytes() == e[name].tobytes() for f, e in zip(found, meant, strict=True) for name in e)


@pytest.mark.parametrize("order", ORDERS)
@DTYPE
@pytest.mark.parametrize("m", [1, 31, 33, 129, 700])
@pytest.mark.parametrize("small", [True, False])
def test_kernels_give_the_interpreters_bits(
    small: bool, m: int, dtype: str, order: str, driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device, "SMALL", 1e9 if small else 0)
    driver.order = order
    assert agrees(driver, "step", ARTICLE, dtype, m, 2)
    assert agrees(driver, "softmax", (2, 0, 3), dtype, m)
    assert {name for name, _ in driver.launches} == (
        {"run_tiles"} if small or m < TILE else {"run_tiles", "add_runs", "follow"}
    )


@DTYPE
@pytest.mark.parametrize("task", ["step", "score", "yhat"])
@pytest.mark.parametrize("sizes", [(1, 1, 1), (2, 3, 2), (30, 8, 2)])
def test_networks_of_other_sizes(sizes: tuple[int, int, int], task: str, dtype: str, driver: Driver) -> None:
    for m, driver.order in ((32, "forward"), (127, "random"), (300, "backward")):
        assert agrees(driver, task, sizes, dtype, m, 2)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(("tiles", "blocks", "runs"), [(73, 1024, 73), (16, 8, 8), (17, 8, 5), (23, 4, 3)])
def test_each_block_has_a_run_of_tiles(
    tiles: int, blocks: int, runs: int, order: str, driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device, "MAX_BLOCKS", blocks)
    monkeypatch.setattr(device, "SMALL", 0)
    driver.order = order
    for m in ((tiles - 1) * TILE + 1, tiles * TILE):
        assert agrees(driver, "step", (1, 1, 1), "float32", m)
    assert driver.launches[0] == ("run_tiles", runs)


def tree_holds(text: str, n: int, order: str) -> bool:
    """Whether the first rows of n stacks are added as `add_tree` does."""
    sums, results = (int(re.search(rf"int {name} = (\d+)", text)[1]) for name in ("SUMS", "RESULTS"))
    rows = 3
    work = np.random.default_rng(n).standard_normal((n, rows * sums + results)).astype(np.float32)
    work[:, :9] = -0.0
    meant = add_tree(work[:, :sums])
    compile_cuda(text).launch(
        "add_runs", sums // COLUMNS, WIDE_THREADS, (work, np.int32(rows), np.int32(n)), order=order
    )
    return work[0, :sums].tobytes() == meant.tobytes()


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("n", [1, 2, 3, 8, 9, 20, 65, 1024])
def test_runs_are_added_as_a_tree(n: int, order: str) -> None:
    require_compiler()
    assert tree_holds(source(), n, order)


@pytest.mark.parametrize("small", [True, False])
@pytest.mark.parametrize("task", ["step", "softmax"])
def test_each_network_has_its_own_examples(
    task: str, small: bool, driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device, "SMALL", 1e9 if small else 0)
    monkeypatch.setattr(device, "MAX_BLOCKS", 2)  # fewer than networks: a block has several, one after the other
    monkeypatch.setattr(device, "LAUNCH", 1)
    spans = np.array([[0, 700], [64, 1], [96, 129], [32 * 10, 300], [0, 513]])
    iterations = 2 if task == "step" else 1
    for driver.order in ORDERS:
        assert agrees(driver, task, (2, 3, 2), "float32", 700, iterations, spans)
    launched = [blocks for name, blocks in driver.launches if name == "run_tiles"]
    assert launched == [2] * len(launched) if small else set(launched) == {1, 2}
    assert driver.waits == len(ORDERS) * (iterations - 1 if small else len(spans) * iterations)


@pytest.mark.parametrize(("name", "dtype"), [*zip(METHODS, ["float32", "float64"] * 6, strict=True)])
def test_every_way_to_train(name: str, dtype: str, driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    given = problem(name, 300, dtype)
    expected, *_ = given.reached(4)
    kernel = device.Kernel(given.program("step"))
    for small, driver.order in ((1e9, "forward"), (0, "random")):
        monkeypatch.setattr(device, "SMALL", small)
        state, numbers = (np.zeros((1, layout.size), dtype) for layout in (kernel.plan.state, kernel.plan.numbers))
        kernel.plan.state.pack(given.state.arrays(), state)
        kernel.plan.numbers.pack(given.rounded(), numbers)
        kernel.bind(device.Examples(given.arrays), 1)(state, numbers, 4)
        for key, array in kernel.plan.state.unpack(state[0]).items():
            assert array.tobytes() == expected[key].tobytes(), key


@pytest.mark.parametrize("small", [True, False])
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(("kind", "output"), [*zip(KINDS, [*WAYS, "softmax", "identity"], strict=True)])
def test_each_network_has_its_own_rows_weights_and_fold(
    kind: str, output: str, order: str, small: bool, gpu: Backend, driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device, "SMALL", 1e9 if small else 0)
    monkeypatch.setattr(device, "MAX_BLOCKS", 4)
    driver.order = order
    here, there = (
        together(kind, output, "float32", engine="compiled", backend=place, iterations=3, log_every=2)
        for place in (CPU, gpu)
    )
    assert there.backend == "cupy:1"
    assert here.history.equals(there.history)
    assert here.status.tolist() == there.status.tolist()
    for one, other in zip(here.state.arrays().values(), there.state.arrays().values(), strict=True):
        assert one.tobytes() == other.tobytes()


def ends(driver: Driver, dtype: str, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether runs end as they should, on small data and on large data, in every order of threads."""
    given, ended = ending(dtype)
    for small, driver.order in itertools.product((1e9, 0), ORDERS):
        monkeypatch.setattr(device, "SMALL", small)
        try:
            kernel = device.Kernel(given.program("step"))
            if not ends_right(kernel, device.Examples(given.arrays), given, ended):
                return False
        except CudaError:
            return False
    return True


@DTYPE
def test_each_network_ends_by_itself(dtype: str, driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ends(driver, dtype, monkeypatch)
    assert {name for name, _ in driver.launches} == {"run_tiles", "add_runs", "follow"}


WRONG_ENDS = {  # what is in the source, and what stands there instead
    "ignored": (r"\) reached = \d;", ") reached = 0;"),
    "one thread's": (r"__syncthreads_or\((.*)\)\)", r"(\1))"),
    "step taken": (r"if \(reached\) return true;", ""),
    "step counted": (r"(if \(reached\) .*\n)(.*\+\+progress.*\n)", r"\2\1"),
    "gone on": (r"progress\[2 \* n\] \? 0 : iterations", "iterations"),
    "gone on with large data": (r"if \(progress\[2 \* n\]\) return;", ""),
}


@pytest.mark.parametrize("wrong", WRONG_ENDS)
def test_a_wrong_end_is_noticed(wrong: str, driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    driver.edit = functools.partial(re.sub, *WRONG_ENDS[wrong])
    assert driver.edit(source()) != source()
    assert not ends(driver, "float32", monkeypatch)


BARRIER = re.compile(r"__syncthreads\(\);")
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
}


def seen(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether some order of threads gives other bits than the interpreter, or makes a mistake."""
    if not all(tree_holds(driver.edit(source()), n, order) for n in (3, 20) for order in ORDERS):
        return True
    for small, task, iterations in ((1e9, "step", 3), (0, "step", 1), (1e9, "endless step", 1)):
        monkeypatch.setattr(device, "SMALL", small)
        for driver.order in ORDERS:
            try:
                if not agrees(driver, task, ARTICLE, "float32", 700, iterations):
                    return True
            except CudaError:
                return True
    return False


@pytest.mark.parametrize("rule", BROKEN)
def test_a_broken_rule_is_noticed(rule: str, driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    driver.edit = lambda text: re.sub(*BROKEN[rule], text)
    assert driver.edit(source()) != source()
    assert seen(driver, monkeypatch)


@pytest.mark.parametrize("number", range(len(BARRIER.findall(source()))))
def test_a_missing_barrier_is_noticed(number: int, driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    def edit(text: str) -> str:
        start, end = list(BARRIER.finditer(text))[number].span()
        return text[:start] + text[end:]

    driver.edit = edit
    assert seen(driver, monkeypatch)


def test_a_divergent_barrier_is_noticed(driver: Driver) -> None:
    driver.edit = lambda text: text.replace("if (strip < strips) {", "if (strip < strips) { __syncthreads();", 1)
    with pytest.raises(CudaError, match="divergent barrier"):
        agrees(driver, "step", ARTICLE, "float32", 33)


@DTYPE
def test_a_tile_that_shared_memory_cannot_hold(dtype: str, driver: Driver) -> None:
    assert agrees(driver, "step", (2, 70, 1), dtype, 33)  # more than a kernel has without asking
    plan = Plan(program("step", (3, 600, 1), dtype))
    needed, advice = f"{plan.scratch.rows * TILE * np.dtype(dtype).itemsize:,} bytes of {dtype}", "dtype='float32', "
    with pytest.raises(ArgumentError, match=f"{needed}; this GPU has 232,448 bytes. .* or engine='eager'") as raised:
        device.Kernel(plan.program)
    assert (advice in str(raised.value)) == (dtype == "float64")


def test_the_engine_keeps_to_its_device_and_the_state_stays_there(
    gpu: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    X, y = (array[:, :300] for array in nn.load_marks())
    start = nn.init_params(3, 4)
    for task in ("yhat", "z2", "layers"):  # by an engine that has compiled nothing else
        asked = engines.bind("compiled", Examples(X), start, backend=gpu, tasks=(task,))
        layer = compute_layer(task, start, X, CPU, SIGMOID)
        assert asked.predict(asked.start(State(start, {})), task).tobytes() == layer.tobytes()
    uploads, asarray = [], gpu.xp.asarray
    monkeypatch.setattr(gpu.xp, "asarray", lambda a, **options: uploads.append(np.shape(a)) or asarray(a, **options))
    here, there = (
        nn.fit(X, y, start, iterations=9, log_every=2, engine="compiled", backend=place) for place in ("cpu", gpu)
    )
    assert [array.tobytes() for array in here.params] == [array.tobytes() for array in there.params]
    assert here.history.equals(there.history)
    assert uploads.count(start.w1.shape) == 1
    assert max(map(np.prod, uploads[6:])) <= 2  # after parameters, X and y: m and the learning rate


@pytest.mark.parametrize("hidden", [4, 600])
def test_the_comparison_leaves_out_a_tile_that_does_not_fit(
    hidden: int, gpu: Backend, run_main: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compare, "get_backend", lambda name: gpu if name == "gpu" else CPU)
    monkeypatch.setattr(compare, "describe", lambda *_: {})
    for name in ("ROUND_SECONDS", "SETTLE_SECONDS"):
        monkeypatch.setattr(timings, name, 0.0)
    table = run_main(compare.main, "--rows", "20", "--hidden", str(hidden))
    assert (table.code, table.err) == (0, "")
    assert "| yes |" in table.out
    columns = ["numpy eager", "numpy compiled", "cupy:1 eager", "cupy:1 compiled"][: 4 if hidden == 4 else 3]
    assert f"\n| rows | {' | '.join(columns)} | transfer to the GPU | same bits |\n" in table.out
    reason = r"the compiled engine keeps .* shared memory, .* or engine='eager'"
    assert bool(re.search(rf"^cupy:1 compiled is left out: {reason}$", table.out, re.M)) == (hidden == 600)
    told = json.loads(run_main(compare.main, "--rows", "20", "--hidden", str(hidden), "--json").out)["left_out"]
    assert list(told) == ["cupy:1 compiled"] * (hidden == 600)
    assert all(re.fullmatch(reason, text) for text in told.values())


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


def test_machine_code_is_kept_on_disk(nvrtc: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    cubin = device.compile_cubin(source(), "sm_90")
    assert cubin.startswith(b"\x7fELF")
    monkeypatch.setattr(nvrtc, "compileProgram", None)
    assert device.compile_cubin(source(), "sm_90") == cubin


def test_what_nvrtc_refuses_is_explained(nvrtc: Any) -> None:
    with pytest.raises(BackendUnavailableError, match=r"does not know .* sm_999: it knows .*sm_90, .*CUDA version$"):
        device.compile_cubin(source(), "sm_999")
    with pytest.raises(BackendUnavailableError, match=r"refuses .*\nnn_backend.cu\(1\): error: "):
        device.compile_cubin("wrong", "sm_90")


@pytest.mark.parametrize("architecture", ["sm_80", "sm_90", "sm_100"])
@DTYPE
@pytest.mark.parametrize("task", ["step", "score"])
def test_registers_hold_the_kernels_of_the_articles_network(
    task: str, dtype: str, architecture: str, nvrtc: Any
) -> None:
    handle = nvrtc.createProgram(source(task, ARTICLE, dtype), "k.cu", (), ())
    nvrtc.compileProgram(handle, (f"-arch={architecture}", *device.FLAGS, "--ptxas-options=-v"))
    log = nvrtc.getProgramLog(handle)
    assert re.findall(r"(\d+) bytes spill stores", log) == ["0"] * 3, log
    assert max(map(int, re.findall(r"Used (\d+) registers", log))) <= 64


@DTYPE
@pytest.mark.parametrize("m", [300, 20_000])
def test_gpu_gives_the_cpus_bits(m: int, dtype: str) -> None:
    gpu = require_gpu()
    X, y = nn.load_marks() if m == 300 else nn.simulate_marks(m, seed=1)
    X, y = X[:, :m], y[:, :m]
    start = nn.init_params(3, 4, dtype=dtype)
    iterations = 4500 if m == 300 else 50
    many = nn.Params(*(np.stack([array, array * 2]) for array in start))
    for params in (start, many):
        here, there = (
            nn.fit(X, y, params, iterations=iterations, engine="compiled", backend=place) for place in ("cpu", gpu)
        )
        assert [array.tobytes() for array in here.params] == [array.tobytes() for array in there.params]
        assert here.history.equals(there.history)
