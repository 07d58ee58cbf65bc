"""Command compiler: print a training step as a program, a plan, LLVM IR, this processor's machine code, or CUDA C."""

from collections.abc import Callable, Sequence

from nn_backend.checks import SIZE
from nn_backend.commands.command_line import DONE, Parser, option
from nn_backend.compiler import cuda, llvm
from nn_backend.compiler.native import assembly, host
from nn_backend.compiler.plan import Plan
from nn_backend.compiler.program import Program
from nn_backend.engines import compiled
from nn_backend.network import DTYPES, init_params

PRINTERS: dict[str, Callable[[Program], str]] = {
    "program": Program.listing,
    "plan": lambda program: Plan(program).listing(),
    "llvm": lambda program: llvm.Printer(Plan(program), host()).print(),
    "asm": lambda program: assembly(Plan(program), host()),
    "cuda": lambda program: cuda.Printer(Plan(program)).print(),
}


def main(arguments: Sequence[str]) -> int:
    """Print the stage that the arguments ask for, and return the exit code."""
    parser = Parser(
        "compiler",
        "Print one step of gradient descent on its way from ten equations to a kernel.",
        example="--features 3 --hidden 4 --dtype float32 --emit program",
    )
    parser.add_argument("--features", type=option(SIZE), default=3, help="inputs of the network")
    parser.add_argument("--hidden", type=option(SIZE), default=4, help="hidden units")
    parser.add_argument("--outputs", type=option(SIZE), default=1, help="outputs of the network")
    parser.add_argument("--dtype", choices=DTYPES, default="float64", help="number format")
    parser.add_argument("--emit", choices=tuple(PRINTERS), default="program", help="stage to print")
    args = parser.parse_args(arguments)
    sizes = (args.features, args.hidden, args.outputs)
    init_params(*sizes)  # says which sizes are accepted
    print(PRINTERS[args.emit](compiled.program("step", *sizes, args.dtype)), end="")
    return DONE
