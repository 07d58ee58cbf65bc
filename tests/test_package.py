"""What the package promises as a whole: light imports, docstrings, errors, and rooms that import downwards only."""

import ast
import importlib
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
SOURCES = sorted(PACKAGE.rglob("*.py"))
PUBLIC = sorted(nn.__all__)
ERRORS = [thing for thing in vars(errors).values() if inspect.isclass(thing)]


def module_name(path: Path) -> str:
    """Give ``engines.eager`` for its file, and ``""`` for the package itself."""
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix("__init__").removesuffix(".")


MODULES = {module_name(path): ast.parse(path.read_text(encoding="utf-8"), str(path)) for path in SOURCES}


# Light imports


def modules_after(statement: str) -> set[str]:
    command = [sys.executable, "-c", f"{statement}; import sys; print(*sys.modules)"]
    return set(subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.split())


@pytest.fixture(scope="module")
def modules_after_import() -> set[str]:
    return modules_after("import nn_backend")


@pytest.mark.parametrize(
    "name", ["cupy", "pyarrow", "pandas", "torch", "jax", "sklearn", "scipy", "matplotlib", "rich", "llvmlite", "numba"]
)
def test_import_loads_no_heavy_or_optional_library(modules_after_import, name):
    assert "nn_backend" in modules_after_import
    assert name not in modules_after_import


def test_import_does_not_load_the_command_line(modules_after_import):
    """``python -m nn_backend.train`` would warn that it is already imported."""
    assert not modules_after_import & {"nn_backend.train", "nn_backend.commands.command_line", "argparse"}


def test_import_prints_nothing():
    command = [sys.executable, "-W", "error", "-c", "import nn_backend"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_training_on_the_cpu_loads_no_gpu_library():
    statement = "import nn_backend as nn; nn.fit(*nn.load_marks(), nn.init_params(3, 4), iterations=1)"
    loaded = modules_after(statement)
    assert "pandas" in loaded
    assert not loaded & {"cupy", "torch", "jax"}


def test_pictures_load_their_libraries_when_they_are_drawn():
    loaded = modules_after("import nn_backend.plots")
    assert "nn_backend.plots" in loaded
    assert not loaded & {"matplotlib", "sklearn", "pandas"}


# Public names


def test_public_names_exist_once_and_in_order():
    assert nn.__all__ == PUBLIC
    assert len(set(PUBLIC)) == len(PUBLIC)
    assert all(hasattr(nn, name) for name in PUBLIC)


@pytest.mark.parametrize("name", PUBLIC)
def test_public_name_has_a_docstring_of_its_own(name):
    thing = getattr(nn, name)
    text = vars(thing).get("__doc__") if inspect.isclass(thing) else thing.__doc__
    assert text
    assert not text.startswith(f"{name}(")  # what a named tuple or dataclass makes up
    first = text.strip().splitlines()[0]
    assert first.endswith((".", "?"))


@pytest.mark.parametrize("name", [name for name in PUBLIC if inspect.isclass(getattr(nn, name))])
def test_public_methods_have_docstrings(name):
    methods = {key: value for key, value in vars(getattr(nn, name)).items() if inspect.isfunction(value)}
    inherited = {"_make", "_replace", "_asdict"}
    missing = [
        key for key, value in methods.items() if not key.startswith("_") and key not in inherited and not value.__doc__
    ]
    assert missing == []


def test_no_module_takes_a_public_name():
    """Python would put the module in the function's place once it is imported, and pickle would find the module."""
    assert not set(PUBLIC) & set(MODULES)


@pytest.mark.parametrize("name", PUBLIC)
def test_public_names_can_be_pickled(name):
    thing = getattr(nn, name)
    assert pickle.loads(pickle.dumps(thing)) is thing


@pytest.mark.parametrize("name", [name for name in PUBLIC if inspect.isfunction(getattr(nn, name))])
def test_docstring_speaks_of_every_parameter(name):
    function = getattr(nn, name)
    for parameter in inspect.signature(function).parameters:
        assert re.search(rf"\b{parameter}\b", function.__doc__), parameter


@pytest.mark.parametrize("name", [name for name, tree in MODULES.items() if tree.body])
def test_module_has_a_docstring(name):
    assert ast.get_docstring(MODULES[name])


# Errors


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


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_errors_have_one_base_and_the_built_in_that_a_python_user_would_catch(error):
    assert issubclass(error, nn.NNBackendError)
    assert issubclass(error, BUILT_IN[error.__name__])
    assert error.__doc__
    assert str(error("what was given")) == "what was given"


# Habits


def is_one(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value == 1


def is_f1(node: ast.expr) -> bool:
    return (isinstance(node, ast.Name) and node.id == "f1") or (isinstance(node, ast.Attribute) and node.attr == "f1")


def test_an_equation_appears_once():
    """Equation (6) stands for all: ``1 - f1`` is one expression of the package."""
    found = [
        name
        for name, tree in MODULES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub) and is_one(node.left) and is_f1(node.right)
    ]
    assert found == ["equations"]


def crossings(tree: ast.Module) -> list[str]:
    """Give the places where an array may leave its device; a dictionary's ``get`` has a key in its brackets."""
    look_ups = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call) and node.args}
    return [
        f"line {node.lineno}: {ast.unparse(node)}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and (node.attr == "asnumpy" or (node.attr == "get" and id(node) not in look_ups))
    ]


# gpu tries once whether a number comes back at all
@pytest.mark.parametrize("name", [name for name in MODULES if name not in ("backend", "gpu")])
def test_host_and_device_meet_in_backend_only(name):
    assert crossings(MODULES[name]) == []


def test_the_reader_of_crossings_knows_them_from_look_ups():
    tree = ast.parse("a.get()\nb.get('key')\nc.get(stream=s)\ncupy.asnumpy(d)\nmap(e.get, f)")
    assert [line.partition(": ")[2] for line in crossings(tree)] == ["a.get", "c.get", "cupy.asnumpy", "e.get"]


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


def room_of(module: str) -> str:
    return module.partition(".")[0]


def imports_of(name: str) -> Iterator[str]:
    """Give the modules of this package that a module imports, wherever in its text; ``""`` is the package itself."""
    for node in ast.walk(MODULES[name]):
        if isinstance(node, ast.Import):
            for alias in node.names:
                root, _, module = alias.name.partition(".")
                if root == "nn_backend":
                    yield module
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name} line {node.lineno}: a relative import"
            root, _, module = node.module.partition(".")
            if root == "nn_backend":
                for alias in node.names:
                    inner = f"{module}.{alias.name}".lstrip(".")
                    yield inner if inner in MODULES else module


def test_the_import_reader_sees_every_way_to_import(monkeypatch):
    text = """
import os, nn_backend.tables
from nn_backend import engines, fit
def later():
    from nn_backend.engines.eager import EagerEngine
    from nn_backend.engines import eager, bind
"""
    monkeypatch.setitem(MODULES, "probe", ast.parse(text))
    seen = sorted(imports_of("probe"))
    assert seen == ["", "engines", "engines", "engines.eager", "engines.eager", "tables"]


@pytest.mark.parametrize("name", [name for name in MODULES if name])
def test_imports_point_downwards_only(name):
    assert room_of(name) in FLOOR, f"{name} has no place in FLOORS"
    here = room_of(name)
    upwards = {
        module
        for module in imports_of(name)
        if room_of(module) != here and FLOOR.get(room_of(module), 99) >= FLOOR[here]
    }
    assert upwards == set()


def test_the_compiler_knows_of_errors_and_files_only():
    seen = {room_of(module) for name in MODULES if room_of(name) == "compiler" for module in imports_of(name)}
    assert seen == {"compiler", "errors", "files"}


@pytest.mark.parametrize("name", sorted(MODULES))
def test_modules_import_one_by_one(name):
    module = importlib.import_module(f"nn_backend.{name}" if name else "nn_backend")
    assert Path(module.__file__).is_relative_to(PACKAGE)
