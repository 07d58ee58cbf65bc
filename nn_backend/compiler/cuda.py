"""Prints a plan as CUDA C: the same operations in the same order, and sums in the same shape, as on the CPU.

A block of 128 threads works on a tile. In the nests, each of its four warps has a strip and each thread an example; in
the sums over the examples, each half-warp has a block of running sums and each of its threads a lane. Three kernels:

- ``run_tiles`` does many iterations of small data in one launch, each network in a block; of large data, it adds up the
  tiles, each block an aligned run of 2**i;
- ``add_runs`` adds the runs as `interpreter.add_tree` does;
- ``follow`` computes what follows from the sums.

All arithmetic is by intrinsics that round once and are never contracted. The order of additions is fixed: no atomics.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import numpy as np

from nn_backend.compiler.loops import Index, Loops
from nn_backend.compiler.plan import Part, Plan
from nn_backend.compiler.program import INTEGER_OF, KINDS, LANES, STRIP, TILE, Value

HALF_WARPS = TILE // LANES
WIDE_THREADS = 512  # of a block of add_runs and of follow
COLUMNS = 32  # sums that a block of add_runs adds up
FEW_SUMS = 16 * HALF_WARPS  # so many only give every half-warp something to do if blocks of sums are small

_TYPES = {"float64": ("double", "long long", "d", ""), "float32": ("float", "int", "f", "f")}
_TEMPLATES = {
    "add": "__{p}add_rn({0}, {1})",
    "sub": "__{p}sub_rn({0}, {1})",
    "mul": "__{p}mul_rn({0}, {1})",
    "div": "__{p}div_rn({0}, {1})",
    "fma": "__fma{s}_rn({0}, {1}, {2})",
    "neg": "-({0})",
    "abs": "fabs{s}({0})",
    "sqrt": "__{p}sqrt_rn({0})",
    "less": "{0} < {1}",
    "less_equal": "{0} <= {1}",
    "equal": "{0} == {1}",
    "select": "{0} ? {1} : {2}",
    "to_bits": "to_bits({0})",
    "from_bits": "from_bits({0})",
    "int_add": "(I)((U){0} + (U){1})",  # signed integers must not overflow
    "int_sub": "(I)((U){0} - (U){1})",
    "shift_left": "(I)((U){0} << {1})",
    "shift_right": "{0} >> {1}",
}
_RESULTS = {"f": "T", "i": "I", "b": "bool"}

_KERNELS = """
// Adds a row of sums to another. A thread always has the same elements: between additions none waits for another.
static __device__ __forceinline__ void merge(T* low, const T* high) {
    for (int k = threadIdx.x; k < SUMS; k += blockDim.x) low[k] = add(low[k], high[k]);
}

// Leaves the sums over m examples in the first row of a stack, on which are runs of 2^i tiles, as in a binary counter.
static __device__ __forceinline__ void add_tiles(
    const T* examples, const T* own, T* outputs, const T* state, const T* numbers, T* stack, long long m) {
    T* top = stack;
    for (long long first = 0, number = 1; first < m; first += TILE, ++number) {
        const int left = m - first < TILE ? (int)(m - first) : TILE;
        tile(examples + first * EXAMPLES, own + first * OWN, outputs + first * OUTPUTS, state, numbers, top, left);
        __syncthreads();  // for the sums of all half-warps, which are merged now; and the next tile overwrites scratch
        top += SUMS;
        for (long long n = number; n % 2 == 0; n /= 2, top -= SUMS) merge(top - 2 * SUMS, top - SUMS);
    }
    for (; top - SUMS > stack; top -= SUMS) merge(top - 2 * SUMS, top - SUMS);  // the rest, from the smallest run on
}

// Computes what follows from the sums, and only then replaces the results, which may be the state that it reads. A step
// that ends the run is left undone; returns whether it did.
static __device__ __forceinline__ bool close(
    long long* progress, const T* total, const T* state, const T* numbers, T* next, T* results) {
    const int reached = ending(compute_results(total, state, numbers, next));
    __syncthreads();  // for all of next: until then, old state is read
    if (threadIdx.x == 0) progress[0] = reached;
    if (reached) return true;
    if (threadIdx.x == 0) ++progress[1];
    for (int k = threadIdx.x; k < RESULTS; k += blockDim.x) results[k] = next[k];
    return false;
}

// Small data (share = 0): each block has a network at a time, and does all of its iterations. Large data: all blocks
// have network n, each a share of its tiles. A span is a network's first strip, examples, first strip of outputs,
// and where its own rows begin; its progress the number of the ending that it reached, or 0, and its iterations.
extern "C" __global__ void __launch_bounds__(TILE)
run_tiles(
    const T* examples, const long long* spans, long long* progress, const T* states, const T* numbers, T* results,
    T* outputs, T* work, int rows, long long n, long long networks, long long share, int iterations) {
    T* stack = work + blockIdx.x * (long long)(rows * SUMS + RESULTS);
    const long long first = blockIdx.x * share * TILE;
    for (n += share ? 0 : blockIdx.x; n < networks; n += share ? networks : gridDim.x) {
        const long long *span = spans + 4 * n, left = span[1] - first;
        for (int more = progress[2 * n] ? 0 : iterations; more > 0; --more) {
            add_tiles(examples + (span[0] * STRIP + first) * EXAMPLES, examples + span[3] + first * OWN,
                      outputs + (span[2] * STRIP + first) * OUTPUTS, states + n * STATE, numbers + n * NUMBERS, stack,
                      share && share * TILE < left ? share * TILE : left);
            if (share) return;  // all blocks alike: add_runs and follow do the rest
            __syncthreads();  // for the total, of which each thread has added some elements and reads others
            const bool ends = close(progress + 2 * n, stack, states + n * STATE, numbers + n * NUMBERS,
                                    stack + rows * SUMS, results + n * RESULTS);
            if (ends) break;
            __syncthreads();  // for the new state, which the next iteration reads
        }
    }
}

// Adds the sums of n runs, the first rows of as many stacks, eight at a time, whose loads do not wait for each other.
extern "C" __global__ void __launch_bounds__(WIDE_THREADS)
add_runs(T* work, int rows, int n) {
    const int k = blockIdx.x * COLUMNS + threadIdx.x % COLUMNS;
    const long long size = rows * SUMS + RESULTS;
    for (int width = 1; width < n; width *= 8) {
        for (int first = threadIdx.x / COLUMNS * 8 * width; k < SUMS && first < n;
             first += WIDE_THREADS / COLUMNS * 8 * width) {
            T runs[8];
            #pragma unroll
            for (int r = 0; r < 8; ++r) runs[r] = first + r * width < n ? work[(first + r * width) * size + k] : 0;
            #pragma unroll
            for (int w = 1; w < 8; w *= 2) {
                #pragma unroll
                for (int r = 0; r < 8; r += 2 * w) {  // behind the last run nothing is added, not even +0 to -0
                    if (first + (r + w) * width < n) runs[r] = add(runs[r], runs[r + w]);
                }
            }
            work[first * size + k] = runs[0];
        }
        __syncthreads();  // for the sums of eight, which are added to others by other threads
    }
}

extern "C" __global__ void __launch_bounds__(WIDE_THREADS)
follow(long long* progress, const T* states, const T* numbers, T* results, T* work, int rows, long long n) {
    if (progress[2 * n]) return;
    close(progress + 2 * n, work, states + n * STATE, numbers + n * NUMBERS, work + rows * SUMS, results + n * RESULTS);
}
"""


class Printer(Loops):
    """Prints the kernels.

    Parameters
    ----------
    plan : Plan
        What to print.
    """

    row_registers = lane_parts = 1
    together = 8

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        self.scalar, self.integer, prefix, self.suffix = _TYPES[self.program.dtype]
        self.names = {"p": prefix, "s": self.suffix}
        self.registers = 12 if plan.sums.size <= FEW_SUMS else 40
        self.lines: list[str] = []
        self._depth = self._count = self._dealt = 0
        self._mine = Index()  # which of the numbers that begin somewhere is the thread's: its example, its lane

    # ---- lines

    def do(self, text: str) -> None:
        """Print a line."""
        self.lines.append("    " * self._depth + text)

    def name(self, kind: str, text: str) -> str:
        """Print a line that computes something; return its new name."""
        self._count += 1
        self.do(f"const {kind} v{self._count} = {text};")
        return f"v{self._count}"

    @contextmanager
    def braces(self, head: str) -> Iterator[None]:
        """Print what stands between braces."""
        self.do(f"{head} {{")
        self._depth += 1
        yield
        self._depth -= 1
        self.do("}")

    @contextmanager
    def counted(self, first: int | str, count: int | str, step: int | str) -> Iterator[Index]:
        """Print a loop; give its counter."""
        self._count += 1
        k = f"k{self._count}"
        with self.braces(f"for (int {k} = {first}; {k} < {count}; {k} += {step})"):
            yield Index(((k, 1),))

    # ---- what loops are made of

    def emit(self, operation: str, *operands: str) -> str:
        return self.name(_RESULTS[KINDS[operation][-1]], _TEMPLATES[operation].format(*operands, **self.names))

    def literal(self, value: Value) -> str:
        if value.kind == "i":
            return str(value.attribute)
        if not np.isfinite(value.attribute):  # no literal says so, but its bits do
            return f"from_bits({np.array(value.attribute, self.program.dtype).view(INTEGER_OF[self.program.dtype])})"
        return f"{float(value.attribute).hex()}{self.suffix}"

    def number(self, array: str, at: Index) -> str:
        return self.name("T", f"{array}[{_text(at)}]")

    def load(self, array: str, at: Index) -> str:
        return self.number(array, at + self._mine)

    def store(self, array: str, at: Index, name: str) -> None:
        self.do(f"{array}[{_text(at + self._mine)}] = {name};")

    def store_row(self, array: str, at: Index, name: str) -> None:
        self.store(array, at, f"here ? {name} : 0")

    def loop(self, count: int, first: int = 0) -> AbstractContextManager[Index]:
        return nullcontext(Index(constant=first)) if count == first + 1 else self.counted(first, count, 1)

    def strip(self) -> AbstractContextManager[Index]:
        return nullcontext(Index((("strip", 1),)))

    def strips(self) -> AbstractContextManager[Index]:
        return self.counted(0, "strips", 1)

    def elements(self, size: int) -> AbstractContextManager[Index]:
        return self.counted("threadIdx.x", size, "blockDim.x")

    @contextmanager
    def blocks(self, columns: Part, rows: Part) -> Iterator[tuple[Index, Index]]:
        # Half-warps take turns, from one group to the next too: each gets as many blocks as another, but for one.
        first, count = f"(half + {-self._dealt % HALF_WARPS}) % {HALF_WARPS}", columns.count * rows.count
        self._dealt += count
        with self.counted(first, count, HALF_WARPS) as number:
            column, row = (Index(((f"({_text(number)} {sign} {rows.count})", 1),)) for sign in "/%")
            yield column * columns.size + columns.first, row * rows.size + rows.first

    def variable(self, name: str | None = None) -> str:
        self._count += 1
        self.do(f"T v{self._count} = {name or 0};")
        return f"v{self._count}"

    def value(self, variable: str) -> str:
        return variable

    def put(self, variable: str, name: str) -> None:
        self.do(f"{variable} = {name};")

    def test(self, number: int, truth: str, at: Index, size: int) -> None:
        self.do(f"failed |= {truth} ? 0 : {1 << number};")

    def add_lanes(self, parts: list[list[str]], places: list[Index]) -> None:
        [names] = parts
        h = LANES
        while h > 1:  # the upper half of the lanes is added to the lower: right in lane 0, the others are of no account
            h //= 2
            names = [self.emit("add", name, f"__shfl_down_sync(mask, {name}, {h}, {LANES})") for name in names]
        with self.braces("if (lane == 0)"):
            for name, place in zip(names, places, strict=True):
                self.do(f"sums[{_text(place)}] = {name};")

    # ---- the functions

    def print(self) -> str:
        """Return the source of the kernels."""
        plan = self.plan
        bits = ("float_as_int", "int_as_float") if self.suffix else ("double_as_longlong", "longlong_as_double")
        rows = {"EXAMPLES": plan.examples.rows, "OWN": plan.own.rows, "OUTPUTS": plan.outputs.rows}
        sizes = {
            **{"TILE": TILE, "STRIP": STRIP, "WIDE_THREADS": WIDE_THREADS, "COLUMNS": COLUMNS, **rows},
            **{"STATE": plan.state.size, "NUMBERS": plan.numbers.size},
            **{"SUMS": plan.sums.size, "RESULTS": plan.results.size},
        }
        inline = "static __device__ __forceinline__"
        arrays = "const T* examples, const T* own, T* outputs, const T* state, const T* numbers, T* sums, int left"
        total = "const T* total, const T* state, const T* numbers, T* next"
        self.lines = [
            f"typedef {self.scalar} T;",
            f"typedef {self.integer} I;",
            f"typedef unsigned {self.integer} U;",
            *(f"constexpr int {name} = {size};" for name, size in sizes.items()),
            "extern __shared__ T scratch[];  // of a tile: in strips, each row of a strip 32 examples side by side",
            f"{inline} I to_bits(T x) {{ return __{bits[0]}(x); }}",
            f"{inline} T from_bits(I x) {{ return __{bits[1]}(x); }}",
            f"{inline} T add(T x, T y) {{ return {_TEMPLATES['add'].format('x', 'y', **self.names)}; }}",
            "",
        ]
        with self.braces(f"{inline} void tile({arrays})"):
            self.tile()
        self.do("")
        with self.braces(f"{inline} unsigned compute_results({total})"):
            self.do("unsigned failed = 0;  // comparisons of endings, a bit for each")
            self.follow()
            self.do("return failed;")
        self.do("")
        with self.braces(f"{inline} int ending(unsigned failed)"):
            self.do("int reached = 0;")
            for number, ending in enumerate(self.program.endings.values()):
                somewhere = f"{'!' * ending.holds}__syncthreads_or(failed & {1 << number})"
                self.do(f"if ({somewhere}) reached = {number + 1};")
            self.do("return reached;")
        return "\n".join(self.lines) + "\n" + _KERNELS

    def tile(self) -> None:
        """Print what is done to a tile, of which ``left`` examples are there."""
        self.do(f"const int strip = threadIdx.x / {STRIP}, j = threadIdx.x % {STRIP}, lane = threadIdx.x % {LANES};")
        self.do(f"const int strips = (left + {STRIP - 1}) / {STRIP};")
        self.do("// The halves of a warp have numbers far apart: where their blocks differ, one waits for the other.")
        self.do(f"const int half = strip + threadIdx.x / {LANES} % 2 * {HALF_WARPS // 2};")
        self.do(
            f"const unsigned mask = 0x{(1 << LANES) - 1:x}u << j / {LANES} * {LANES};  // only this half-warp's lanes"
        )
        with self.braces("if (strip < strips)"):
            self.do(f"const bool here = strip * {STRIP} + j < left;  // missing examples leave zeros in whole strips")
            self._mine = Index((("j", 1),))
            for nest in self.plan.nests:  # which read the thread's own example only, so none waits for another thread
                self.nest(nest)
        self.do("__syncthreads();  // for all examples' rows in scratch, which the sums read")
        self._mine = Index((("lane", 1),))
        for group in self.plan.groups:
            self.group(group)
        self._mine = Index()


def _text(at: Index) -> str:
    terms = [name if factor == 1 else f"{name} * {factor}" for name, factor in at.terms]
    return " + ".join([*terms, *[str(at.constant)] * (at.constant != 0 or not terms)])
