"""CUDA on the CPU: right kernels give right results in every order of threads, and wrong ones are found out."""

import numpy as np
import pytest
from cuda_on_cpu import MAX_DYNAMIC_SHARED, ORDERS, CompileError, CudaError, compile_cuda, require_compiler

require_compiler()

ORDER = pytest.mark.parametrize("order", ORDERS)
THREADS, BLOCKS = 96, 3

BLOCK_SUM = """
__device__ __forceinline__ double warp_sum(double sum) {
    #pragma unroll
    for (int h = 16; h > 0; h >>= 1)
        sum = __dadd_rn(sum, __shfl_down_sync(0xffffffffu, sum, h));
    return sum;
}

extern "C" __global__ void __launch_bounds__(96) block_sum(const double* __restrict__ x, double* sums, long long m) {
    __shared__ double of_warp[3];
    double sum = 0.0;
    for (long long j = blockIdx.x * blockDim.x + threadIdx.x; j < m; j += gridDim.x * blockDim.x)
        sum += x[j];
    sum = warp_sum(sum);
    if (threadIdx.x % 32 == 0)
        of_warp[threadIdx.x / 32] = sum;
    __syncthreads();
    if (threadIdx.x < 32) {
        sum = warp_sum(threadIdx.x < 3 ? of_warp[threadIdx.x] : 0.0);
        if (threadIdx.x == 0)
            sums[blockIdx.x] = sum;
    }
}
"""
SUM = "sum = warp_sum(sum);"
BARRIER_LINE = 1 + BLOCK_SUM[: BLOCK_SUM.index("__syncthreads")].count("\n")


def mutate(old: str, new: str) -> str:
    assert BLOCK_SUM.count(old) == 1
    return BLOCK_SUM.replace(old, new)


def block_sum(source: str, order: str, m: int = 1000) -> bool:
    """Whether the kernel gives the sum of each block's numbers, which are whole numbers: their sums are exact."""
    x = np.arange(1.0, m + 1)
    sums = np.zeros(BLOCKS)
    compile_cuda(source).launch("block_sum", BLOCKS, THREADS, (x, sums, np.int64(m)), order=order, seed=m)
    block = np.arange(m) // THREADS % BLOCKS
    return np.array_equal(sums, np.bincount(block, x, minlength=BLOCKS))


def run(body: str, *arrays: np.ndarray, threads: int = 32, order: str = "forward") -> None:
    """Run a kernel of one block, whose body starts in line 1 and knows the arrays as a, b and c."""
    c_types = {"float32": "float", "float64": "double", "int32": "int", "int64": "long long", "uint32": "unsigned"}
    parameters = ", ".join(f"{c_types[array.dtype.name]}* {name}" for array, name in zip(arrays, "abc", strict=False))
    source = f'extern "C" __global__ void k({parameters}) {{ {body} }}'
    compile_cuda(source).launch("k", 1, threads, arrays, order=order)


@ORDER
@pytest.mark.parametrize("m", [0, 1, 95, 288, 289, 100_000])
def test_a_right_kernel_gives_the_right_result(order: str, m: int) -> None:
    assert block_sum(BLOCK_SUM, order, m)


def test_a_missing_barrier_shows_in_some_order() -> None:
    source = mutate("    __syncthreads();\n", "")
    assert not all(block_sum(source, order) for order in ORDERS)


@pytest.mark.parametrize(("barrier", "threads"), [("__syncthreads();", 64), ("__syncwarp();", 32)])
def test_each_missing_barrier_of_a_loop_shows_in_some_order(barrier: str, threads: int) -> None:
    write, read = "here[threadIdx.x] = sum;", "sum += here[(threadIdx.x + 1) % blockDim.x];"

    def sums(after_write: str, after_read: str) -> set[bytes]:
        loop = f"for (int k = 0; k < 3; k++) {{ {write} {after_write} {read} {after_read} }}"
        body = f"__shared__ double here[64]; double sum = threadIdx.x; {loop} a[threadIdx.x] = sum;"
        seen = set()
        for order in ORDERS:
            run(body, result := np.zeros(threads), threads=threads, order=order)
            seen.add(result.tobytes())
        return seen

    assert len(sums(barrier, barrier)) == 1
    assert len(sums("", barrier)) > 1
    assert len(sums(barrier, "")) > 1


@ORDER
def test_a_divergent_barrier(order: str) -> None:
    source = mutate("__syncthreads();", "if (threadIdx.x < 32) __syncthreads();\n    else\n        __syncthreads();")
    with pytest.raises(CudaError, match="divergent barrier: ") as caught:
        block_sum(source, order)
    lines = BARRIER_LINE, BARRIER_LINE + 2
    assert f"__syncthreads() in line {lines[0]}: threads 0-31; " in str(caught.value)
    assert f"__syncthreads() in line {lines[1]}: threads 32-95" in str(caught.value)
    assert caught.value.kernel == "block_sum"
    assert caught.value.block in range(BLOCKS)
    assert (caught.value.thread, caught.value.line) == (0, lines[0])


SYNC = rf"__syncthreads\(\) in line {BARRIER_LINE + 1}: threads"
SHUFFLE = r"__shfl_down_sync\(0xffffffff\)"


@ORDER
@pytest.mark.parametrize(
    ("at", "before", "says"),
    [
        (
            "__syncthreads();",
            "if (threadIdx.x % 32 == 5) return;",
            rf"{SYNC} 0-4, 6-36, 38-68, 70-95; exited: threads 5, 37, 69$",
        ),
        (
            "__syncthreads();",
            "if (threadIdx.x == 7) __syncwarp();",
            rf"deadlock: {SYNC} 0-6, 8-95; __syncwarp\(0xffffffff\) in line {BARRIER_LINE}: threads 7$",
        ),
        (SUM, "__shfl_sync(0xffff0000u, sum, threadIdx.x);", "__shfl_sync in a lane that is not in its own mask"),
        (SUM, "if (threadIdx.x % 32 < 16) __shfl_xor_sync(0xffffu, sum, 16);", "lane [0-9]+: not in its mask"),
        (SUM, "if (threadIdx.x % 32 == 31) return;", rf"{SHUFFLE} .* lane 31: no longer running"),
    ],
)
def test_threads_that_wait_or_ask_in_vain_are_named(order: str, at: str, before: str, says: str) -> None:
    with pytest.raises(CudaError, match=says):
        block_sum(mutate(at, f"{before}\n    {at}"), order)


@ORDER
def test_a_shuffle_from_a_lane_that_the_block_does_not_have(order: str) -> None:
    with pytest.raises(CudaError, match=r"__shfl_down_sync\(0xffffffff\) in line 1 reads lane 8: not in the block"):
        run("a[threadIdx.x] += __shfl_down_sync(~0u, a[threadIdx.x], 1);", np.ones(40), threads=40, order=order)


@ORDER
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64"])
def test_shuffles_and_ballot(order: str, dtype: str) -> None:
    lanes = np.arange(32)
    values = (1000 + lanes).astype(dtype)
    results = np.zeros((4, 32), dtype)
    run(
        """
        int l = threadIdx.x;
        b[l] = __shfl_sync(~0u, a[l], 3);
        b[32 + l] = __shfl_down_sync(~0u, a[l], 2);
        b[64 + l] = __shfl_xor_sync(~0u, a[l], 5);
        if (l < 16) b[96 + l] = __shfl_sync(0xffffu, a[l], l + 1, 8);
        else c[0] = __ballot_sync(0xffff0000u, l % 3 == 0);
        """,
        values, results, bits := np.zeros(1, "uint32"), order=order,
    )  # fmt: skip
    assert np.array_equal(results[0], np.full(32, values[3]))
    assert np.array_equal(results[1], values[np.where(lanes + 2 < 32, lanes + 2, lanes)])
    assert np.array_equal(results[2], values[lanes ^ 5])
    assert np.array_equal(results[3, :16], values[:16].reshape(2, 8)[:, np.roll(np.arange(8), -1)].reshape(16))
    assert bits[0] == sum(1 << lane for lane in range(16, 32) if lane % 3 == 0)


@ORDER
def test_shared_memory_is_nan_at_first_and_of_one_block(order: str) -> None:
    source = """
    extern "C" __global__ void k(double* seen, int* count) {
        __shared__ double here[32];
        extern __shared__ double dynamic[];
        seen[blockIdx.x * 64 + threadIdx.x] = here[threadIdx.x];
        seen[blockIdx.x * 64 + 32 + threadIdx.x] = dynamic[threadIdx.x];
        here[threadIdx.x] = dynamic[threadIdx.x] = 1.0;
        atomicAdd(count, 1);
    }"""
    seen, count = np.zeros((4, 64)), np.zeros(1, "int32")
    compile_cuda(source).launch("k", 4, 32, (seen, count), shared_bytes=32 * 8, order=order)
    assert np.isnan(seen).all()
    assert count[0] == 4 * 32


@ORDER
def test_dynamic_shared_memory(order: str) -> None:
    source = """
    extern "C" __global__ void reverse(float* x) {
        extern __shared__ float here[];
        here[threadIdx.x] = x[threadIdx.x];
        __syncthreads();
        x[threadIdx.x] = here[blockDim.x - 1 - threadIdx.x];
    }"""
    x = np.arange(100, dtype="float32")
    reverse = compile_cuda(source)
    reverse.launch("reverse", 1, 100, (x,), 400, order)
    assert np.array_equal(x, np.arange(100)[::-1])
    with pytest.raises(CudaError, match="past the end of dynamic shared memory, which has 396 bytes") as caught:
        reverse.launch("reverse", 1, 100, (x,), 396, order)
    assert (caught.value.block, caught.value.thread, caught.value.line) == (0, None, None)


def test_an_index_outside_an_array() -> None:
    with pytest.raises(CudaError, match="index 32 is outside its array") as caught:
        run("__shared__ double here[32];\n here[threadIdx.x] = a[0];", np.zeros(1), threads=64)
    assert (caught.value.thread, caught.value.line) == (32, 2)
    with pytest.raises(CudaError, match="k: a write outside the array of argument 1"):
        run("b[threadIdx.x] = a[0];", np.zeros(1), np.zeros(31))
    run("b[threadIdx.x] = a[threadIdx.x + 1];", np.zeros(32), seen := np.zeros(32))
    assert np.isnan(seen).tolist() == [False] * 31 + [True]


def test_the_last_block_of_the_grid_can_finish_the_work() -> None:
    source = """
    extern "C" __global__ void last(volatile double* parts, unsigned* done, double* total) {
        parts[blockIdx.x] = 1.0 + blockIdx.x;
        __threadfence();
        if (atomicAdd(done, 1u) == gridDim.x - 1)
            for (int i = 0; i < gridDim.x; i++)
                total[0] += parts[i];
    }"""
    for order in ORDERS:
        total = np.zeros(1)
        compile_cuda(source).launch("last", 9, 1, (np.full(9, np.nan), np.zeros(1, "uint32"), total), order=order)
        assert total[0] == 45


@pytest.mark.parametrize(
    ("dtype", "letter", "fma", "fabs", "to_int", "to_float"),
    [
        ("float32", "f", "__fmaf_rn", "fabsf", "__float_as_int", "__int_as_float"),
        ("float64", "d", "__fma_rn", "fabs", "__double_as_longlong", "__longlong_as_double"),
    ],
)
def test_arithmetic_rounds_as_ieee_754_says(
    dtype: str, letter: str, fma: str, fabs: str, to_int: str, to_float: str
) -> None:
    eps, tiny = np.finfo(dtype).eps, np.finfo(dtype).smallest_subnormal
    a = np.array([1 + eps, tiny, 1, 1, -0.0], dtype)
    b = np.array([1 - eps, 0.5, eps / 2, 3, 1], dtype)
    c = np.array([-1, tiny, 1, tiny, 0], dtype)
    bits = a.view("int32" if dtype == "float32" else "int64")
    values = {
        **{f"__{letter}add_rn(x, y)": a + b, f"__{letter}sub_rn(x, y)": a - b},
        **{f"__{letter}mul_rn(x, y)": a * b, f"__{letter}div_rn(x, y)": a / b},
        "x * y + z": a * b + c,
        f"{fma}(x, y, z)": np.array([-(eps**2), 2 * tiny, 1, 3, 0], dtype),
        f"{fabs}(x)": abs(a),
        f"{to_float}({to_int}(x) ^ 1)": (bits ^ 1).view(dtype),
    }
    assert (a * b + c)[:2].tolist() == [0, tiny]  # where fma differs
    results = np.zeros((len(values), 5), dtype)
    statements = [f"b[{5 * row} + i] = {expression};" for row, expression in enumerate(values)]
    run(
        f"int i = threadIdx.x; auto x = a[i], y = a[5 + i], z = a[10 + i]; {' '.join(statements)}",
        *(np.concatenate([a, b, c]), results),
        threads=5,
    )
    for result, (expression, expected) in zip(results, values.items(), strict=True):
        assert (expression, result.tobytes()) == (expression, expected.tobytes())


@pytest.mark.parametrize(("dtype", "name"), [("float32", "float"), ("float64", "double")])
def test_a_sum_of_floats_is_not_atomic(dtype: str, name: str) -> None:
    with pytest.raises(CompileError, match=rf"kernel.cu:1:.* deleted function .{name} atomicAdd"):
        run("atomicAdd(a, a[0]);", np.zeros(1, dtype))


def test_a_compile_error_names_its_line_in_the_source() -> None:
    source = mutate("    sum = warp_sum(sum);", "    extern __shared__ float more[];\n    sum = unknown(more[0]);")
    with pytest.raises(CompileError, match=rf"kernel\.cu:{BARRIER_LINE - 2}:11: error: 'unknown' was not declared"):
        compile_cuda(source)


def test_a_wrong_launch_is_refused() -> None:
    module, x, out = compile_cuda(BLOCK_SUM), np.zeros(8), np.zeros(1)
    assert module.kernels == {"block_sum": "const f8*, f8*, i8"}
    for arguments in [
        (x, out),
        (x, out, np.int32(8)),
        (x, out, 8),
        (x[::2], out, np.int64(4)),
        (x > 0, out, np.int64(8)),
    ]:
        with pytest.raises(TypeError, match=r"block_sum takes \(const f8\*, f8\*, i8\); given was \("):
            module.launch("block_sum", 1, 96, arguments)
    with pytest.raises(ValueError, match="there is no kernel sum; the source has block_sum"):
        module.launch("sum", 1, 96, (x, out, np.int64(8)))
    with pytest.raises(ValueError, match="overlap"):
        module.launch("block_sum", 1, 96, (x, x[1:], np.int64(8)))
    for grid, block, shared in [(0, 96, 0), (1, 0, 0), (1, 1025, 0), (1, 96, MAX_DYNAMIC_SHARED + 1)]:
        with pytest.raises(ValueError, match="expected 1 block or more, 1 to 1024 threads, and 0 to 232448 bytes"):
            module.launch("block_sum", grid, block, (x, out, np.int64(8)), shared)
    with pytest.raises(ValueError, match="order is 'sideways'; expected one of forward, backward, random"):
        module.launch("block_sum", 1, 96, (x, out, np.int64(8)), order="sideways")


def test_the_same_source_is_compiled_once() -> None:
    assert compile_cuda(BLOCK_SUM) is compile_cuda(BLOCK_SUM)


def test_the_random_order_depends_on_the_seed_alone() -> None:
    def ranks(seed: int) -> list[int]:
        rank, next_rank = np.zeros(64, "int32"), np.zeros(1, "int32")
        compile_cuda(
            'extern "C" __global__ void k(int* rank, int* next) { rank[threadIdx.x] = atomicAdd(next, 1); }'
        ).launch("k", 1, 64, (rank, next_rank), order="random", seed=seed)
        return rank.tolist()

    assert sorted(ranks(1)) == list(range(64))
    assert ranks(1) == ranks(1) != ranks(2)


def test_without_a_compiler_tests_are_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(pytest.skip.Exception, match=r"needs g\+\+ on Linux"):
        require_compiler()
