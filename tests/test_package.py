"""What the package promises as a whole: light imports, public names, errors, and rooms that import downwards only."""

import ast
import inspect
import pickle
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import nn_backend as nn
from nn_backend import errors

PACKAGE = Path(nn.__file__).parent


def module_name(path: Path) -> str:
    """Give ``engines.eager`` for its file, and ``""`` for the package itself."""
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix("__init__").removesuffix(".")


MODULES = {module_name(path): ast.parse(path.read_text(encoding="utf-8")) for path in sorted(PACKAGE.rglob("*.py"))}


@pytest.mark.parametrize(
    ("statement", "loaded", "spared"),
    [
        (
            "import nn_backend",
            "numpy",
            # Where the command line is loaded, ``python -m nn_backend.train`` warns that it is already imported.
            "cupy pyarrow pandas torch jax sklearn scipy matplotlib rich llvmlite numba argparse nn_backend.train",
        ),
        (
            "import nn_backend as nn; nn.fit(*nn.load_marks(), nn.init_params(3, 4), iterations=1)",
            "pandas",
            "cupy torch jax",
        ),
        ("import nn_backend.plots", "nn_backend.plots", "matplotlib sklearn pandas"),  # loaded when they are drawn
    ],
)
def test_no_library_is_loaded_before_it_is_needed_and_nothing_is_printed(statement, loaded, spared):
    found = f"{{*{loaded.split() + spared.split()!r}}} & {{*sys.modules}}"
    command = [sys.executable, "-W", "error", "-c", f"{statement}; import sys; sys.exit(' '.join({found}))"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("", f"{loaded}\n")


# Public names


def test_public_names_stand_once_and_in_order():
    assert nn.__all__ == sorted(set(nn.__all__))


@pytest.mark.parametrize("name", nn.__all__)
def test_a_public_name_can_be_pickled_and_its_docstring_speaks_of_every_parameter(name):
    """No module takes it: Python would put that in its place once it is imported, and pickle would find it there."""
    thing = getattr(nn, name)
    assert pickle.loads(pickle.dumps(thing)) is thing
    assert name not in MODULES
    for parameter in inspect.signature(thing).parameters if inspect.isfunction(thing) else ():
        assert re.search(rf"\b{parameter}\b", thing.__doc__), parameter


BUILT_IN = {
    "NNBackendError": Exception,
    "ArgumentError": ValueError,
    "DataError": ValueError,
    "DataFileError": OSError,
    "ArrayTypeError": TypeError,
    "BackendUnavailableError": RuntimeError,
    "MissingPackageError": ImportError,
    "OutOfMemoryError": MemoryError,
    "DivergenceError": ArithmeticError,
    "TraceError": TypeError,
}


def test_errors_have_one_base_and_the_built_in_that_a_python_user_would_catch():
    found = {name: error for name, error in vars(errors).items() if inspect.isclass(error)}
    assert found.keys() == BUILT_IN.keys()
    for name, error in found.items():
        assert issubclass(error, nn.NNBackendError), name
        assert issubclass(error, BUILT_IN[name]), name


# Habits


def test_an_equation_appears_once():
    """Equation (6) stands for all: ``1 - f1``, or ``1 - layers.f1``, is one expression of the package."""
    expressions = {name: [ast.unparse(node) for node in ast.walk(tree)] for name, tree in MODULES.items()}
    found = [name for name, texts in expressions.items() for text in texts if re.fullmatch(r"1 - (\w+\.)?f1", text)]
    assert found == ["equations"]


def test_host_and_device_meet_in_backend_only():
    """And in gpu, which tries once whether a number comes back; a dictionary's ``get`` has a key in its brackets."""
    crossings = set()
    for name, tree in MODULES.items():
        look_ups = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call) and node.args}
        attributes = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
        if any(node.attr == "asnumpy" or (node.attr == "get" and id(node) not in look_ups) for node in attributes):
            crossings.add(name)
    assert crossings == {"backend", "gpu"}


# Rooms, from the ground up; those on one line do not know of each other

FLOORS = [
    ["errors", "equations", "gpu", "measures"],
    ["checks"],
    ["backend", "cluster", "files", "optimizers"],
    ["tables", "tensors"],
    ["marks", "parts", "predictions"],
    ["compiler"],
    ["engines"],
    ["examples"],
    ["network"],
    ["checkpoint"],
    ["run"],
    ["descent"],
    ["model"],
    ["networks"],
    ["grids"],
    ["tasks"],
    ["many"],
    ["export", "fitted", "lesson_texts", "plots", "timings", "worked_example"],
    ["shallow_net"],
    ["estimator", "stacks"],
    ["lesson", "search", "sweep_plots"],
    ["commands"],
    ["train", "__main__"],
]
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}


def rooms_imported_by(name: str) -> Iterator[str]:
    """Give the rooms that a module imports from, wherever in its text; ``""`` is the package itself."""
    for node in ast.walk(MODULES[name]):
        if isinstance(node, ast.Import | ast.ImportFrom):
            assert not getattr(node, "level", 0), f"{name} line {node.lineno}: a relative import"
            inside = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
            imported = [f"{inside}{alias.name}".split(".") for alias in node.names]
            yield from ((*path, "")[1] for path in imported if path[0] == "nn_backend")


@pytest.mark.parametrize("name", [name for name in MODULES if name])
def test_imports_point_downwards_only(name):
    here = name.partition(".")[0]
    assert [room for room in rooms_imported_by(name) if room != here and FLOOR.get(room, 99) >= FLOOR[here]] == []


def test_the_compiler_knows_of_errors_and_files_only():
    seen = {room for name in MODULES if name.startswith("compiler") for room in rooms_imported_by(name)}
    assert seen == {"compiler", "errors", "files"}
