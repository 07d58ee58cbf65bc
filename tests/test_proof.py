"""Proof of the bits: other processors, a caller's floating-point environment, and kernels that break a rule."""

import ctypes
import functools
import itertools
import re
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
import numpy as np
import pytest
from methods import Problem, article, ending, ends_right, run_kernel

import nn_backend as nn
from nn_backend import __main__ as door
from nn_backend.commands import verify
from nn_backend.compiler import functions, loops, native, threads
from nn_backend.compiler.llvm import Printer, Target
from nn_backend.compiler.plan import Plan
from nn_backend.compiler.program import TILE, in_strips
from nn_backend.compiler.threads import Job, schedule
from nn_backend.equations import Params

DTYPE = pytest.mark.parametrize("dtype", ["float64", "float32"])


# --- the command verify ---


@pytest.mark.parametrize("differs", [False, True])
def test_verify_says_whether_and_at_which_stage_bits_differ(
    differs: bool, run_main: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    key, mark = ("3-4-1", "float64"), "!" if differs else "="
    data, forward, score, step, run = verify.PINNED[key]
    pinned = (data, forward, score, "0" * 64 if differs else step, run)
    monkeypatch.setattr(verify, "PINNED", {**verify.PINNED, key: pinned})
    done = run_main(door.main, "verify")
    assert (done.code, done.err) == (differs, "")
    assert re.search(rf"^3-4-1 +float64 interpreter +\w+ = +\w+ = +\w+ = +\w+ {mark} *$", done.out, re.MULTILINE)
    assert done.out.endswith(
        "\nDIFFERENT BITS where a ! stands\n" if differs else "\nall stages have the pinned bits\n"
    )
    ways = done.out.count(" float64 ") // 2  # the interpreter, and one thread or also several
    assert (done.out.count(" ="), done.out.count(" ! ")) == (
        4 * (5 * ways - 1) - ways * differs,
        (ways + 1) * differs,
    )  # with its last line


# --- another processor ---

ARM = Target("aarch64-unknown-linux-gnu", "generic", "", 32, 16)


@pytest.fixture(scope="module")
def run_on_arm(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., np.ndarray]:
    """Return a function that runs a step on an emulated 64-bit Arm processor."""
    tools = "aarch64-linux-gnu-gcc", "qemu-aarch64"
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing:
        pytest.skip(
            f"{' and '.join(missing)} not found; Debian has gcc-aarch64-linux-gnu, libc6-dev-arm64-cross, qemu-user"
        )
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    folder = tmp_path_factory.mktemp("arm")

    def run(given: Problem, iterations: int) -> list[np.ndarray]:
        plan = Plan(given.program("step"))
        (folder / "kernel.o").write_bytes(native.object_code(Printer(plan, ARM)))
        main = Path(__file__).with_name("kernel_on_arm.c")
        subprocess.run([tools[0], "-O1", "-static", main, "kernel.o", "-o", "kernel", "-lm"], cwd=folder, check=True)
        (folder / "job").write_bytes(b"".join(job_and_arrays(plan, given, iterations)))
        subprocess.run([tools[1], "./kernel", "job", "state"], cwd=folder, check=True, timeout=120)
        arrays = plan.state.unpack(np.fromfile(folder / "state", plan.program.dtype))
        return [arrays[name] for name in Params._fields]

    return run


def job_and_arrays(plan: Plan, given: Problem, iterations: int) -> Iterator[bytes]:
    """What kernel_on_arm.c reads: a job's numbers, and the arrays that its pointers are for."""
    dtype, m = plan.program.dtype, given.examples.X.shape[1]
    rows = 2 * (tiles := -(-m // TILE)).bit_length() + 2
    instructions = schedule((tiles,), 1, 0, rows)
    state, numbers = np.zeros(plan.state.size, dtype), np.zeros(plan.numbers.size, dtype)
    plan.state.pack(given.state.arrays(), state)
    plan.numbers.pack(given.rounded(), numbers)
    sums = np.zeros(rows * plan.sums.size, dtype)
    told = {
        "networks": 1, "threads": 1, "half": sums.size, "mine": 0, "length": instructions.shape[1],
        "spins": 1, "patience": 1, "spans": np.array([0, m, 0, 0]), "instructions": instructions,
        "given": in_strips(given.arrays, np.zeros), "states": state, "allnumbers": numbers,
        "allprogress": np.zeros(2, np.int64), "shared": np.array([0, iterations]),
        "partial": np.zeros(2 * sums.size, dtype),
        "scratch": np.zeros(plan.scratch.rows * TILE, dtype), "stack": sums, "next": np.zeros(plan.results.size, dtype),
    }  # fmt: skip
    for name, kind, *_ in Job._fields_:
        value = told.get(name, np.zeros(0))
        yield struct.pack("<q", value if kind is ctypes.c_int64 else value.nbytes)
        yield b"" if kind is ctypes.c_int64 else value.tobytes()


@DTYPE
@pytest.mark.parametrize("name", ["3-4-1", "30-8-1"])
def test_an_arm_processor_ends_at_the_pinned_bytes(name: str, dtype: str, run_on_arm: Callable[..., Any]) -> None:
    """And it does so for a caller that flushes to zero and rounds upwards, whose environment is restored."""
    X, y, start, iterations = verify.cases(dtype)[name]
    reached = run_on_arm(article(X, y, start, verify.LEARNING_RATE), iterations)
    assert verify.digest(*reached) == verify.PINNED[name, dtype][-1]


# --- the caller's floating-point environment ---

_owners: list[Any] = []  # of code that is called
X86 = pytest.mark.skipif(native.host().triple.partition("-")[0] != "x86_64", reason="sets x86's control register")
FLUSH_TO_ZERO, ROUND_UP = 0x8040, 0x4000


@pytest.fixture(scope="module")
def mxcsr() -> tuple[Callable[[int], None], Callable[[], int]]:
    """Return functions that write and read the register which governs x86's arithmetic."""
    ir = """
    declare void @llvm.x86.sse.stmxcsr(ptr)
    declare void @llvm.x86.sse.ldmxcsr(ptr)
    define void @write(i32 %value) {
      %at = alloca i32
      store i32 %value, ptr %at
      call void @llvm.x86.sse.ldmxcsr(ptr %at)
      ret void
    }
    define i32 @read() {
      %at = alloca i32
      call void @llvm.x86.sse.stmxcsr(ptr %at)
      %value = load i32, ptr %at
      ret i32 %value
    }"""
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(ir), native._machine(native.host()))
    engine.finalize_object()
    address = engine.get_function_address
    _owners.append(engine)
    return ctypes.CFUNCTYPE(None, ctypes.c_int)(address("write")), ctypes.CFUNCTYPE(ctypes.c_int)(address("read"))


@X86
@DTYPE
@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("setting", [FLUSH_TO_ZERO, ROUND_UP])
def test_a_callers_environment_changes_no_bit_and_is_restored(
    setting: int, count: int, dtype: str, mxcsr: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, read = mxcsr
    given, usual = tiny(dtype), read()
    write(usual | setting)  # from here to the restoring, as little as possible is computed elsewhere
    try:
        reached = stepped(given, count)
        after = read()
    finally:
        write(usual)
    assert after & ~0x3F == (usual | setting) & ~0x3F  # but for the flags of exceptions
    assert reached == defined(dtype)


# --- kernels that break a rule ---


def tiny(dtype: str) -> Problem:
    """Several tiles, and numbers of all magnitudes: every rule decides some bit."""
    rng, smallest = np.random.default_rng(5), float(np.finfo(dtype).tiny)
    X, y = rng.standard_normal((3, 5 * TILE + 7)), (rng.random((1, 5 * TILE + 7)) < 0.4).astype(dtype)
    X[2] *= smallest  # its gradients are subnormal
    start = nn.init_params(3, 4, factor=0.7)
    start.w1[:, 2] *= smallest
    # With so large a rate parameters are hardly more than gradients, of which each bit counts.
    return article(X.astype(dtype), y, Params(*(array.astype(dtype) for array in start)), 100.0)


def stepped(given: Problem, threads: int = 1) -> bytes:
    """The parameters that a kernel made now reaches, which is not one of those kept."""
    kernel = native.Kernel(given.program("step"))
    reached, _ = run_kernel(kernel, given.arrays, given.state.arrays(), given.rounded(), 2, threads)
    return b"".join(array.tobytes() for array in reached.values())


@functools.cache
def defined(dtype: str) -> bytes:
    return b"".join(array.tobytes() for array in tiny(dtype).reached(2)[0].values())


def edited(monkeypatch: pytest.MonkeyPatch, pattern: str, by: str) -> None:
    """Have the text of kernels edited before it is compiled."""
    honest = Printer.print

    def print_and_edit(printer: Printer) -> str:
        text, count = re.subn(pattern, by, honest(printer), flags=re.MULTILINE)
        assert count, f"{pattern} does not occur"
        return text

    monkeypatch.setattr(Printer, "print", print_and_edit)


def another_exp(monkeypatch: pytest.MonkeyPatch) -> None:
    """One whose polynomial has a term less."""
    forms = {name: f._replace(exp_coefficients=f.exp_coefficients[:-1]) for name, f in functions._FORMATS.items()}
    monkeypatch.setattr(functions, "_FORMATS", forms)
    monkeypatch.setattr(loops, "expansion", functools.cache(functions.expansion.__wrapped__))


def other_lanes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neighbours are added first, not lanes that are half a row apart."""

    def halve(printer: Printer, vectors: list[str]) -> str:
        w, held = printer.width, 1
        while held < w:
            low = [2 * k for k in range(w)]
            pairs = itertools.zip_longest(vectors[::2], vectors[1::2], fillvalue="poison")
            vectors = [
                printer.emit("add", printer.shuffle(a, b, low), printer.shuffle(a, b, [k + 1 for k in low]))
                for a, b in pairs
            ]
            held *= 2
        return vectors[0]

    monkeypatch.setattr(Printer, "halve", halve)


def other_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiles are added one after the other."""

    def in_a_row(tiles: tuple[int, ...], count: int, thread: int, rows: int) -> np.ndarray:
        [n] = tiles
        codes = [0, *(code for tile in range(1, n) for code in (tile, threads.MERGE)), threads.FOLLOW]
        return np.array([codes], np.int32)

    monkeypatch.setattr(native, "schedule", in_a_row)


FMA = r"%(\w+) = call (<.*>) @llvm\.fma\.\w+\(<.*> (.*), <.*> (.*), <.*> (.*)\)$"
MUTANTS: dict[str, Any] = {  # what is in the text and what stands there instead, or what else is done
    "honest": ("", ""),
    "contracts": (r"= f(add|sub|mul) ", r"= f\1 contract "),
    "sums without fma": (FMA, r"%\1.product = fmul \2 \3, \4\n  %\1 = fadd \2 %\1.product, \5"),
    "flushes to zero": ("store i32 8064,", f"store i32 {8064 | FLUSH_TO_ZERO},"),
    "rounds upwards": ("store i32 8064,", f"store i32 {8064 | ROUND_UP},"),
    "another exp": another_exp,
    "other lanes": other_lanes,
    "other tree": other_tree,
}


@DTYPE
@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_kernel_that_breaks_a_rule_is_found(mutant: str, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if mutant in ("flushes to zero", "rounds upwards") and native.host().triple.partition("-")[0] != "x86_64":
        pytest.skip("edits what is printed for x86")
    given, expected, sabotage = tiny(dtype), defined(dtype), MUTANTS[mutant]
    if callable(sabotage):
        sabotage(monkeypatch)
    else:
        edited(monkeypatch, *sabotage)
    assert (stepped(given) == expected) == (mutant == "honest")
    assert sys.float_info.min / 2 > 0  # this thread's own environment is as it was


# --- kernels that do not end as they should ---

SABOTAGE = {  # what is in the text, and what stands there instead
    "honest": ("", ""),
    "ignores what ends a run": (r"ret i32 %v\d+", "ret i32 0"),
    "takes the step that ends the run": (
        r"^follow: .*\n(  %ending = .*\n)((?:.*\n){2}take:\n)(.*memcpy.*\n)",
        r"follow:\n\1\3\2\3",
    ),
    "counts the step that ends the run": (r"%done = phi i64 \[ %i, %follow \]", "%done = phi i64 [ %i.next, %follow ]"),
    "goes on after the end": (r"br i1 %over, label %network.next, label %iteration", "br label %iteration"),
    "looks at the last array alone": (r"= or (<16 x i1>) %v\d+, (%v\d+)", r"= or \1 \2, \2"),
    "asks what is behind an array's end": (
        r"= icmp slt <16 x i64> (.*), splat .*",
        r"= icmp sge <16 x i64> \1, zeroinitializer",
    ),
}


@DTYPE
@pytest.mark.parametrize("mutant", SABOTAGE)
def test_a_kernel_that_ends_wrongly_is_found(mutant: str, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given, ended = ending(dtype)
    edited(monkeypatch, *SABOTAGE[mutant])
    kernel = native.Kernel(given.program("step"))
    assert ends_right(kernel, native.Examples(given.arrays), given, ended) == (mutant == "honest")
