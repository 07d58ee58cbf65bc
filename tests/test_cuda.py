"""The printed CUDA kernels: the interpreter's bits when run on the CPU, and compiled by NVRTC for real devices."""

import functools
import itertools
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from cuda_on_cpu import CudaError, compile_cuda, require_compiler
from places import require_gpu

import nn_backend as nn
from nn_backend.backend import Backend
from nn_backend.compiler import device
from nn_backend.compiler.cuda import RUN_TILES, SMALL_TILES, print_cuda
from nn_backend.compiler.program import TILE, Program, interpret
from nn_backend.engines import compiled
from nn_backend.engines.compiled import score_program, training_program

step = functools.cache(training_program)  # the same program each time, so that what it means is interpreted once


def draw(program: Program, m: int) -> tuple[np.ndarray, np.ndarray]:
    """Give numbers for the examples, and uniform numbers that end with m and, for a training step, a learning rate."""
    generator = np.random.default_rng(m)
    targets = sum(name.startswith("y") for name in program.rows)
    examples = generator.standard_normal((len(program.rows), m)) * 3
    examples[-targets:] = examples[-targets:] > 0
    ending = [m, 0.5] if program.uniforms[-1] == "learning_rate" else [m]
    uniforms = [*generator.standard_normal(len(program.uniforms) - len(ending)), *ending]
    return examples.astype(program.dtype), np.array(uniforms, program.dtype)


class OnDevice(np.ndarray):
    """An array that gives its address as CuPy's arrays do."""

    @property
    def data(self) -> SimpleNamespace:
        return SimpleNamespace(ptr=self.ctypes.data)


class Driver:
    """What `compiler.device` asks of CuPy, with arrays in the host's memory and kernels that run on the CPU.

    Attributes
    ----------
    order : str
        In which order threads run, as in `cuda_on_cpu`.
    launches : list of (str, int)
        Kernel and blocks of each launch.
    """

    def __init__(self) -> None:
        self.order = "forward"
        self.launches: list[tuple[str, int]] = []
        names = {name: getattr(np, name) for name in ("all", "isfinite", "float32", "float64")}
        self.xp = SimpleNamespace(**names, asarray=self.asarray, ascontiguousarray=self.ascontiguousarray)
        self.backend = Backend("cupy:0", self.xp)

    def asarray(self, values: Any, dtype: Any = None, device: Any = None) -> OnDevice:
        return np.asarray(values, dtype).view(OnDevice)

    def ascontiguousarray(self, array: np.ndarray) -> OnDevice:
        return np.ascontiguousarray(array).view(OnDevice)

    def empty(self, shape: tuple[int, ...], dtype: Any) -> OnDevice:
        return np.full(shape, np.nan, dtype).view(OnDevice)

    def zeros(self, shape: tuple[int, ...], dtype: Any) -> OnDevice:
        return np.zeros(shape, dtype).view(OnDevice)

    def modules(self) -> dict[str, Any]:
        """Give the modules that are imported."""
        cuda = SimpleNamespace(Device=lambda: SimpleNamespace(compute_capability="90"))
        module = SimpleNamespace(Module=functools.partial(LoadedModule, self))
        cupy = SimpleNamespace(asarray=self.asarray, empty=self.empty, zeros=self.zeros, cuda=cuda)
        return {"cupy": cupy, "cupy.cuda": cuda, "cupy.cuda.function": module}


class LoadedModule:
    """A module of kernels."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    def load(self, source: str) -> None:
        self._module = compile_cuda(source)

    def get_function(self, name: str) -> Callable[..., None]:
        def launch(grid: tuple[int], block: tuple[int], arguments: Sequence[Any]) -> None:
            self._driver.launches.append((name, *grid))
            plain = [a.view(np.ndarray) if isinstance(a, OnDevice) else a for a in arguments]
            self._module.launch(name, *grid, *block, plain, order=self._driver.order)

        return launch


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Driver]:
    require_compiler()
    played = Driver()
    for name, module in played.modules().items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(device, "compile_cubin", lambda source, architecture: source)
    compiled._kernels.cache_clear()
    yield played
    compiled._kernels.cache_clear()  # or a GPU of that name would be given these kernels


def run_on_cpu(driver: Driver, program: Program, m: int, iterations: int, order: str) -> np.ndarray:
    driver.order = order
    examples, uniforms = draw(program, m)
    rows = device.Examples([driver.asarray(examples)])
    return device.Kernel(program).run(rows, driver.asarray(uniforms), iterations)


@functools.cache
def interpret_again(program: Program, m: int, iterations: int) -> np.ndarray:
    examples, uniforms = draw(program, m)
    for _ in range(iterations):
        results = interpret(program, examples, uniforms)
        uniforms[: len(results)] = results
    return results


@pytest.mark.parametrize(
    ("sizes", "dtype", "m", "order"),
    [
        *itertools.product([(3, 4, 1)], ["float32", "float64"], [1, 33, 1500], ["forward", "backward", "random"]),
        *itertools.product([(1, 1, 1), (2, 3, 2)], ["float32", "float64"], [513], ["backward"]),
        ((8, 8, 1), "float32", 513, "backward"),
    ],
)
def test_small_data_gives_the_interpreters_bits(
    sizes: tuple[int, int, int], dtype: str, m: int, order: str, driver: Driver
) -> None:
    program = step(*sizes, dtype)
    reached = run_on_cpu(driver, program, m, 2, order)
    assert reached.tobytes() == interpret_again(program, m, 2).tobytes()


@pytest.mark.parametrize("order", ["forward", "backward"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("m", [SMALL_TILES * TILE + 1, 3 * RUN_TILES * TILE + 700])
def test_large_data_gives_the_interpreters_bits(m: int, dtype: str, order: str, driver: Driver) -> None:
    program = step(3, 4, 1, dtype)
    reached = run_on_cpu(driver, program, m, 1, order)
    assert reached.tobytes() == interpret_again(program, m, 1).tobytes()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("m", [700, SMALL_TILES * TILE + 1])
def test_scores_are_the_interpreters_bits(m: int, dtype: str, driver: Driver) -> None:
    program = score_program(3, 4, 1, dtype)
    reached = run_on_cpu(driver, program, m, 1, "forward")
    assert reached.tobytes() == interpret_again(program, m, 1).tobytes()


def test_raw_run_of_the_article_is_the_cpus(driver: Driver) -> None:
    """300 iterations here; a GPU runs all 4500 in test_gpu_gives_the_cpus_bits."""
    X, y = nn.load_marks()
    X, y = X[:, :300], y[:, :300]
    start = nn.init_params(3, 4, dtype="float32")
    here, there = (nn.fit(X, y, start, iterations=300, engine="compiled", backend=b) for b in ("cpu", driver.backend))
    assert there.backend == "cupy:0"
    assert {name for name, _ in driver.launches} == {"iterate"}
    assert [array.tobytes() for array in here.params] == [array.tobytes() for array in there.params]
    assert here.history.equals(there.history)


@pytest.mark.parametrize(("lead", "m"), [((3,), 700), ((2, 2), 300), ((2,), SMALL_TILES * TILE + 1)])
def test_many_networks_are_the_cpus(
    lead: tuple[int, ...], m: int, driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device, "LAUNCH_TILES", 6)  # one iteration
    X, y = nn.simulate_marks(m, seed=1)
    generator = np.random.default_rng(m)
    shapes = (4, 3), (4, 1), (1, 4), (1, 1)
    many = nn.Params(*(generator.standard_normal((*lead, *shape)).astype(np.float32) for shape in shapes))
    here, there = (nn.fit(X, y, many, iterations=6, engine="compiled", backend=b) for b in ("cpu", driver.backend))
    assert [array.tobytes() for array in here.params] == [array.tobytes() for array in there.params]
    assert here.history.equals(there.history)
    networks = np.prod(lead)
    small = m <= SMALL_TILES * TILE
    assert {blocks for name, blocks in driver.launches if name == "iterate"} == ({networks} if small else set())


def barriers(source: str) -> list[int]:
    return [found.start() for found in re.finditer(re.escape("__syncthreads();"), source)]


@pytest.mark.parametrize("number", range(len(barriers(print_cuda(training_program(3, 4, 1, "float32"))))))
def test_a_missing_barrier_is_noticed(number: int, driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each barrier that a run of several tiles and iterations needs: without it some order gives other bits."""
    program = step(3, 4, 1, "float32")
    source = print_cuda(program)
    at = barriers(source)[number]
    monkeypatch.setattr(device, "print_cuda", lambda _: source[:at] + source[at + len("__syncthreads();") :])
    seen = set()
    for m, iterations in ((1500, 3), (SMALL_TILES * TILE + 600, 2), (3 * RUN_TILES * TILE, 1)):
        expected = interpret_again(program, m, iterations).tobytes()
        for order in ("forward", "backward", "random"):
            if False in seen:
                break
            try:
                seen.add(run_on_cpu(driver, program, m, iterations, order).tobytes() == expected)
            except CudaError:
                seen.add(False)
    assert False in seen


def test_a_divergent_barrier_is_noticed(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    program = step(3, 4, 1, "float32")
    source = print_cuda(program).replace("if (threadIdx.x == 0) {", "if (threadIdx.x == 0) { __syncthreads();", 1)
    monkeypatch.setattr(device, "print_cuda", lambda _: source)
    with pytest.raises(CudaError):
        run_on_cpu(driver, program, 300, 1, "forward")


@pytest.mark.parametrize("architecture", ["sm_80", "sm_90", "sm_100"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_kernels_compile_for_real_devices(
    dtype: str, architecture: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    require_nvrtc()
    from nn_backend.compiler.device import compile_cubin

    monkeypatch.setenv("CUPY_CACHE_DIR", str(tmp_path))
    source = print_cuda(training_program(3, 4, 1, dtype))
    cubin = compile_cubin(source, architecture)
    assert cubin.startswith(b"\x7fELF")
    [cached] = tmp_path.iterdir()
    assert cached.read_bytes() == cubin
    cached.write_bytes(b"taken from the cache")
    assert compile_cubin(source, architecture) == b"taken from the cache"
    monkeypatch.setenv("CUPY_CACHE_DIR", str(cached / "below a file"))
    assert compile_cubin(source, architecture) == cubin


@pytest.mark.parametrize("architecture", ["sm_80", "sm_90", "sm_100"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("program", [training_program, score_program])
def test_registers_hold_the_kernels_of_the_articles_network(program, dtype: str, architecture: str) -> None:
    nvrtc = require_nvrtc()
    from nn_backend.compiler.device import FLAGS

    handle = nvrtc.createProgram(print_cuda(program(3, 4, 1, dtype)), "k.cu", (), ())
    nvrtc.compileProgram(handle, (f"-arch={architecture}", *FLAGS, "--ptxas-options=-v"))
    log = nvrtc.getProgramLog(handle)
    spilled = [int(count) for count in re.findall(r"(\d+) bytes spill stores", log)]
    registers = [int(count) for count in re.findall(r"Used (\d+) registers", log)]
    assert spilled == [0, 0, 0], log
    assert max(registers) <= 128


def require_nvrtc():
    nvrtc = pytest.importorskip("cupy", reason="CuPy is not installed").cuda.nvrtc
    try:
        nvrtc.getVersion()
    except (ImportError, RuntimeError) as error:
        pytest.skip(f"NVRTC is not installed: {str(error).splitlines()[0]}")
    return nvrtc


@pytest.mark.parametrize("dtype", ["float32", "float64"])
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
