"""Prints a program as CUDA C: the same operations in the same order, and sums in the same shape, as on the CPU.

Three kernels:

- ``iterate`` does many iterations of a small data set in one launch: one block for each set of uniform numbers, one
  thread for each example of a tile;
- ``sum_tiles`` adds up runs of tiles of a large data set: one warp for each tile, every number read once;
- ``follow`` adds the runs as `program.add_tree` does and computes what follows from the sums.

All arithmetic is by intrinsics that round once and are never contracted. The order of additions is fixed: no atomics.
"""

from collections.abc import Sequence

import numpy as np

from nn_backend.compiler.program import INTEGER_OF, LANES, TILE, TILE_ROWS, Program, Value, inputs

RUN_TILES = 16  # tiles whose sums a block of sum_tiles adds up: a power of two, so that a run is a node of the tree
SUM_THREADS = 256
FOLLOW_THREADS = 512
# Tiles up to which iterate is used. Derived, not measured: counted in sm_90's machine code, a tile takes it some 2,350
# cycles (1.3 µs); two launches of 4 to 6 µs and the closing of follow (4 µs) take as long as about ten tiles.
SMALL_TILES = 8
SHARED_BYTES = 32 * 1024  # of iterate's table of terms; every CUDA device has 48 KiB

_TYPES = {"float64": ("double", "long long", "d", ""), "float32": ("float", "int", "f", "f")}

_TEMPLATES = {
    "add": "__{p}add_rn({0}, {1})",
    "sub": "__{p}sub_rn({0}, {1})",
    "mul": "__{p}mul_rn({0}, {1})",
    "div": "__{p}div_rn({0}, {1})",
    "neg": "-{0}",
    "abs": "fabs{suffix}({0})",
    "fma": "__fma{suffix}_rn({0}, {1}, {2})",
    "less": "{0} < {1}",
    "less_equal": "{0} <= {1}",
    "select": "{0} ? {1} : {2}",
    "to_bits": "{to_bits}({0})",
    "from_bits": "{from_bits}({0})",
    "int_add": "({integer})((unsigned {integer}){0} + (unsigned {integer}){1})",
    "int_sub": "({integer})((unsigned {integer}){0} - (unsigned {integer}){1})",
    "shift_left": "({integer})((unsigned {integer}){0} << {1})",
    "shift_right": "{0} >> {1}",
}


def print_cuda(program: Program) -> str:
    """Give a program as CUDA C: the kernels iterate, sum_tiles and follow."""
    scalar = _TYPES[program.dtype][0]
    parts = [
        f"typedef {scalar} T;",
        f"constexpr int SUMS = {len(program.sums)};",
        _print_halving(program),
        _print_tree(program),
        _print_iterate(program),
        _print_sum_tiles(program),
        _print_follow(program),
    ]
    return "\n\n".join(parts) + "\n"


class _Lines:
    """Prints operations one statement each."""

    def __init__(self, program: Program) -> None:
        scalar, integer, prefix, suffix = _TYPES[program.dtype]
        self.dtype = program.dtype
        self.kinds = {"float": "T", "int": integer, "bool": "bool"}
        bits = "float_as_int" if scalar == "float" else "double_as_longlong"
        back = "int_as_float" if scalar == "float" else "longlong_as_double"
        self.names = {
            "p": prefix,
            "suffix": suffix,
            "integer": integer,
            "to_bits": f"__{bits}",
            "from_bits": f"__{back}",
        }
        self.known: dict[Value, str] = {}
        self.lines: list[str] = []

    def text(self, indent: int) -> str:
        return "\n".join(" " * indent + line for line in self.lines)

    def operand(self, value: Value) -> str:
        """Give the text of a value: a constant, or the name it has."""
        if value.operation != "constant":
            return self.known[value]
        if value.kind == "int":
            return str(value.attribute)
        number = float(value.attribute)
        if not np.isfinite(number):  # no literal says so, but its bits do
            return f"{self.names['from_bits']}({np.array(number, self.dtype).view(INTEGER_OF[self.dtype])})"
        return f"{number.hex()}{self.names['suffix']}"

    def operations(self, values: Sequence[Value], letter: str) -> None:
        """Print the operations in order."""
        for number, value in enumerate(values):
            text = _TEMPLATES[value.operation].format(*map(self.operand, value.arguments), **self.names)
            self.lines.append(f"const {self.kinds[value.kind]} {letter}{number} = {text};")
            self.known[value] = f"{letter}{number}"

    def uniforms(self, program: Program, values: Sequence[Value], array: str) -> None:
        """Print the loads of the uniform numbers that the values need, and what is computed from them alone."""
        for value in inputs((*program.before, *values)):
            if not value.varies:
                place = value.attribute.place
                self.lines.append(f"const T u{place} = {array}[{place}];")
                self.known[value] = f"u{place}"
        self.operations(program.before, "b")


def _example(program: Program, known: dict[Value, str], load: str) -> _Lines:
    """Print the operations on example ``j``, loaded from ``row0``, ``row1``, ...; the terms keep their names."""
    each = _Lines(program)
    each.known.update(known)
    for value in inputs((*program.example, *program.sums)):
        if value.varies:
            place = value.attribute.place
            each.lines.append(f"const T x{place} = {load.format(place)};")
            each.known[value] = f"x{place}"
    each.operations(program.example, "v")
    return each


def _rows(program: Program) -> str:
    """Print the addresses of the rows that the program reads."""
    places = sorted(value.attribute.place for value in inputs((*program.example, *program.sums)) if value.varies)
    return "\n".join(f"    const T* __restrict__ row{place} = (const T*)rows[{place}];" for place in places)


def _closing(program: Program, sums: str, uniforms: str) -> str:
    """Print what follows from the sums; its results replace the first uniform numbers, once all are computed."""
    follow = _Lines(program)
    follow.uniforms(program, (*program.after, *program.outputs), uniforms)
    for s, value in enumerate(program.sums):
        follow.lines.append(f"const T s{s} = {sums}[{s}];")
        follow.known[value] = f"s{s}"
    follow.operations(program.after, "r")
    follow.lines += [f"{uniforms}[{k}] = {follow.operand(value)};" for k, value in enumerate(program.outputs)]
    return follow.text(12)


def _print_halving(program: Program) -> str:
    """Print the sum of a warp's lanes, right in lane 0: the upper half is added to the lower until one is left."""
    halves = [LANES >> k for k in range(1, LANES.bit_length())]
    steps = [f"    value = {_add(program)}(value, __shfl_down_sync(0xffffffffu, value, {half}));" for half in halves]
    newline = "\n"
    return f"""\
__device__ __forceinline__ T sum_lanes(T value) {{
{newline.join(steps)}
    return value;
}}"""


def _print_tree(program: Program) -> str:
    """Print the sum of n rows of sums in place by all threads of the block; row 0 becomes the total."""
    return f"""\
__device__ __forceinline__ void add_tree(T* parts, long long n) {{
    for (long long width = 1; width < n; width *= 2) {{
        const long long pairs = (n - width + 2 * width - 1) / (2 * width);
        for (long long k = threadIdx.x; k < pairs * SUMS; k += blockDim.x) {{
            T* left = parts + k / SUMS * 2 * width * SUMS + k % SUMS;
            *left = {_add(program)}(*left, left[width * SUMS]);
        }}
        __syncthreads();
    }}
}}"""


def _print_iterate(program: Program) -> str:
    once = _Lines(program)
    once.uniforms(program, (*program.example, *program.sums), "numbers")
    each = _example(program, once.known, "row{}[j]")
    group = min(TILE_ROWS, SHARED_BYTES // (TILE * np.dtype(program.dtype).itemsize))
    terms = [value.arguments[0] for value in program.sums]
    declared = "\n".join(f"            T c{s} = 0;" for s in range(len(terms)))
    each.lines += [f"c{s} = {each.operand(term)};" for s, term in enumerate(terms)]
    rounds = []
    for first in range(0, len(terms), group):
        stores = [
            f"            terms[{k - first}][row][lane] = c{k};" for k in range(first, min(first + group, len(terms)))
        ]
        count = len(stores)
        rounds.append("\n".join(stores))
        rounds.append(f"""\
            __syncthreads();
            if (row < {count}) {{
                T total = 0;
                for (int k = 0; k < {TILE_ROWS}; ++k) total = {_add(program)}(total, terms[row][k][lane]);
                total = sum_lanes(total);
                if (lane == 0) sums[tile][{first} + row] = total;
            }}
            __syncthreads();""")
    size = program.state_size
    mine = f"state[(long long)blockIdx.x * {size} + k]"
    newline = "\n"
    return f"""\
extern "C" __global__ void __launch_bounds__({TILE}, 1)
iterate(const unsigned long long* rows, long long m, T* state, int iterations) {{
    __shared__ T terms[{group}][{TILE_ROWS}][{LANES}];
    __shared__ T sums[{SMALL_TILES}][SUMS];
    __shared__ T numbers[{size}];
    const int lane = threadIdx.x % {LANES}, row = threadIdx.x / {LANES};
    const int tiles = (int)((m + {TILE - 1}) / {TILE});
{_rows(program)}
    for (int k = threadIdx.x; k < {size}; k += {TILE}) numbers[k] = {mine};
    __syncthreads();
    for (int iteration = 0; iteration < iterations; ++iteration) {{
        for (int tile = 0; tile < tiles; ++tile) {{
            const long long j = (long long)tile * {TILE} + threadIdx.x;
{declared}
            if (j < m) {{
{once.text(16)}
{each.text(16)}
            }}
{newline.join(rounds)}
        }}
        add_tree(sums[0], tiles);
        if (threadIdx.x == 0) {{
{_closing(program, "sums[0]", "numbers")}
        }}
        __syncthreads();
    }}
    for (int k = threadIdx.x; k < {len(program.outputs)}; k += {TILE}) {mine} = numbers[k];
}}"""


def _print_sum_tiles(program: Program) -> str:
    once = _Lines(program)
    once.uniforms(program, (*program.example, *program.sums), "state")
    # Streamed: each number is read once. And read early: NVRTC moves a plain load down to its first use, behind the
    # divisions, so that every example would wait for memory twice.
    each = _example(program, once.known, "__ldcs(row{} + j)")
    add = _add(program)
    terms = [value.arguments[0] for value in program.sums]
    count = range(len(terms))
    newline = "\n"
    return f"""\
extern "C" __global__ void __launch_bounds__({SUM_THREADS}, 2)
sum_tiles(const unsigned long long* rows, long long m, const T* __restrict__ state, T* __restrict__ parts) {{
    __shared__ T sums[{RUN_TILES}][SUMS];
    const int lane = threadIdx.x % {LANES}, warp = threadIdx.x / {LANES};
    const long long tiles = (m + {TILE - 1}) / {TILE}, first = (long long)blockIdx.x * {RUN_TILES};
    const int run = (int)(tiles - first < {RUN_TILES} ? tiles - first : {RUN_TILES});
{_rows(program)}
{once.text(4)}
    for (int tile = warp; tile < run; tile += {SUM_THREADS // LANES}) {{
{newline.join(f"        T c{s} = 0;" for s in count)}
        for (int row = 0; row < {TILE_ROWS}; ++row) {{
            const long long j = (first + tile) * {TILE} + row * {LANES} + lane;
            if (j < m) {{
{each.text(16)}
{newline.join(f"                c{s} = {add}(c{s}, {each.operand(term)});" for s, term in enumerate(terms))}
            }}
        }}
{newline.join(f"        c{s} = sum_lanes(c{s});" for s in count)}
        if (lane == 0) {{
{newline.join(f"            sums[tile][{s}] = c{s};" for s in count)}
        }}
    }}
    __syncthreads();
    add_tree(sums[0], run);
    for (int s = threadIdx.x; s < SUMS; s += {SUM_THREADS}) parts[(long long)blockIdx.x * SUMS + s] = sums[0][s];
}}"""


def _print_follow(program: Program) -> str:
    return f"""\
extern "C" __global__ void __launch_bounds__({FOLLOW_THREADS}, 1)
follow(T* parts, long long n, T* state) {{
    add_tree(parts, n);
    if (threadIdx.x == 0) {{
{_closing(program, "parts", "state")}
    }}
}}"""


def _add(program: Program) -> str:
    return f"__{_TYPES[program.dtype][2]}add_rn"
