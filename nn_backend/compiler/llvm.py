"""Prints a plan as LLVM IR, the sizes as constants.

``tile`` takes a tile of examples through the nests and groups of the plan, ``merge`` adds a row of sums to another,
``follow`` computes what follows from the sums; `threads` has what calls them. A row of a strip is a vector, which LLVM
cuts into the processor's registers. Variables are allocas: LLVM's pass ``sroa`` turns them into registers.
"""

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import NamedTuple

import numpy as np

from nn_backend.compiler.loops import Index, Loops
from nn_backend.compiler.memory import LINE
from nn_backend.compiler.plan import Part, Plan
from nn_backend.compiler.program import LANES, PAD, STRIP, Value
from nn_backend.compiler.threads import print_run

_TYPES = {"float64": ("double", "i64", "f64"), "float32": ("float", "i32", "f32")}
_TEMPLATES = {
    "add": "fadd {f} {0}, {1}",
    "sub": "fsub {f} {0}, {1}",
    "mul": "fmul {f} {0}, {1}",
    "div": "fdiv {f} {0}, {1}",
    "fma": "call {f} @llvm.fma.{suffix}({f} {0}, {f} {1}, {f} {2})",
    "neg": "fneg {f} {0}",
    "abs": "call {f} @llvm.fabs.{suffix}({f} {0})",
    "sqrt": "call {f} @llvm.sqrt.{suffix}({f} {0})",
    "less": "fcmp olt {f} {0}, {1}",
    "less_equal": "fcmp ole {f} {0}, {1}",
    "equal": "fcmp oeq {f} {0}, {1}",
    "select": "select {b} {0}, {f} {1}, {f} {2}",
    "to_bits": "bitcast {f} {0} to {i}",
    "from_bits": "bitcast {i} {0} to {f}",
    "int_add": "add {i} {0}, {1}",
    "int_sub": "sub {i} {0}, {1}",
    "shift_left": "shl {i} {0}, {1}",
    "shift_right": "ashr {i} {0}, {1}",
}


class Target(NamedTuple):
    """A processor to compile for, as LLVM names it, and its vector registers. It decides the speed, not the bits."""

    triple: str
    cpu: str
    features: str = ""
    registers: int = 16
    vector_bytes: int = 16


class Printer(Loops):
    """Prints the functions tile, merge and follow, and with them run.

    Parameters
    ----------
    plan : Plan
        What to print.
    target : Target
        The processor.
    """

    stride = PAD  # elements of an array that one operation works on, in what follows from the sums

    def __init__(self, plan: Plan, target: Target) -> None:
        super().__init__(plan)
        self.target = target
        self.architecture = target.triple.partition("-")[0]
        vector_bytes = target.vector_bytes
        self.scalar, self.integer, self.suffix = _TYPES[self.program.dtype]
        self.size = np.dtype(self.program.dtype).itemsize
        self.registers = target.registers - 1
        self.row_registers = STRIP * self.size // vector_bytes
        self.lanes_width = min(LANES, vector_bytes // self.size)
        self.lane_parts = LANES // self.lanes_width
        self.together = max(1, 8 // self.row_registers)
        self.lines: list[str] = []
        self.allocas: list[str] = []
        self._count = 0
        self._numbers: dict[tuple[str, Index], str] = {}
        self._indices: dict[Index, str] = {}
        self.wide(PAD)

    def wide(self, width: int) -> None:
        """Have operations work on so many numbers at a time; LLVM cuts vectors into registers."""
        self.width, self.align = width, min(LINE, width * self.size)
        self.vector = f"<{width} x {self.scalar}>"
        integers, bits = f"<{width} x {self.integer}>", f"<{width} x i1>"
        self.types = {"f": self.vector, "i": integers, "b": bits, "suffix": f"v{width}{self.suffix}"}

    # ---- lines

    def do(self, text: str) -> None:
        """Print a line."""
        self.lines.append(f"  {text}")

    def name(self, text: str) -> str:
        """Print a line that computes something; return its new name."""
        self._count += 1
        self.do(f"%v{self._count} = {text}")
        return f"%v{self._count}"

    def label(self, text: str) -> None:
        """Begin a block of the function."""
        self._numbers.clear()
        self._indices.clear()
        self.lines.append(f"{text}:")

    def slot(self, kind: str) -> str:
        """Print a variable of a type at the function's entry."""
        self._count += 1
        self.allocas.append(f"  %a{self._count} = alloca {kind}, align 64")
        return f"%a{self._count}"

    @contextmanager
    def counted(self, count: int | str, first: int = 0) -> Iterator[Index]:
        """Print a loop from ``first`` to below ``count``, at least once; one of a single round is no loop."""
        if count == first + 1:
            yield Index(constant=first)
            return
        counter = self.slot("i64")
        self._count += 1
        again, end = f"loop{self._count}", f"loop{self._count}.end"
        self.do(f"store i64 {first}, ptr {counter}")
        self.do(f"br label %{again}")
        self.label(again)
        here = self.name(f"load i64, ptr {counter}")
        yield Index(((here, 1),))
        following = self.name(f"add nuw nsw i64 {here}, 1")
        self.do(f"store i64 {following}, ptr {counter}")
        self.do(f"br i1 {self.name(f'icmp slt i64 {following}, {count}')}, label %{again}, label %{end}")
        self.label(end)

    def index(self, at: Index) -> str:
        """Print the computation of an index, once in a block."""
        if at in self._indices:
            return self._indices[at]
        total = self.index(at._replace(constant=0)) if at.terms and at.constant else ""
        for name, factor in at.terms if not total else ():
            term = name if factor == 1 else self.name(f"mul nuw nsw i64 {name}, {factor}")
            total = self.name(f"add nuw nsw i64 {total}, {term}") if total else term
        if total and at.constant:
            total = self.name(f"add nuw nsw i64 {total}, {at.constant}")
        self._indices[at] = total or str(at.constant)
        return self._indices[at]

    def address(self, array: str, at: Index) -> str:
        """Print the address of an element."""
        return self.name(f"getelementptr inbounds {self.scalar}, ptr %{array}, i64 {self.index(at)}")

    # ---- what loops are made of

    def emit(self, operation: str, *operands: str) -> str:
        return self.name(_TEMPLATES[operation].format(*operands, **self.types))

    def literal(self, value: Value) -> str:
        if value.kind == "i":
            return f"splat ({self.integer} {value.attribute})"
        bits = struct.pack(">d", value.attribute).hex().upper()  # LLVM writes floats, too, as the bits of a double
        return f"splat ({self.scalar} 0x{bits})"

    def number(self, array: str, at: Index) -> str:
        if (array, at) not in self._numbers:
            one = self.name(f"load {self.scalar}, ptr {self.address(array, at)}")
            self._numbers[array, at] = self.splat(one, self.scalar)
        return self._numbers[array, at]

    def splat(self, name: str, kind: str) -> str:
        """Print a vector with a number in every lane."""
        vector, zeros = f"<{self.width} x {kind}>", f"<{self.width} x i32> zeroinitializer"
        first = self.name(f"insertelement {vector} poison, {kind} {name}, i64 0")
        return self.name(f"shufflevector {vector} {first}, {vector} poison, {zeros}")

    def load(self, array: str, at: Index) -> str:
        align = self.size if array == "total" else self.align  # sums stand close together
        return self.name(f"load {self.vector}, ptr {self.address(array, at)}, align {align}")

    def store(self, array: str, at: Index, name: str) -> None:
        self.do(f"store {self.vector} {name}, ptr {self.address(array, at)}, align {self.align}")

    def store_row(self, array: str, at: Index, name: str) -> None:
        zero = f"{self.vector} zeroinitializer"
        self.store(array, at, self.name(f"select {self.types['b']} {self._here}, {self.vector} {name}, {zero}"))

    def loop(self, count: int, first: int = 0) -> AbstractContextManager[Index]:
        return self.counted(count, first)

    def strips(self) -> AbstractContextManager[Index]:
        return self.counted("%strips")

    @contextmanager
    def blocks(self, columns: Part, rows: Part) -> Iterator[tuple[Index, Index]]:
        with self.counted(columns.count) as column, self.counted(rows.count) as row:
            yield column * columns.size + columns.first, row * rows.size + rows.first

    def variable(self, name: str | None = None) -> str:
        variable = self.slot(self.vector)
        self.put(variable, name or "zeroinitializer")
        return variable

    def value(self, variable: str) -> str:
        return self.name(f"load {self.vector}, ptr {variable}")

    def put(self, variable: str, name: str) -> None:
        self.do(f"store {self.vector} {name}, ptr {variable}")

    @contextmanager
    def elements(self, size: int) -> Iterator[Index]:
        with self.counted(-(-size // self.stride)) as k:  # whole vectors: what is behind an array's end does not matter
            yield k * self.stride

    def test(self, number: int, truth: str, at: Index, size: int) -> None:
        bits, lanes = self.types["b"], f"<{PAD} x i64>"
        failed = self.name(f"xor {bits} {truth}, splat (i1 true)")
        if size % self.stride:  # what is behind an array's end has no say
            ramp = ", ".join(f"i64 {lane}" for lane in range(PAD))
            first = self.splat(self.index(at), "i64")
            element = self.name(f"add {lanes} {first}, <{ramp}>")
            inside = self.name(f"icmp slt {lanes} {element}, splat (i64 {size})")
            failed = self.name(f"and {bits} {failed}, {inside}")
        before = self.name(f"load {bits}, ptr {self._failed[number]}")
        self.do(f"store {bits} {self.name(f'or {bits} {before}, {failed}')}, ptr {self._failed[number]}")

    # ---- sums of lanes

    def add_lanes(self, parts: list[list[str]], places: list[Index]) -> None:
        while len(parts) > 1:
            half = len(parts) // 2
            pairs = zip(parts[:half], parts[half:], strict=True)
            parts = [[self.emit("add", a, b) for a, b in zip(low, high, strict=True)] for low, high in pairs]
        w, n, first = self.width, len(places), 0
        halved = [self.halve(parts[0][k : k + w]) for k in range(0, n, w)]
        while first < n:  # sums that stand side by side are stored together
            count = 1
            while first + count < min(n, first + w) and places[first + count] == places[first] + count:
                count += 1
            vector, at = divmod(first, w)
            after = halved[vector + 1] if at + count > w else "poison"
            name = self.shuffle(halved[vector], after, range(at, at + count))
            address = self.address("sums", places[first])
            self.do(f"store <{count} x {self.scalar}> {name}, ptr {address}, align {self.size}")
            first += count

    def halve(self, vectors: list[str]) -> str:
        """Print the halving of up to as many vectors as each has lanes, all at once; lane k becomes the k-th's sum."""
        w, held = self.width, 1  # how many sums' lanes a vector holds
        while held < w:
            lanes = w // held
            low = [number * lanes + lane for number in range(held) for lane in range(lanes // 2)]
            low += [w + k for k in low]
            high = [k + lanes // 2 for k in low]
            pairs = zip(vectors[::2], [*vectors[1::2], "poison"], strict=False)
            vectors = [self.emit("add", self.shuffle(a, b, low), self.shuffle(a, b, high)) for a, b in pairs]
            held *= 2
        return vectors[0]

    def shuffle(self, a: str, b: str, picks: Sequence[int]) -> str:
        """Print a choice among the elements of two vectors."""
        indices = ", ".join(f"i32 {pick}" for pick in picks)
        return self.name(f"shufflevector {self.vector} {a}, {self.vector} {b}, <{len(picks)} x i32> <{indices}>")

    # ---- the functions

    def print(self) -> str:
        """Return the module."""
        intrinsics = self.intrinsics({self.lanes_width, PAD, STRIP})
        names = ("examples", "own", "outputs", "state", "numbers", "scratch", "sums")
        tile = f"tile(i64 %strips, i64 %left, {', '.join(f'ptr noalias %{name}' for name in names)})"
        follow = "follow(ptr noalias %total, ptr noalias %state, ptr noalias %numbers, ptr noalias %next)"
        functions = [
            self.function(f"void @{tile}", self.tile),
            self.function("void @merge(ptr noalias %low, ptr noalias %high)", self.merge),
            self.function(f"i32 @{follow}", self.follow),
        ]
        return "\n".join([*intrinsics, *functions, print_run(self.plan, self.scalar, self.size, self.architecture)])

    def intrinsics(self, widths: Iterable[int]) -> list[str]:
        """Return the declarations of LLVM's functions of vectors of such widths."""
        lines = [f"declare i1 @llvm.vector.reduce.or.v{PAD}i1(<{PAD} x i1>)"]
        for width in sorted(widths):
            self.wide(width)
            kind, suffix = self.types["f"], self.types["suffix"]
            for f, n in (("fabs", 1), ("sqrt", 1), ("fma", 3)):
                lines.append(f"declare {kind} @llvm.{f}.{suffix}({', '.join([kind] * n)})")
        return lines

    def function(self, signature: str, print_body: Callable[[], None]) -> str:
        """Return a function, its variables at its entry."""
        self.lines, self.allocas = [], []
        self.wide(PAD)
        self.label("body")
        print_body()
        lines = ["entry:", *self.allocas, "  br label %body", *self.lines]
        return "\n".join([f"\ndefine internal {signature} noinline {{", *lines, "}"])

    def tile(self) -> None:
        """Print what is done to a tile: its nests, and the sums over its examples."""
        self.wide(STRIP)
        for nest in self.plan.nests:
            self.nest(nest)
        self.wide(self.lanes_width)
        for group in self.plan.groups:
            self.group(group)
        self.do("ret void")

    @contextmanager
    def strip(self) -> Iterator[Index]:
        """Print a loop over the strips of a tile, and which of a strip's examples are there."""
        with self.counted("%strips") as strip:
            left = self.name(f"sub i64 %left, {self.index(strip * STRIP)}")
            if self.integer == "i32":
                left = self.name(f"trunc i64 {left} to i32")
            ramp = ", ".join(f"{self.integer} {lane}" for lane in range(STRIP))
            self._here = self.name(f"icmp sgt {self.types['i']} {self.splat(left, self.integer)}, <{ramp}>")
            yield strip

    def merge(self) -> None:
        """Print the addition of a row of sums to another."""
        if self.plan.sums.size:
            with self.elements(self.plan.sums.size) as k:
                self.store("low", k, self.emit("add", self.load("low", k), self.load("high", k)))
        self.do("ret void")

    def follow(self) -> None:
        """Print what follows from the sums, and the number of the ending that is reached, or 0."""
        bits, endings = self.types["b"], self.program.endings.values()
        self._failed = [self.slot(bits) for _ in endings]
        for failed in self._failed:
            self.do(f"store {bits} zeroinitializer, ptr {failed}")
        super().follow()
        reached = "0"
        for number, (failed, ending) in enumerate(zip(self._failed, endings, strict=True), start=1):
            lanes = self.name(f"load {bits}, ptr {failed}")
            some = self.name(f"call i1 @llvm.vector.reduce.or.v{PAD}i1({bits} {lanes})")
            yes, no = (reached, number) if ending.holds else (number, reached)
            reached = self.name(f"select i1 {some}, i32 {yes}, i32 {no}")
        self.do(f"ret i32 {reached}")
