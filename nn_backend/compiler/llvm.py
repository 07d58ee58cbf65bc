"""Prints a program as LLVM IR, the same for every processor.

A value of the program becomes a vector with one element for each of several examples; LLVM cuts it into the registers
the processor has. Three functions:

- ``tile`` runs the operations on up to 512 examples and adds up their lanes;
- ``tree`` adds rows of sums as `program.add_tree` does;
- ``run`` is what a thread does: for each set of uniform numbers, and in each iteration, its share of the tiles, a
  barrier, the tree over everybody's sums, and what follows from the sums, whose results become the first numbers of the
  set. Each thread computes those for itself, so that one barrier is enough; sums of odd and even iterations, counted
  over all sets, are kept apart, so that no thread overtakes.
"""

import struct
from collections.abc import Iterator, Sequence

import numpy as np

from nn_backend.compiler.program import LANES, TILE, Program, Value, inputs
from nn_backend.errors import TraceError

PAD = 16  # sums are kept in rows of a multiple of this many, so that they are added as vectors
CHUNK_TILES = 64  # tiles whose sums a thread adds up before it hands them over, at most
SPINS = 2_000  # looks at the barrier before a thread gives up its core

_SCALARS = {"float64": ("double", "i64", "f64"), "float32": ("float", "i32", "f32")}

_TEMPLATES = {
    "add": "fadd {f} {0}, {1}",
    "sub": "fsub {f} {0}, {1}",
    "mul": "fmul {f} {0}, {1}",
    "div": "fdiv {f} {0}, {1}",
    "neg": "fneg {f} {0}",
    "abs": "call {f} @llvm.fabs.{suffix}({f} {0})",
    "fma": "call {f} @llvm.fma.{suffix}({f} {0}, {f} {1}, {f} {2})",
    "less": "fcmp olt {f} {0}, {1}",
    "less_equal": "fcmp ole {f} {0}, {1}",
    "select": "select {b} {0}, {f} {1}, {f} {2}",
    "to_bits": "bitcast {f} {0} to {i}",
    "from_bits": "bitcast {i} {0} to {f}",
    "int_add": "add {i} {0}, {1}",
    "int_sub": "sub {i} {0}, {1}",
    "shift_left": "shl {i} {0}, {1}",
    "shift_right": "ashr {i} {0}, {1}",
}


def print_ir(program: Program) -> str:
    """Give a program as LLVM IR: the functions tile, tree and run."""
    if not program.sums:
        raise TraceError("the program has no sum over the examples; expected at least one")
    scalar, _, suffix = _SCALARS[program.dtype]
    lanes = vector_lanes(program)
    kinds = ((scalar, suffix), (f"<{lanes} x {scalar}>", f"v{lanes}{suffix}"))
    declarations = [
        f"declare {kind} @llvm.{function}.{ending}({', '.join([kind] * arity)})"
        for kind, ending in kinds
        for function, arity in (("fabs", 1), ("fma", 3))
    ]
    declarations.append("declare i32 @nn_backend_yield()")
    declarations.append("declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)")
    return "\n".join([*declarations, _print_tile(program), _print_tree(program), _print_run(program)])


def vector_lanes(program: Program) -> int:
    """Give how many examples are worked on together.

    Notes
    -----
    It decides the speed, not the bits. LLVM cuts vectors into the registers the processor has: long ones give a small
    program several independent chains, but in a large one they only spill. Measured with 21 to 513 sums.
    """
    if len(program.sums) <= 40:
        return LANES
    return LANES // 2 if len(program.sums) <= 100 or program.dtype == "float32" else LANES // 4


def padded_sums(program: Program) -> int:
    """Give the length of a row of sums: their number, rounded up to whole vectors."""
    return -(-len(program.sums) // PAD) * PAD


def scratch_size(program: Program, chunks: int) -> int:
    """Give how many numbers a thread needs for itself: the sums of all chunks and of one chunk's tiles."""
    return (chunks + CHUNK_TILES) * padded_sums(program)


class _Lines:
    """Prints operations one line each, on scalars or on vectors of lanes."""

    def __init__(self, program: Program, lanes: int | None = None) -> None:
        scalar, integer, suffix = _SCALARS[program.dtype]
        self.kinds = {"float": scalar, "int": integer, "bool": "i1"}
        self.types = {"f": scalar, "i": integer, "b": "i1", "suffix": suffix}
        if lanes is not None:
            self.types = {letter: f"<{lanes} x {kind}>" for letter, kind in self.types.items()}
            self.types["suffix"] = f"v{lanes}{suffix}"
        self.lanes = lanes
        self.names: dict[Value, str] = {}
        self.lines: list[str] = []

    def __str__(self) -> str:
        return "\n".join(f"  {line}" for line in self.lines)

    def operand(self, value: Value) -> str:
        """Give the text of a value: a constant, or the name it has."""
        if value.operation != "constant":
            return self.names[value]
        text = _hex(value.attribute) if value.kind == "float" else str(value.attribute)
        return f"splat ({self.kinds[value.kind]} {text})" if self.lanes else text

    def load(self, name: str, pointer: str, index: int) -> str:
        """Print the load of a scalar."""
        scalar = self.kinds["float"]
        self.lines.append(f"{name}.at = getelementptr {scalar}, ptr {pointer}, i64 {index}")
        self.lines.append(f"{name} = load {scalar}, ptr {name}.at")
        return name

    def uniforms(self, program: Program, values: Sequence[Value]) -> None:
        """Print the loads of the uniform numbers that the values need, and what is computed from them alone."""
        for value in inputs((*program.before, *values)):
            if not value.varies:
                place = value.attribute.place
                self.names[value] = self.load(f"%u{place}", "%numbers", place)
        self.operations(program.before, "b")

    def operations(self, values: Sequence[Value], letter: str) -> None:
        """Print the operations in order."""
        for number, value in enumerate(values):
            text = _TEMPLATES[value.operation].format(*map(self.operand, value.arguments), **self.types)
            self.lines.append(f"%{letter}{number} = {text}")
            self.names[value] = f"%{letter}{number}"


def _print_tile(program: Program) -> str:
    """Print ``tile``: ``rows`` points to the examples' rows, of which ``count`` from ``offset`` on are taken."""
    size = np.dtype(program.dtype).itemsize
    lanes = vector_lanes(program)
    once = _Lines(program)
    each = _Lines(program, lanes)
    scalar, vector = once.types["f"], each.types["f"]
    once.uniforms(program, (*program.example, *program.sums))
    for value, name in list(once.names.items()):
        each.names[value] = _splat(once.lines, name, once.kinds[value.kind], lanes)
    for value in inputs((*program.example, *program.sums)):
        if value.varies:
            place = value.attribute.place
            once.lines.append(f"%row{place}.at = getelementptr ptr, ptr %rows, i64 {place}")
            once.lines.append(f"%row{place} = load ptr, ptr %row{place}.at")
            each.lines.append(f"%x{place}.at = getelementptr {scalar}, ptr %row{place}, i64 %at")
            each.lines.append(f"%x{place} = load {vector}, ptr %x{place}.at, align {size}")
            each.names[value] = f"%x{place}"
    each.operations(program.example, "v")
    for s, value in enumerate(program.sums):
        term = value.arguments[0]
        each.lines.append(f"%sum{s}.row = getelementptr {scalar}, ptr %lanesums, i64 {s * LANES}")
        each.lines.append(f"%sum{s}.at = getelementptr {scalar}, ptr %sum{s}.row, i64 %lane")
        each.lines.append(f"%sum{s} = load {vector}, ptr %sum{s}.at, align {lanes * size}")
        each.lines.append(f"%sum{s}.new = fadd {vector} %sum{s}, {each.operand(term)}")
        each.lines.append(f"%sum{s}.kept = select <{lanes} x i1> %here, {vector} %sum{s}.new, {vector} %sum{s}")
        each.lines.append(f"store {vector} %sum{s}.kept, ptr %sum{s}.at, align {lanes * size}")
    counts: list[str] = []
    count = _splat(counts, "%count32", "i32", lanes)
    starts: list[str] = []
    start = _splat(starts, "%j32", "i32", lanes)
    ramp = ", ".join(f"i32 {lane}" for lane in range(lanes))
    newline = "\n  "
    return f"""
define internal void @tile(ptr noalias %rows, i64 %offset, i64 %count, ptr noalias %numbers,
                           ptr noalias %lanesums, ptr noalias %out) noinline {{
entry:
  %count32 = trunc i64 %count to i32
  {newline.join(counts)}
{once}
  br label %clear
clear:
  %c = phi i64 [ 0, %entry ], [ %c.next, %clear ]
  %c.row = mul i64 %c, {LANES}
  %c.at = getelementptr {scalar}, ptr %lanesums, i64 %c.row
  store <{LANES} x {scalar}> zeroinitializer, ptr %c.at, align 64
  %c.next = add i64 %c, 1
  %c.more = icmp slt i64 %c.next, {len(program.sums)}
  br i1 %c.more, label %clear, label %row
row:
  %j = phi i64 [ 0, %clear ], [ %j.next, %row ]
  %at = add i64 %offset, %j
  %j32 = trunc i64 %j to i32
  {newline.join(starts)}
  %lane = and i64 %j, {LANES - 1}
  %example = add <{lanes} x i32> {start}, <{ramp}>
  %here = icmp slt <{lanes} x i32> %example, {count}
{each}
  %j.next = add i64 %j, {lanes}
  %j.more = icmp slt i64 %j.next, %count
  br i1 %j.more, label %row, label %sum
sum:
  %s = phi i64 [ 0, %row ], [ %s.next, %sum ]
  %s.row = mul i64 %s, {LANES}
  %s.at = getelementptr {scalar}, ptr %lanesums, i64 %s.row
  %h{LANES} = load <{LANES} x {scalar}>, ptr %s.at, align 64
  {newline.join(_halving(scalar))}
  %s.sum = extractelement <1 x {scalar}> %h1, i64 0
  %s.out = getelementptr {scalar}, ptr %out, i64 %s
  store {scalar} %s.sum, ptr %s.out
  %s.next = add i64 %s, 1
  %s.more = icmp slt i64 %s.next, {len(program.sums)}
  br i1 %s.more, label %sum, label %exit
exit:
  ret void
}}"""


def _print_tree(program: Program) -> str:
    """Print ``tree``: it adds n rows of sums in place; row 0 becomes the total."""
    row = padded_sums(program)
    scalar = _SCALARS[program.dtype][0]
    vector = f"<{PAD} x {scalar}>"
    size = np.dtype(program.dtype).itemsize
    return f"""
define internal void @tree(ptr noalias %parts, i64 %n) noinline {{
entry:
  br label %level
level:
  %width = phi i64 [ 1, %entry ], [ %width.next, %level.end ]
  %width.next = mul i64 %width, 2
  %open = icmp slt i64 %width, %n
  br i1 %open, label %pair, label %exit
pair:
  %left = phi i64 [ 0, %level ], [ %left.next, %pair.end ]
  %right = add i64 %left, %width
  %both = icmp slt i64 %right, %n
  br i1 %both, label %add, label %level.end
add:
  %k = phi i64 [ 0, %pair ], [ %k.next, %add ]
  %left.row = mul i64 %left, {row}
  %right.row = mul i64 %right, {row}
  %left.k = add i64 %left.row, %k
  %right.k = add i64 %right.row, %k
  %left.at = getelementptr {scalar}, ptr %parts, i64 %left.k
  %right.at = getelementptr {scalar}, ptr %parts, i64 %right.k
  %a = load {vector}, ptr %left.at, align {size}
  %b = load {vector}, ptr %right.at, align {size}
  %total = fadd {vector} %a, %b
  store {vector} %total, ptr %left.at, align {size}
  %k.next = add i64 %k, {PAD}
  %k.more = icmp slt i64 %k.next, {row}
  br i1 %k.more, label %add, label %pair.end
pair.end:
  %left.next = add i64 %left, %width.next
  br label %pair
level.end:
  br label %level
exit:
  ret void
}}"""


def _print_run(program: Program) -> str:
    """Print ``run``: set by set the iterations of one thread, whose chunks of tiles are first to last."""
    size = np.dtype(program.dtype).itemsize
    row = padded_sums(program)
    follow = _Lines(program)
    scalar = follow.types["f"]
    follow.uniforms(program, (*program.after, *program.outputs))
    for s, value in enumerate(program.sums):
        follow.names[value] = follow.load(f"%s{s}", "%total", s)
    follow.operations(program.after, "r")
    for k, value in enumerate(program.outputs):
        follow.lines.append(f"%out{k} = getelementptr {scalar}, ptr %numbers, i64 {k}")
        follow.lines.append(f"store {scalar} {follow.operand(value)}, ptr %out{k}")
    return f"""
define void @run(i64 %thread, i64 %threads, i64 %full, i64 %rest, i64 %chunks, i64 %chunktiles, i64 %sets,
                 i64 %iterations, ptr noalias %rows, ptr noalias %tailrows, ptr noalias %setnumbers, ptr %partial,
                 ptr %arrived, ptr noalias %total) {{
entry:
  %all.size = mul i64 %chunks, {row}
  %all.bytes = mul i64 %all.size, {size}
  %tilesums = getelementptr {scalar}, ptr %total, i64 %all.size
  %lanesums = alloca {scalar}, i64 {len(program.sums) * LANES}, align 64
  %isrest = icmp sgt i64 %rest, 0
  %resttiles = zext i1 %isrest to i64
  %tiles = add i64 %full, %resttiles
  %first.scaled = mul i64 %chunks, %thread
  %first = sdiv i64 %first.scaled, %threads
  %thread.next = add i64 %thread, 1
  %last.scaled = mul i64 %chunks, %thread.next
  %last = sdiv i64 %last.scaled, %threads
  br label %set
set:
  %n = phi i64 [ 0, %entry ], [ %n.next, %set.end ]
  %n.k = mul i64 %n, {program.state_size}
  %numbers = getelementptr {scalar}, ptr %setnumbers, i64 %n.k
  %it.first = mul i64 %n, %iterations
  %it.last = add i64 %it.first, %iterations
  br label %iteration
iteration:
  %it = phi i64 [ %it.first, %set ], [ %it.next, %follow ]
  %it.next = add i64 %it, 1
  %odd = and i64 %it, 1
  %sums.k = mul i64 %odd, %all.size
  %sums = getelementptr {scalar}, ptr %partial, i64 %sums.k
  br label %chunk
chunk:
  %c = phi i64 [ %first, %iteration ], [ %c.next, %chunk.end ]
  %c.mine = icmp slt i64 %c, %last
  br i1 %c.mine, label %chunk.start, label %arrive
chunk.start:
  %t.first = mul i64 %c, %chunktiles
  %t.far = add i64 %t.first, %chunktiles
  %t.over = icmp sgt i64 %t.far, %tiles
  %t.last = select i1 %t.over, i64 %tiles, i64 %t.far
  br label %tile
tile:
  %t = phi i64 [ %t.first, %chunk.start ], [ %t.next, %tile ]
  %t.full = icmp slt i64 %t, %full
  %t.rows = select i1 %t.full, ptr %rows, ptr %tailrows
  %t.start = mul i64 %t, {TILE}
  %t.offset = select i1 %t.full, i64 %t.start, i64 0
  %t.count = select i1 %t.full, i64 {TILE}, i64 %rest
  %t.place = sub i64 %t, %t.first
  %t.k = mul i64 %t.place, {row}
  %t.out = getelementptr {scalar}, ptr %tilesums, i64 %t.k
  call void @tile(ptr %t.rows, i64 %t.offset, i64 %t.count, ptr %numbers, ptr %lanesums, ptr %t.out)
  %t.next = add i64 %t, 1
  %t.more = icmp slt i64 %t.next, %t.last
  br i1 %t.more, label %tile, label %chunk.end
chunk.end:
  %c.tiles = sub i64 %t.last, %t.first
  call void @tree(ptr %tilesums, i64 %c.tiles)
  %c.k = mul i64 %c, {row}
  %c.out = getelementptr {scalar}, ptr %sums, i64 %c.k
  call void @llvm.memcpy.p0.p0.i64(ptr %c.out, ptr %tilesums, i64 {row * size}, i1 false)
  %c.next = add i64 %c, 1
  br label %chunk
arrive:
  %before = atomicrmw add ptr %arrived, i64 1 release
  %goal = mul i64 %it.next, %threads
  br label %wait
wait:
  %spins = phi i64 [ 0, %arrive ], [ %spins.next, %look ], [ 0, %yield ]
  %now = load atomic i64, ptr %arrived acquire, align 8
  %complete = icmp sge i64 %now, %goal
  br i1 %complete, label %follow, label %look
look:
  %spins.next = add i64 %spins, 1
  %tired = icmp sgt i64 %spins.next, {SPINS}
  br i1 %tired, label %yield, label %wait
yield:
  %yielded = call i32 @nn_backend_yield()
  br label %wait
follow:
  call void @llvm.memcpy.p0.p0.i64(ptr %total, ptr %sums, i64 %all.bytes, i1 false)
  call void @tree(ptr %total, i64 %chunks)
{follow}
  %again = icmp slt i64 %it.next, %it.last
  br i1 %again, label %iteration, label %set.end
set.end:
  %n.next = add i64 %n, 1
  %n.more = icmp slt i64 %n.next, %sets
  br i1 %n.more, label %set, label %exit
exit:
  ret void
}}
"""


def _splat(lines: list[str], name: str, kind: str, lanes: int) -> str:
    """Print a vector with a scalar in every lane, and give its name."""
    vector = f"<{lanes} x {kind}>"
    lines.append(f"{name}.one = insertelement {vector} poison, {kind} {name}, i64 0")
    zeros = f"<{lanes} x i32> zeroinitializer"
    lines.append(f"{name}.all = shufflevector {vector} {name}.one, {vector} poison, {zeros}")
    return f"{name}.all"


def _halving(scalar: str) -> Iterator[str]:
    """Print the sum of the lanes: the upper half is added to the lower until one is left."""
    half = LANES // 2
    while half:
        vector = f"<{2 * half} x {scalar}>"
        for part, first in (("low", 0), ("high", half)):
            lanes = ", ".join(f"i32 {first + lane}" for lane in range(half))
            yield f"%{part}{half} = shufflevector {vector} %h{2 * half}, {vector} poison, <{half} x i32> <{lanes}>"
        yield f"%h{half} = fadd <{half} x {scalar}> %low{half}, %high{half}"
        half //= 2


def _hex(number: float) -> str:
    """Give a constant as LLVM writes it exactly: the bits of the double, for floats too."""
    return "0x" + struct.pack(">d", number).hex().upper()
