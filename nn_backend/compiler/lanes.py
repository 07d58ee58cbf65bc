"""Prints a plan for very little data: a vector has a number of each of 16 networks, for a few examples side by side.

Where a network's examples fit into the lanes of one row, a tile is mostly zeros. Here the lanes are networks instead;
the operations, and the order of additions, are those of a tile, so the bits are as well. Arrays of networks stand
transposed, and without padding: an element of all 16 side by side.
"""

import copy
import ctypes
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from nn_backend.compiler.llvm import Printer, Target
from nn_backend.compiler.loops import Index
from nn_backend.compiler.memory import address, zeros
from nn_backend.compiler.plan import Group, Part, Plan, Slots, split
from nn_backend.compiler.pool import pool
from nn_backend.compiler.program import LANES, PAD, STRIP, Layout, Value, in_strips
from nn_backend.compiler.threads import environment, load_fields

WIDTH = PAD
SIDE = 4  # examples side by side at most
REGISTERS = 8  # that they fill: long chains of operations wait for themselves, but too many leave no room
BLOCK = 4  # rows and columns of terms that are printed one after the other


class LanesJob(ctypes.Structure):
    """What one call of ``run`` is about: some blocks of 16 networks, one after the other."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in ("blocks", "iterations")),
        *((name, ctypes.c_void_p) for name in ("examples", "states", "allnumbers", "allresults", "allprogress")),
        *((name, ctypes.c_void_p) for name in ("scratch", "sums", "buffers")),
    )


class LanesPrinter(Printer):
    """Prints the function step, which does an iteration, and with it run.

    Parameters
    ----------
    plan : Plan
        What to print.
    target : Target
        The processor.
    m : int
        How many examples there are, at most 16.

    Notes
    -----
    Examples stand side by side that the halving of lanes adds first: of 16, the first group is 0, 4, 8, 12. So most of
    the terms of a sum meet in registers. Some groups may have one example more than others.
    """

    stride = 1

    def __init__(self, plan: Plan, target: Target, m: int) -> None:
        plan = copy.copy(plan)
        plan.state, plan.results = (Layout(layout.shapes, pad=1) for layout in (plan.state, plan.results))
        super().__init__(plan, target)
        side = max(1, min(SIDE, REGISTERS * self.lanes_width // WIDTH))
        self.groups = min(m, max(1, (1 << (m - 1).bit_length()) // side))
        size, larger = divmod(m, self.groups)
        self.parts = [Part(0, size + 1, larger)] * (larger > 0) + [Part(larger, size, self.groups - larger)]

    def print(self) -> str:
        """Return the module."""
        arrays = ("examples", "state", "numbers", "scratch", "sums", "next")
        signature = f"<{WIDTH} x i64> @step({', '.join(f'ptr noalias %{name}' for name in arrays)})"
        widths = {WIDTH, *map(_width, self.parts)}
        return "\n".join([*self.intrinsics(widths), self.function(signature, self.step), self.run()])

    # ---- where numbers are

    def at(self, slots: Slots, value: Value, strip: Index, row: Index) -> Index:
        if slots is self.plan.examples:
            return (row + slots.first[value]) * STRIP + self._group
        return (row + slots.first[value]) * self.width

    def load(self, array: str, at: Index) -> str:
        """Print a load: of an example's number for all networks, or of a network's for all examples."""
        if array == "scratch":
            return super().load(array, at)
        wide = self.width
        if array == "examples":
            self.wide((wide // WIDTH - 1) * self.groups + 1)
            name = self.name(f"load {self.vector}, ptr {self.address(array, at)}, align {self.size}")
            name = self.shuffle(name, "poison", [lane // WIDTH * self.groups for lane in range(wide)])
        else:
            self.wide(WIDTH)
            name = super().load("sums" if array == "total" else array, at * WIDTH)
            if array == "total":  # each lane has begun with +0, which makes no difference but to -0
                name = self.emit("add", name, "zeroinitializer")
            if wide > WIDTH:
                name = self.shuffle(name, "poison", [lane % WIDTH for lane in range(wide)])
        self.wide(wide)
        return name

    def number(self, array: str, at: Index) -> str:
        if (array, at) not in self._numbers:
            self._numbers[array, at] = self.load(array, at)
        return self._numbers[array, at]

    def store(self, array: str, at: Index, name: str) -> None:
        """Print a store, of terms after a first part of their halving."""
        if array == "scratch":
            super().store(array, at, name)
            return
        wide = self.width
        parts = [self.shuffle(name, "poison", range(k, k + WIDTH)) for k in range(0, wide, WIDTH)]
        self.wide(WIDTH)
        while len(parts) > 1:
            half = len(parts) // 2
            parts = [self.emit("add", low, high) for low, high in zip(parts[:half], parts[half:], strict=True)]
        super().store(array, at * WIDTH, parts[0])
        self.wide(wide)

    @contextmanager
    def strip(self) -> Iterator[Index]:
        yield Index()

    # ---- the functions

    def step(self) -> None:
        """Print an iteration."""
        for part in self.parts:
            self.do(f"br label %examples{part.size}")
            self.label(f"examples{part.size}")
            self.wide(_width(part))
            self.row_registers = self.width // self.lanes_width
            self.together = max(1, REGISTERS // self.row_registers)
            here = (str(lane < part.size * WIDTH).lower() for lane in range(self.width))
            self._here = f"<{', '.join(f'i1 {truth}' for truth in here)}>"
            with self.counted(part.first + part.count, part.first) as self._group:
                for nest in self.plan.nests:
                    self.nest(nest)
                for group in self.plan.groups:
                    self.group(group)
        self.do("br label %total")
        self.label("total")
        self.wide(WIDTH)
        self.add()
        self.follow()

    def group(self, group: Group) -> None:
        """Print some examples' terms of a group's sums."""
        left, right, offsets = group.left, group.right, self.plan.sums.offsets
        none, sums = Index(), self._group * self.plan.sums.size
        columns = split(right.rows, BLOCK) if right is not None else []
        for rows in split(left.rows, BLOCK):
            with self.loop(rows.count) as number:
                row = number * rows.size + rows.first
                factors = [self.load(*self.place(left, none, row + u)) for u in range(rows.size)]
                for u, factor in enumerate(factors if group.single is not None else ()):
                    self.store("sums", sums + row + (u + offsets[group.single]), factor)
                for part in columns:
                    with self.loop(part.count) as other:
                        column = other * part.size + part.first
                        for c in range(part.size):
                            assert right is not None
                            x = self.load(*self.place(right, none, column + c))
                            for u, factor in enumerate(factors):
                                place = (row + u) * right.rows + column + (c + offsets[group.product])
                                self.store("sums", sums + place, self.emit("mul", factor, x))

    def add(self) -> None:
        """Print the rest of the halving: to the first groups' sums are added those of others, or zeros."""
        row, half = self.plan.sums.size, 1 << (self.groups - 1).bit_length()
        while half > 1 and row:
            half //= 2
            with self.counted(half * row) as k:
                self.store("sums", k, self.emit("add", self.load("sums", k), self.load("sums", k + half * row)))

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
        self.do(f"ret {codes} {reached}")

    def run(self) -> str:
        """Return ``run``: for each block of networks the iterations, until all have ended."""
        plan, vector, codes, bits = self.plan, self.vector, f"<{WIDTH} x i64>", f"<{WIDTH} x i1>"
        declare, enter, leave = environment(self.architecture)
        results, store = plan.results.size, "call void @llvm.masked.store"

        def at(array: str, factor: int, base: str, k: str = "%n", kind: str = self.scalar) -> str:
            place = f"%{array} = getelementptr {kind}, ptr %{base}, i64 %{array}.k"
            return f"%{array}.k = mul i64 {k}, {factor * WIDTH}\n  {place}"

        return f"""
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)
declare void @llvm.masked.store.v{WIDTH}{self.suffix}.p0({vector}, ptr, i32, {bits})
declare void @llvm.masked.store.v{WIDTH}i64.p0({codes}, ptr, i32, {bits})
{declare}
define internal void @keep({bits} %which, ptr noalias %from, ptr noalias %results, ptr noalias %progress,
  {codes} %reached, i64 %i) noinline {{ ; what some networks have reached after some iterations
entry: ; of each network's progress, first the numbers of the endings, then the iterations done
  {store}.v{WIDTH}i64.p0({codes} %reached, ptr %progress, i32 64, {bits} %which)
  %done.at = getelementptr i64, ptr %progress, i64 {WIDTH}
  %done = load {codes}, ptr %done.at, align 64
  %i.first = insertelement {codes} poison, i64 %i, i64 0
  %i.all = shufflevector {codes} %i.first, {codes} poison, <{WIDTH} x i32> zeroinitializer
  %done.now = add {codes} %done, %i.all
  {store}.v{WIDTH}i64.p0({codes} %done.now, ptr %done.at, i32 64, {bits} %which)
  br label %row
row:
  %k = phi i64 [ 0, %entry ], [ %k.next, %row ]
  {at("old", 1, "results", "%k")}
  {at("new", 1, "from", "%k")}
  %kept = load {vector}, ptr %new, align 64
  {store}.v{WIDTH}{self.suffix}.p0({vector} %kept, ptr %old, i32 64, {bits} %which)
  %k.next = add i64 %k, 1
  %k.more = icmp slt i64 %k.next, {results}
  br i1 %k.more, label %row, label %exit
exit:
  ret void
}}
define void @run(ptr %job) {{
entry:
  {load_fields(LanesJob)}
  {enter}
  %other = getelementptr {self.scalar}, ptr %buffers, i64 {results * WIDTH}
  br label %block
block:
  %n = phi i64 [ 0, %entry ], [ %n.next, %block.end ]
  {at("state", plan.state.size, "states")}
  {at("numbers", plan.numbers.size, "allnumbers")}
  {at("results", results, "allresults")}
  {at("progress", 2, "allprogress", kind="i64")}
  call void @llvm.memcpy.p0.p0.i64(ptr %buffers, ptr %results, i64 {results * WIDTH * self.size}, i1 false)
  %ended = load {codes}, ptr %progress, align 64
  %active = icmp eq {codes} %ended, zeroinitializer
  %some.active = call i1 @llvm.vector.reduce.or.v{WIDTH}i1({bits} %active)
  br i1 %some.active, label %iteration, label %block.end
iteration: ; from one buffer to the other, for all networks: what those that have ended do is of no account
  %i = phi i64 [ 0, %block ], [ %i.next, %more ]
  %now = phi ptr [ %buffers, %block ], [ %next, %more ]
  %next = phi ptr [ %other, %block ], [ %now, %more ]
  %going = phi {bits} [ %active, %block ], [ %left, %more ]
  %reached = call {codes} @step(ptr %examples, ptr %{"now" if plan.is_step else "state"}, ptr %numbers, ptr %scratch,
    ptr %sums, ptr %next)
  %i.next = add i64 %i, 1
  %at.end = icmp ne {codes} %reached, zeroinitializer
  %ends = and {bits} %at.end, %going
  %some.end = call i1 @llvm.vector.reduce.or.v{WIDTH}i1({bits} %ends)
  br i1 %some.end, label %end, label %more
end: ; before the step, which is left undone
  call void @keep({bits} %ends, ptr %now, ptr %results, ptr %progress, {codes} %reached, i64 %i)
  %others = xor {bits} %going, %ends
  br label %more
more:
  %left = phi {bits} [ %going, %iteration ], [ %others, %end ]
  %i.more = icmp slt i64 %i.next, %iterations
  %some.left = call i1 @llvm.vector.reduce.or.v{WIDTH}i1({bits} %left)
  %go.on = and i1 %i.more, %some.left
  br i1 %go.on, label %iteration, label %last
last:
  call void @keep({bits} %left, ptr %next, ptr %results, ptr %progress, {codes} zeroinitializer, i64 %i.next)
  br label %block.end
block.end:
  %n.next = add i64 %n, 1
  %n.more = icmp slt i64 %n.next, %blocks
  br i1 %n.more, label %block, label %exit
exit:
  {leave}
  ret void
}}
"""


def _width(part: Part) -> int:
    """Return the width of vectors of a part's examples, 3 of them as if they were 4: LLVM is slow at other widths."""
    return (1 << (part.size - 1).bit_length()) * WIDTH


def run_in_lanes(
    function: Any, plan: Plan, examples: int, arrays: tuple[np.ndarray, ...], iterations: int, threads: int
) -> None:
    """Have threads work on blocks of networks that stand side by side: rows of progress, state, numbers and results."""
    progress, state, numbers, results = arrays

    def across(rows: np.ndarray) -> np.ndarray:
        return in_strips({"": rows.T}, zeros, WIDTH)  # type: ignore[no-any-return]

    moved = [across(progress), across(state[:, plan.state.used]), across(numbers)]
    moved.append(moved[1] if plan.is_step else across(results[:, plan.results.used]))
    blocks, last = len(moved[0]), len(state) % WIDTH or WIDTH
    moved[0][-1, 0, last:] = -1  # there are no networks
    shares = [SIDE * plan.scratch.rows, LANES * plan.sums.size, 2 * plan.results.size]
    memory = zeros((threads, sum(shares), WIDTH), plan.program.dtype)
    jobs = []
    for thread in range(threads):
        first, end = (blocks * k // threads for k in (thread, thread + 1))
        job = LanesJob(blocks=end - first, iterations=iterations, examples=examples)
        job.allprogress, job.states, job.allnumbers, job.allresults = (
            address(array) + first * array.strides[0] for array in moved
        )
        begins = itertools.accumulate(shares, initial=0)
        job.scratch, job.sums, job.buffers, *_ = (address(memory[thread, begin:]) for begin in begins)
        jobs.append(job)
    pool.run(lambda k: function(ctypes.byref(jobs[k])), threads, lambda: None)
    for rows, array, columns in ((progress, moved[0], slice(None)), (results, moved[-1], plan.results.used)):
        rows[:, columns] = array.swapaxes(1, 2).reshape(blocks * WIDTH, -1)[: len(state)]
