"""What the threads of a kernel do: their instructions, and the function that carries them out.

In each iteration a thread works on its share of the tiles, waits for the others, adds up the sums of all, and computes
what follows from them: each for itself, so that one barrier is enough.
"""

import ctypes
import functools
import math
from collections.abc import Iterator, Mapping

import numpy as np

from nn_backend.compiler.plan import Plan
from nn_backend.compiler.program import STRIP, TILE

# An instruction is a tile's number, or one of these; PUSH and below: a row of sums that some thread left.
MERGE, WAIT, FOLLOW, PUSH = -1, -2, -3, -4
PAUSE = 50  # microseconds that a thread sleeps after each look at the barrier, once it has looked often enough


class Job(ctypes.Structure):
    """What one call of ``run`` is about: its one argument.

    ``shared`` points to two numbers that all threads of a call see: how often one has arrived at the barrier, and how
    many iterations are done in all. A thread whose ``patience``, in pauses, is at an end lowers the second.
    ``progress`` points to two numbers of each network: of the ending that it has reached, or 0, and of its iterations.
    """

    _fields_ = (
        *((name, ctypes.c_int64) for name in ("networks", "threads", "half", "mine", "length", "spins", "patience")),
        *((name, ctypes.c_void_p) for name in ("spans", "instructions", "given", "allown", "returned", "states")),
        *((name, ctypes.c_void_p) for name in ("allnumbers", "allresults", "allprogress", "shared")),
        *((name, ctypes.c_void_p) for name in ("partial", "scratch", "stack", "next")),
    )


@functools.lru_cache(maxsize=256)
def schedule(tiles: tuple[int, ...], threads: int, thread: int, rows: int) -> np.ndarray:
    """Return what a thread does in an iteration, for each number of tiles a row of instructions for the kernel.

    Notes
    -----
    A thread has a run of tiles, whose sums it adds up to as few nodes of the tree as that allows: they are the first
    rows of its stack, which has ``rows`` rows. Shares are equal but for some 3 %, rounded to few nodes. When all
    threads have arrived, each adds up the nodes of all.
    """
    lists = [_instructions(count, threads, thread, rows) for count in tiles]
    result = np.full((len(lists), max(map(len, lists))), FOLLOW, np.int32)
    for row, codes in zip(result, lists, strict=True):
        row[: len(codes)] = codes
    return result


def _instructions(tiles: int, threads: int, thread: int, rows: int) -> list[int]:
    codes: list[int] = []

    def add(first: int, n: int, leaves: Mapping[tuple[int, int], int]) -> None:
        """Put the sum of n tiles on the stack; see `interpreter.add_tree`."""
        if (first, n) in leaves or n == 1:
            codes.append(leaves.get((first, n), first))
        else:
            k = 1 << (n - 1).bit_length() - 1
            add(first, k, leaves)
            add(first + k, n - k, leaves)
            codes.append(MERGE)

    if threads == 1:
        add(0, tiles, {})
    else:
        grain = 1 << (tiles // (16 * threads) | 1).bit_length() - 1
        # A half is rounded down: the last tile is the one that may be small.
        bounds = [*(math.ceil(tiles * k / threads / grain - 0.5) * grain for k in range(threads)), tiles]
        nodes = {}
        for k in range(threads):
            for row, (first, n) in enumerate(_nodes(bounds[k], bounds[k + 1])):
                nodes[first, n] = PUSH - (k * rows + row)
                if k == thread:
                    add(first, n, {})
        codes.append(WAIT)
        add(0, tiles, nodes)
    return [*codes, FOLLOW]


def _nodes(first: int, last: int) -> Iterator[tuple[int, int]]:
    """Return the largest nodes of the tree that a run of tiles is made of: first tile and number of each."""
    while first < last:
        fitting = 1 << (last - first).bit_length() - 1
        n = min(fitting, first & -first or fitting)
        yield first, n
        first += n


# How a processor is made to round to nearest, keep subnormal numbers and mask exceptions, as the definition has it,
# whatever the caller's program has set; and how that is restored. Declarations, at the entry, at the exit.
_ENVIRONMENTS = {
    "x86_64": (
        "declare void @llvm.x86.sse.stmxcsr(ptr)\ndeclare void @llvm.x86.sse.ldmxcsr(ptr)\n",
        "%callers = alloca i32\n  call void @llvm.x86.sse.stmxcsr(ptr %callers)\n  %ours = alloca i32\n"
        "  store i32 8064, ptr %ours\n  call void @llvm.x86.sse.ldmxcsr(ptr %ours)",  # 0x1f80, as at a process's start
        "call void @llvm.x86.sse.ldmxcsr(ptr %callers)",
    ),
    "aarch64": (
        "declare i64 @llvm.aarch64.get.fpcr()\ndeclare void @llvm.aarch64.set.fpcr(i64)\n",
        "%callers = call i64 @llvm.aarch64.get.fpcr()\n  call void @llvm.aarch64.set.fpcr(i64 0)",
        "call void @llvm.aarch64.set.fpcr(i64 %callers)",
    ),
}
_ENVIRONMENTS["arm64"] = _ENVIRONMENTS["aarch64"]  # as Apple calls it


def environment(architecture: str) -> tuple[str, str, str]:
    """Return declarations, and how ``run`` sets the floating-point environment and restores the caller's."""
    return _ENVIRONMENTS.get(architecture, ("", "", ""))


def load_fields(job: type[ctypes.Structure]) -> str:
    """Return the loads of a job's fields, each under its name."""
    fields = [(name, "i64" if kind is ctypes.c_int64 else "ptr") for name, kind, *_ in job._fields_]
    return "\n  ".join(
        f"%{name}.at = getelementptr i64, ptr %job, i64 {k}\n  %{name} = load {kind}, ptr %{name}.at"
        for k, (name, kind) in enumerate(fields)
    )


def print_run(plan: Plan, scalar: str, size: int, architecture: str) -> str:
    """Return ``run`` as LLVM IR: for each network, and in each iteration, the instructions of a thread in turn."""
    sums, results, goal = plan.sums.size, plan.results.size, "state" if plan.is_step else "results"
    declare, enter, leave = environment(architecture)

    def at(array: str, k: str, factor: int, base: str) -> str:
        place = f"%{array} = getelementptr {scalar}, ptr {base}, i64 %{array}.k"
        return f"%{array}.k = mul i64 {k}, {factor}\n  {place}"

    return f"""
declare i32 @nn_backend_pause(i32)
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)
declare i64 @llvm.smin.i64(i64, i64)
{declare}
define void @run(ptr %job) {{
entry:
  {load_fields(Job)}
  %last = getelementptr i64, ptr %shared, i64 1
  {enter}
  br label %network
network: ; a span is a network's first strip, examples, first strip of its own and of outputs, and row of instructions
  %n = phi i64 [ 0, %entry ], [ %n.next, %network.next ]
  %progress.k = mul i64 %n, 2
  %progress = getelementptr i64, ptr %allprogress, i64 %progress.k
  %ended = load i64, ptr %progress
  %over = icmp ne i64 %ended, 0
  %span.k = mul i64 %n, 4
  %span = getelementptr i64, ptr %spans, i64 %span.k
  %span.all = load <4 x i64>, ptr %span, align 8
  %strip = extractelement <4 x i64> %span.all, i64 0
  %m = extractelement <4 x i64> %span.all, i64 1
  %output = extractelement <4 x i64> %span.all, i64 2
  %list = extractelement <4 x i64> %span.all, i64 3
  %start = mul i64 %list, %length
  {at("examples", "%strip", plan.examples.rows * STRIP, "%given")}
  {at("own", "%output", plan.own.rows * STRIP, "%allown")}
  {at("outputs", "%output", plan.outputs.rows * STRIP, "%returned")}
  {at("state", "%n", plan.state.size, "%states")}
  {at("numbers", "%n", plan.numbers.size, "%allnumbers")}
  {at("results", "%n", results, "%allresults")}
  br i1 %over, label %network.next, label %iteration
iteration: ; sums of odd and even ones are kept apart: no thread overwrites what another still reads
  %i = phi i64 [ 0, %network ], [ %i.next, %take ]
  %i.next = add i64 %i, 1
  %odd = and i64 %i, 1
  %odd.k = mul i64 %odd, %half
  %sums = getelementptr {scalar}, ptr %partial, i64 %odd.k
  %bottom = getelementptr {scalar}, ptr %sums, i64 %mine
  br label %instruction
instruction: ; the top of the stack is where the next row of sums goes
  %at = phi i64 [ %start, %iteration ], [ %at.next, %tile ], [ %at.next, %merge ], [ %at.next, %push ],
    [ %at.next, %wait ]
  %top = phi ptr [ %bottom, %iteration ], [ %above, %tile ], [ %high, %merge ], [ %above, %push ], [ %stack, %wait ]
  %code.at = getelementptr i32, ptr %instructions, i64 %at
  %code = load i32, ptr %code.at
  %at.next = add i64 %at, 1
  %above = getelementptr {scalar}, ptr %top, i64 {sums}
  %high = getelementptr {scalar}, ptr %top, i64 -{sums}
  %low = getelementptr {scalar}, ptr %high, i64 -{sums}
  switch i32 %code, label %other [ i32 {MERGE}, label %merge i32 {WAIT}, label %arrive i32 {FOLLOW}, label %follow ]
other:
  %code64 = sext i32 %code to i64
  %is.tile = icmp sge i32 %code, 0
  br i1 %is.tile, label %tile, label %push
tile:
  %begun = mul i64 %code64, {TILE}
  %left = sub i64 %m, %begun
  %rounded = add i64 %left, {STRIP - 1}
  %wanted = sdiv i64 %rounded, {STRIP}
  %strips = call i64 @llvm.smin.i64(i64 %wanted, i64 {TILE // STRIP})
  {at("examples.tile", "%code64", plan.examples.rows * TILE, "%examples")}
  {at("own.tile", "%code64", plan.own.rows * TILE, "%own")}
  {at("outputs.tile", "%code64", plan.outputs.rows * TILE, "%outputs")}
  call void @tile(i64 %strips, i64 %left, ptr %examples.tile, ptr %own.tile, ptr %outputs.tile, ptr %state,
    ptr %numbers, ptr %scratch, ptr %top)
  br label %instruction
merge:
  call void @merge(ptr %low, ptr %high)
  br label %instruction
push:
  %row = sub i64 {PUSH}, %code64
  {at("pushed", "%row", sums, "%sums")}
  call void @llvm.memcpy.p0.p0.i64(ptr %top, ptr %pushed, i64 {sums * size}, i1 false)
  br label %instruction
arrive:
  %before = atomicrmw add ptr %shared, i64 1 release
  %everybody = mul i64 %i.next, %threads
  br label %wait
wait: ; for all threads, spinning at first, then asleep between looks
  %looks = phi i64 [ 0, %arrive ], [ %looks.next, %look ], [ %looks.next, %pause ], [ %looks.next, %lose.patience ]
  %looks.next = add i64 %looks, 1
  %arrived = load atomic i64, ptr %shared acquire, align 8
  %complete = icmp sge i64 %arrived, %everybody
  br i1 %complete, label %instruction, label %look
look:
  %tired = icmp sgt i64 %looks.next, %spins
  br i1 %tired, label %pause, label %wait
pause:
  %paused = call i32 @nn_backend_pause(i32 {PAUSE})
  %patience.left = load i64, ptr %patience.at
  %patience.next = sub i64 %patience.left, 1
  store i64 %patience.next, ptr %patience.at
  %impatient = icmp eq i64 %patience.next, 0
  br i1 %impatient, label %lose.patience, label %wait
lose.patience: ; the next iteration is the last: none can have passed its barrier, so all threads will have seen this
  %stop = add i64 %i, 2
  %was = atomicrmw min ptr %last, i64 %stop monotonic
  br label %wait
follow: ; the one row on the stack is the total; a step that ends the run is left undone, by all threads alike
  %ending = call i32 @follow(ptr %high, ptr %state, ptr %numbers, ptr %next)
  %going.on = icmp eq i32 %ending, 0
  br i1 %going.on, label %take, label %network.end
take:
  call void @llvm.memcpy.p0.p0.i64(ptr %{goal}, ptr %next, i64 {results * size}, i1 false)
  %iterations = load atomic i64, ptr %last monotonic, align 8
  %more = icmp slt i64 %i.next, %iterations
  br i1 %more, label %iteration, label %network.end
network.end:
  %done = phi i64 [ %i, %follow ], [ %i.next, %take ]
  %reached = sext i32 %ending to i64
  store i64 %reached, ptr %progress
  %done.at = getelementptr i64, ptr %progress, i64 1
  %done.before = load i64, ptr %done.at
  %done.in.all = add i64 %done.before, %done
  store i64 %done.in.all, ptr %done.at
  br label %network.next
network.next:
  %n.next = add i64 %n, 1
  %n.more = icmp slt i64 %n.next, %networks
  br i1 %n.more, label %network, label %exit
exit:
  {leave}
  ret void
}}
"""
