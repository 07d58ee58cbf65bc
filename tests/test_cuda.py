"""The printed CUDA kernels: the interpreter's bits when run on the CPU, and compiled by NVRTC for real devices."""

import functools
import itertools
import re
from pathlib import Path

import numpy as np
import pytest
from cuda_on_cpu import CudaError, Module, compile_cuda, require_compiler
from places import require_gpu

import nn_backend as nn
from nn_backend.compiler.cuda import FOLLOW_THREADS, RUN_TILES, SMALL_TILES, SUM_THREADS, print_cuda
from nn_backend.compiler.program import TILE, Program, interpret
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


def run_on_cpu(module: Module, program: Program, m: int, iterations: int, order: str) -> np.ndarray:
    """Launch the kernels as `compiler.device` does."""
    examples, uniforms = draw(program, m)
    rows = np.array([row.ctypes.data for row in examples], np.uint64)
    state = np.zeros(max(len(uniforms), len(program.outputs)), program.dtype)
    state[: len(uniforms)] = uniforms
    tiles = -(-m // TILE)
    if tiles <= SMALL_TILES:
        module.launch("iterate", 1, TILE, (rows, np.int64(m), state, np.int32(iterations)), order=order)
    else:
        blocks = -(-tiles // RUN_TILES)
        parts = np.full((blocks, len(program.sums)), np.nan, program.dtype)
        for _ in range(iterations):
            module.launch("sum_tiles", blocks, SUM_THREADS, (rows, np.int64(m), state, parts), order=order)
            module.launch("follow", 1, FOLLOW_THREADS, (parts, np.int64(blocks), state), order=order)
    return state[: len(program.outputs)]


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
def test_small_data_gives_the_interpreters_bits(sizes: tuple[int, int, int], dtype: str, m: int, order: str) -> None:
    require_compiler()
    program = step(*sizes, dtype)
    reached = run_on_cpu(compile_cuda(print_cuda(program)), program, m, 2, order)
    assert reached.tobytes() == interpret_again(program, m, 2).tobytes()


@pytest.mark.parametrize("order", ["forward", "backward"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("m", [SMALL_TILES * TILE + 1, 3 * RUN_TILES * TILE + 700])
def test_large_data_gives_the_interpreters_bits(m: int, dtype: str, order: str) -> None:
    require_compiler()
    program = step(3, 4, 1, dtype)
    reached = run_on_cpu(compile_cuda(print_cuda(program)), program, m, 1, order)
    assert reached.tobytes() == interpret_again(program, m, 1).tobytes()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("m", [700, SMALL_TILES * TILE + 1])
def test_scores_are_the_interpreters_bits(m: int, dtype: str) -> None:
    require_compiler()
    program = score_program(3, 4, 1, dtype)
    reached = run_on_cpu(compile_cuda(print_cuda(program)), program, m, 1, "forward")
    assert reached.tobytes() == interpret_again(program, m, 1).tobytes()


def test_raw_run_of_the_article_is_the_cpus() -> None:
    """300 iterations here; a GPU runs all 4500 in test_gpu_gives_the_cpus_bits."""
    require_compiler()
    X, y = nn.load_marks()
    X, y = X[:, :300].astype(np.float32), y[:, :300].astype(np.float32)
    start = nn.init_params(3, 4, dtype="float32")
    expected = nn.fit(X, y, start, iterations=300, engine="compiled").params
    kept = [np.ascontiguousarray(X), np.ascontiguousarray(y)]
    rows = np.array([row.ctypes.data for array in kept for row in array], np.uint64)
    state = np.concatenate([*(array.ravel() for array in start), np.float32([300, 0.2])])
    module = compile_cuda(print_cuda(training_program(3, 4, 1, "float32")))
    module.launch("iterate", 1, TILE, (rows, np.int64(300), state, np.int32(300)))
    assert state[:21].tobytes() == b"".join(array.tobytes() for array in expected)


@pytest.mark.parametrize("order", ["forward", "backward"])
def test_a_block_for_each_of_many_networks(order: str) -> None:
    require_compiler()
    program = step(2, 3, 1, "float32")
    X, uniforms = draw(program, 700)
    networks = np.stack([uniforms, -uniforms, uniforms / 2])
    networks[:, -2:] = uniforms[-2:]
    rows = np.array([row.ctypes.data for row in X], np.uint64)
    state = networks.copy()
    module = compile_cuda(print_cuda(program))
    module.launch("iterate", 3, TILE, (rows, np.int64(700), state, np.int32(2)), order=order)
    for start, reached in zip(networks, state, strict=True):
        for _ in range(2):
            results = interpret(program, X, start)
            start[: len(results)] = results
        assert reached.tobytes() == start.tobytes()


def barriers(source: str) -> list[int]:
    return [found.start() for found in re.finditer(re.escape("__syncthreads();"), source)]


@pytest.mark.parametrize("number", range(len(barriers(print_cuda(training_program(3, 4, 1, "float32"))))))
def test_a_missing_barrier_is_noticed(number: int) -> None:
    """Each barrier that a run of several tiles and iterations needs: without it some order gives other bits."""
    require_compiler()
    program = step(3, 4, 1, "float32")
    source = print_cuda(program)
    at = barriers(source)[number]
    module = compile_cuda(source[:at] + source[at + len("__syncthreads();") :])
    seen = set()
    for m, iterations in ((1500, 3), (SMALL_TILES * TILE + 600, 2), (3 * RUN_TILES * TILE, 1)):
        expected = interpret_again(program, m, iterations).tobytes()
        for order in ("forward", "backward", "random"):
            if False in seen:
                break
            try:
                seen.add(run_on_cpu(module, program, m, iterations, order).tobytes() == expected)
            except CudaError:
                seen.add(False)
    assert False in seen


def test_a_divergent_barrier_is_noticed() -> None:
    require_compiler()
    program = step(3, 4, 1, "float32")
    source = print_cuda(program).replace("if (threadIdx.x == 0) {", "if (threadIdx.x == 0) { __syncthreads();", 1)
    with pytest.raises(CudaError):
        run_on_cpu(compile_cuda(source), program, 300, 1, "forward")


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
