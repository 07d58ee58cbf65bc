"""Command line: print a training step as a program, as LLVM IR, as this processor's machine code, or as CUDA C."""

from collections.abc import Callable

from nn_backend.backend import get_backend
from nn_backend.command_line import DONE, Parser, run
from nn_backend.compiler.cuda import print_cuda
from nn_backend.compiler.llvm import print_ir
from nn_backend.compiler.native import Kernel
from nn_backend.compiler.program import Program
from nn_backend.engines import choose
from nn_backend.engines.compiled import training_program
from nn_backend.network import DTYPES, init_params

PRINTERS: dict[str, Callable[[Program], str]] = {
    "program": Program.listing,
    "llvm": print_ir,
    "asm": lambda program: Kernel(program).assembly(),
    "cuda": print_cuda,
}


def main() -> int:
    """Print the stage that the arguments ask for, and give the exit code."""
    parser = Parser(
        "python -m nn_backend.compiler",
        "Print one step of gradient descent on its way from ten equations to a kernel.",
        example="--features 3 --hidden 4 --dtype float32 --emit program",
    )
    parser.add_argument("--features", type=int, default=3, help="inputs of the network")
    parser.add_argument("--hidden", type=int, default=4, help="hidden units")
    parser.add_argument("--outputs", type=int, default=1, help="outputs of the network")
    parser.add_argument("--dtype", choices=DTYPES, default="float64", help="number format")
    parser.add_argument("--emit", choices=tuple(PRINTERS), default="program", help="stage to print")
    args = parser.parse_args()
    sizes = (args.features, args.hidden, args.outputs)
    choose("compiled", init_params(*sizes), get_backend("cpu"))
    print(PRINTERS[args.emit](training_program(*sizes, args.dtype)), end="")
    return DONE


if __name__ == "__main__":
    run(main)
