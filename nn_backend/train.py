"""The door `python -m nn_backend.train`, the same as `python -m nn_backend train`."""

from nn_backend.commands import command_line, train

if __name__ == "__main__":
    command_line.start(train.main)
