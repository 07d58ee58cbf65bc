"""Prints a plan for very little data: a vector has a number of each of 16 networks, which see one example at a time.

Where a network's examples fit into the lanes of one row, a tile is mostly zeros. Here the lanes are networks instead;
the operations, and the order of additions, are those of a tile, so the bits are as well. Arrays of networks stand
transposed: an element of all 16 side by side.
"""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager

from nn_backend.compiler.llvm import Printer
from nn_backend.compiler.loops import Index
from nn_backend.compiler.plan import Group, Slots, split
from nn_backend.compiler.program import LANES, PAD, STRIP, Value
from nn_backend.compiler.threads import environment, load_fields

WIDTH = PAD
BLOCK = 4  # rows and columns of terms that are printed one after the other


class LanesJob(ctypes.Structure):
    """What one call of ``run`` is about: some blocks of 16 networks, one after the other."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in ("blocks", "m", "iterations")),
        *((name, ctypes.c_void_p) for name in ("examples", "states", "allnumbers", "allresults", "allprogress")),
        *((name, ctypes.c_void_p) for name in ("scratch", "terms", "next")),
    )


class LanesPrinter(Printer):
    """Prints the functions example, add and follow, and with them run."""

    def print(self) -> str:
        """Return the module."""
        self.row_registers = WIDTH // self.lanes_width
        self.together = max(1, 8 // self.row_registers)
        kind, suffix = self.types["f"], self.types["suffix"]
        arity = {"fabs": 1, "sqrt": 1, "fma": 3}
        intrinsics = [f"declare {kind} @llvm.{f}.{suffix}({', '.join([kind] * n)})" for f, n in arity.items()]
        intrinsics.append("declare i64 @llvm.smin.i64(i64, i64)")
        names = ("examples", "state", "numbers", "scratch", "sums")
        example = f"void @example(i64 %j, {', '.join(f'ptr noalias %{name}' for name in names)})"
        arrays = ("total", "state", "numbers", "next", "ended")
        follow = f"void @follow({', '.join(f'ptr noalias %{name}' for name in arrays)})"
        functions = [
            self.function(example, self.example),
            self.function("void @add(i64 %m, ptr noalias %terms)", self.add),
            self.function(follow, self.follow),
        ]
        return "\n".join([*intrinsics, *functions, self.run()])

    # ---- where numbers are

    def at(self, slots: Slots, value: Value, strip: Index, row: Index) -> Index:
        width = STRIP if slots is self.plan.examples else WIDTH
        return (row + slots.first[value]) * width

    def load(self, array: str, at: Index) -> str:
        if array == "examples":  # the same for all networks
            one = self.name(f"load {self.scalar}, ptr {self.address(array, at + Index((('%j', 1),)))}")
            return self.splat(one, self.scalar)
        return super().load(array, at if array == "scratch" else at * WIDTH)

    def number(self, array: str, at: Index) -> str:
        if (array, at) not in self._numbers:
            self._numbers[array, at] = super().load(array, at * WIDTH)
        return self._numbers[array, at]

    def store(self, array: str, at: Index, name: str) -> None:
        super().store(array, at if array == "scratch" else at * WIDTH, name)

    def store_row(self, array: str, at: Index, name: str) -> None:
        self.store(array, at, name)

    @contextmanager
    def strip(self) -> Iterator[Index]:
        yield Index()

    @contextmanager
    def elements(self, size: int) -> Iterator[Index]:
        with self.counted(size) as k:
            yield k

    def test(self, number: int, truth: str, at: Index, size: int) -> None:
        bits, failed = self.types["b"], self._failed[number]
        wrong = self.name(f"xor {bits} {truth}, splat (i1 true)")
        before = self.name(f"load {bits}, ptr {failed}")
        self.do(f"store {bits} {self.name(f'or {bits} {before}, {wrong}')}, ptr {failed}")

    # ---- the functions

    def example(self) -> None:
        """Print what is done with an example, and the terms that it has in the sums."""
        for nest in self.plan.nests:
            self.nest(nest)
        for group in self.plan.groups:
            self.group(group)
        self.do("ret void")

    def group(self, group: Group) -> None:
        """Print an example's terms of a group: the lane's sum, to which those of missing examples have been added."""
        left, right, offsets = group.left, group.right, self.plan.sums.offsets
        zero, none = "zeroinitializer", Index()
        columns = split(right.rows, BLOCK) if right is not None else []
        for rows in split(left.rows, BLOCK):
            with self.loop(rows.count) as number:
                row = number * rows.size + rows.first
                factors = [self.load(*self.place(left, none, row + u)) for u in range(rows.size)]
                for u, factor in enumerate(factors if group.single is not None else ()):
                    term = self.emit("add", self.emit("add", zero, factor), zero)
                    self.store("sums", row + (u + offsets[group.single]), term)
                for part in columns:
                    with self.loop(part.count) as other:
                        column = other * part.size + part.first
                        for c in range(part.size):
                            assert right is not None
                            x = self.load(*self.place(right, none, column + c))
                            for u, factor in enumerate(factors):
                                term = self.emit("add", self.emit("fma", factor, x, zero), zero)
                                place = (row + u) * right.rows + column + (c + offsets[group.product])
                                self.store("sums", place, term)

    def add(self) -> None:
        """Print the halving of the lanes: to the first examples' terms are added those of others, where they exist."""
        row, half = self.plan.sums.size, LANES
        count = sum(rows * columns for rows, columns in self.plan.sums.shapes.values())
        while half > 1 and count:
            half //= 2
            self.do(f"%left{half} = sub i64 %m, {half}")
            self.do(f"%some{half} = icmp sgt i64 %left{half}, 0")
            self.do(f"br i1 %some{half}, label %halve{half}, label %halved{half}")
            self.label(f"halve{half}")
            lanes = self.name(f"call i64 @llvm.smin.i64(i64 %left{half}, i64 {half})")
            with self.counted(lanes) as lane, self.counted(count) as k:
                low, high = lane * row + k, lane * row + k + half * row
                self.store("terms", low, self.emit("add", self.load("terms", low), self.load("terms", high)))
            self.do(f"br label %halved{half}")
            self.label(f"halved{half}")
        self.do("ret void")

    def follow(self) -> None:
        """Print what follows from the sums, and for each network the number of the ending that is reached, or 0."""
        bits, codes, endings = self.types["b"], f"<{WIDTH} x i64>", self.program.endings.values()
        self._failed = [self.slot(bits) for _ in endings]
        for failed in self._failed:
            self.do(f"store {bits} zeroinitializer, ptr {failed}")
        super(Printer, self).follow()
        reached = "zeroinitializer"
        for number, (failed, ending) in enumerate(zip(self._failed, endings, strict=True), start=1):
            some = self.name(f"load {bits}, ptr {failed}")
            yes, no = (reached, f"splat (i64 {number})") if ending.holds else (f"splat (i64 {number})", reached)
            reached = self.name(f"select {bits} {some}, {codes} {yes}, {codes} {no}")
        self.do(f"store {codes} {reached}, ptr %ended, align 64")
        self.do("ret void")

    def run(self) -> str:
        """Return ``run``: for each block of networks the iterations, until all have ended."""
        plan, codes, bits = self.plan, f"<{WIDTH} x i64>", f"<{WIDTH} x i1>"
        declare, enter, leave = environment(self.architecture)
        goal = "state" if plan.is_step else "results"

        def at(array: str, factor: int, base: str) -> str:
            return (
                f"%{array}.k = mul i64 %n, {factor * WIDTH}\n"
                f"  %{array} = getelementptr {self.scalar}, ptr %{base}, i64 %{array}.k"
            )

        return f"""
declare i1 @llvm.vector.reduce.or.v{WIDTH}i1({bits})
{declare}
define void @run(ptr %job) {{
entry:
  {load_fields(LanesJob)}
  %ended = alloca {codes}, align 64
  {enter}
  br label %block
block: ; of each network's progress, first the numbers of the endings, then the iterations done
  %n = phi i64 [ 0, %entry ], [ %n.next, %block.end ]
  {at("state", plan.state.size, "states")}
  {at("numbers", plan.numbers.size, "allnumbers")}
  {at("results", plan.results.size, "allresults")}
  %progress.k = mul i64 %n, {2 * WIDTH}
  %progress = getelementptr i64, ptr %allprogress, i64 %progress.k
  %done.at = getelementptr i64, ptr %progress, i64 {WIDTH}
  %over = load {codes}, ptr %progress, align 64
  %going.before = icmp eq {codes} %over, zeroinitializer
  %some.before = call i1 @llvm.vector.reduce.or.v{WIDTH}i1({bits} %going.before)
  br i1 %some.before, label %iteration, label %block.end
iteration:
  %i = phi i64 [ 0, %block ], [ %i.next, %taken ]
  br label %example
example:
  %j = phi i64 [ 0, %iteration ], [ %j.next, %example ]
  %sums.k = mul i64 %j, {plan.sums.size * WIDTH}
  %sums = getelementptr {self.scalar}, ptr %terms, i64 %sums.k
  call void @example(i64 %j, ptr %examples, ptr %state, ptr %numbers, ptr %scratch, ptr %sums)
  %j.next = add i64 %j, 1
  %j.more = icmp slt i64 %j.next, %m
  br i1 %j.more, label %example, label %follow
follow:
  call void @add(i64 %m, ptr %terms)
  call void @follow(ptr %terms, ptr %state, ptr %numbers, ptr %next, ptr %ended)
  %reached = load {codes}, ptr %ended, align 64
  %before = load {codes}, ptr %progress, align 64
  %active = icmp eq {codes} %before, zeroinitializer
  %now = select {bits} %active, {codes} %reached, {codes} %before
  %goes = icmp eq {codes} %now, zeroinitializer
  store {codes} %now, ptr %progress, align 64
  %done = load {codes}, ptr %done.at, align 64
  %one = zext {bits} %goes to {codes}
  %done.now = add {codes} %done, %one
  store {codes} %done.now, ptr %done.at, align 64
  br label %take
take: ; but for networks whose run ends, the next state
  %k = phi i64 [ 0, %follow ], [ %k.next, %take ]
  %k.at = mul i64 %k, {WIDTH}
  %new.at = getelementptr {self.scalar}, ptr %next, i64 %k.at
  %old.at = getelementptr {self.scalar}, ptr %{goal}, i64 %k.at
  %new = load {self.vector}, ptr %new.at, align 64
  %old = load {self.vector}, ptr %old.at, align 64
  %kept = select {bits} %goes, {self.vector} %new, {self.vector} %old
  store {self.vector} %kept, ptr %old.at, align 64
  %k.next = add i64 %k, 1
  %k.more = icmp slt i64 %k.next, {plan.results.size}
  br i1 %k.more, label %take, label %taken
taken:
  %i.next = add i64 %i, 1
  %i.more = icmp slt i64 %i.next, %iterations
  %some = call i1 @llvm.vector.reduce.or.v{WIDTH}i1({bits} %goes)
  %more = and i1 %i.more, %some
  br i1 %more, label %iteration, label %block.end
block.end:
  %n.next = add i64 %n, 1
  %n.more = icmp slt i64 %n.next, %blocks
  br i1 %n.more, label %block, label %exit
exit:
  {leave}
  ret void
}}
"""
