"""CUDA on the CPU finds what test_cuda.py relies on: mistakes of kernels that would show on a GPU now and then."""

import numpy as np
import pytest
from cuda_on_cpu import ORDERS, CudaError, compile_cuda, require_compiler

require_compiler()

ORDER = pytest.mark.parametrize("order", ORDERS)


def run(body: str, *arrays: np.ndarray, threads: int, order: str, blocks: int = 1, shared: int = 0) -> None:
    """Run a kernel, whose body starts in line 1 and knows arrays of float64 as a, b and c."""
    parameters = ", ".join(f"double* {name}" for name, _ in zip("abc", arrays, strict=False))
    source = f'extern "C" __global__ void k({parameters}) {{ {body} }}'
    compile_cuda(source).launch("k", blocks, threads, arrays, shared, order)


def test_orders_are_what_their_names_say() -> None:
    ran = {order: np.zeros(64) for order in ORDERS}
    for order, rank in ran.items():
        run("a[threadIdx.x] = b[0]++; __syncthreads();", rank, np.zeros(1), threads=64, order=order)
    assert np.array_equal(ran["forward"], np.arange(64))
    assert np.array_equal(ran["backward"], np.arange(64)[::-1])
    assert sorted(ran["random"]) == list(range(64))
    assert len({rank.tobytes() for rank in ran.values()}) == 3


SYNC, SHUFFLE = "__syncthreads();", "a[0] = __shfl_down_sync(~0u, 1.0, 1);"


@ORDER
@pytest.mark.parametrize(
    ("body", "says"),
    [
        (f"if (threadIdx.x < 32) {SYNC}\n else\n {SYNC}", "divergent .* 1: threads 0-31; .* 3: threads 32-39$"),
        (f"if (threadIdx.x == 5) return;\n {SYNC}", "divergent .* 2: threads 0-4, 6-39; exited: threads 5$"),
        (f"if (threadIdx.x == 7) {SHUFFLE} {SYNC}", "deadlock: .*: threads 7; .*: threads 0-6, 8-39$"),
        ("__shfl_down_sync(0xffff0000u, 1, 1);", "__shfl_down_sync in a lane that is not in its own mask"),
        ("if (threadIdx.x % 32 < 16) __shfl_down_sync(0xffffu, 1, 16);", "reads lane [0-9]+: not in its mask"),
        (f"if (threadIdx.x >= 31) return; {SHUFFLE}", "reads lane 31: no longer running"),
        (SHUFFLE, "reads lane 8: not in the block"),
        ("__shared__ double here[32];\n here[threadIdx.x] = 1;", "thread 3[2-9], line 2: index 3[2-9] is outside"),
        ("extern __shared__ double here[]; here[threadIdx.x] = 1;", "past the end of dynamic shared memory"),
        ("a[threadIdx.x] = 1;", "a write outside an array"),
    ],
)
def test_mistakes_are_found(body: str, says: str, order: str) -> None:
    with pytest.raises(CudaError, match=says):
        run(body, np.zeros(39), threads=40, order=order, shared=39 * 8)


@ORDER
def test_shared_memory_is_nan_at_first_and_of_one_block_and_so_is_what_lies_behind_an_array(order: str) -> None:
    seen, behind = np.zeros((4, 64)), np.zeros(32)
    body = """
        __shared__ double here[32];
        extern __shared__ double dynamic[];
        const int i = threadIdx.x;
        a[blockIdx.x * 64 + i] = here[i];
        a[blockIdx.x * 64 + 32 + i] = dynamic[i];
        here[i] = dynamic[i] = 1;
        __syncthreads();
        b[i] = c[i] + here[31 - i] + dynamic[31 - i];"""
    run(body, seen, behind, np.zeros(31), threads=32, order=order, blocks=4, shared=32 * 8)
    assert np.isnan(seen).all()
    assert np.array_equal(behind, [2.0] * 31 + [np.nan], equal_nan=True)
