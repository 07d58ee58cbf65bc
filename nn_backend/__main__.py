"""Command line: `python -m nn_backend COMMAND`."""

from nn_backend.command_line import Parser, run
from nn_backend.commands import verify

COMMANDS = {"verify": verify.main}


def main() -> int:
    """Run the command that is named, and return its exit code."""
    parser = Parser("python -m nn_backend", "Check the compiled kernels of this machine.", example="verify")
    parser.add_argument("command", choices=COMMANDS, help="verify: compare this machine's bits with the pinned ones")
    return COMMANDS[parser.parse_args().command]()


if __name__ == "__main__":
    run(main)
