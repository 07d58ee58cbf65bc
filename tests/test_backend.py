"""Choosing a backend, crossing between host and device, and saying in one sentence why a GPU cannot be used.

The diagnosis is tested without a GPU in three ways: with folders laid out as an installation would be, with a stand-in
for the module cupy, and with the real CuPy wheel on a fake driver (fake_driver.c).
"""

import functools
import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import MagicMock, Mock

import array_api_compat
import array_api_strict
import numpy as np
import pytest
from places import STRICT, Device, Place, assert_close, require_gpu

import nn_backend as nn
from nn_backend import backend as backend_module
from nn_backend.backend import Backend, dtype_name

ACCEPTED = "cpu, gpu, auto, numpy, cupy, mine, cupy:1 (a device by its number)"
NO_DEVICE = "The NVIDIA driver is installed but shows no CUDA device."
UNKNOWN = ["foo", "cupy:x", "cupy:", "", "cupy:-1", "cupy:1:2", "cupy:٣", "auto:1", "GPU"]
DIAGNOSE = "import nn_backend; print(nn_backend.diagnose_gpu())"
BLOCK_CORE = "import sys; sys.modules['cupy._core'] = None"  # what CuPy meets where its compiled part does not load


@pytest.fixture(autouse=True)
def _fresh_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start each test without defaults, registered names or a remembered GPU, and take back what it sets."""
    factories = {"numpy": backend_module._numpy, "cupy": lambda number: backend_module._cupy_of.__wrapped__(0, number)}
    monkeypatch.setattr(backend_module, "_FACTORIES", factories)
    monkeypatch.setattr(backend_module, "_default_backend", None)


def register(*names: str) -> None:
    for name in names:
        nn.register_backend(name, lambda number, name=name: Backend(name, np))


def assert_sentence(text: str) -> None:
    assert text[0].isupper()
    assert text.endswith(".")
    assert not text.endswith("..")
    assert text.splitlines() == [text]
    assert "  " not in text


# Installations of CuPy, laid out in a folder.


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder on the import path for CuPy's files, and hide a CuPy that is really installed."""
    folder = tmp_path / "site"
    folder.mkdir()
    visible = [entry for entry in sys.path if not any(Path(entry).glob("cupy*"))]
    monkeypatch.setattr(sys, "path", [str(folder), *visible])
    monkeypatch.setitem(sys.modules, "cupy", None)  # so that what the test imports is removed afterwards
    monkeypatch.delitem(sys.modules, "cupy")
    return folder


def add_wheel(site: Path, name: str = "cupy_cuda13x", version: str = "14.2.0") -> None:
    """Register a distribution, without its files."""
    folder = site / f"{name}-{version}.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


def add_module(site: Path, source: str) -> None:
    """Make CuPy's folder, and the module unless its source is empty."""
    (site / "cupy").mkdir()
    if source:
        (site / "cupy" / "__init__.py").write_text(source)


class CudaLibraryError(RuntimeError):
    """In place of CuPy's errors of cuBLAS and others."""

    def __init__(self, status: int, text: str = "an error of the driver") -> None:
        self.status = status
        super().__init__(text)


StandInError = type("CUDARuntimeError", (CudaLibraryError,), {})  # in place of that of cupy.cuda.runtime


@pytest.fixture
def stand_in(site: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Give a stand-in for a CuPy that sees two GPUs; a test may break it."""
    cupy: Any = ModuleType("cupy")
    cupy.__spec__ = ModuleSpec("cupy", None, origin="this test")
    cupy.__version__ = "14.2.0"
    cupy.float32 = np.float32
    cupy.ones = Mock(return_value=MagicMock())
    runtime = SimpleNamespace(
        CUDARuntimeError=StandInError,
        runtimeGetVersion=lambda: 13020,
        driverGetVersion=lambda: 13010,
        getDeviceCount=Mock(return_value=2),
        getDeviceProperties=lambda number: {"name": b"Stand-in %d" % number},
    )
    nvrtc = SimpleNamespace(getVersion=Mock(return_value=(13, 2)))
    cupy.cuda = SimpleNamespace(runtime=runtime, nvrtc=nvrtc, Device=lambda number: ("device", number))
    namespace = ModuleType("array_api_compat.cupy")
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    monkeypatch.setitem(sys.modules, "array_api_compat.cupy", namespace)
    monkeypatch.setattr(array_api_compat, "cupy", namespace, raising=False)
    return cupy


# The real CuPy wheel, in a process of its own.


@pytest.fixture(scope="session")
def real_wheel() -> str:
    """Give the name of the CuPy wheel that is installed."""
    names = [name for name in ("cupy-cuda12x", "cupy-cuda13x") if is_installed(name)]
    if len(names) != 1 or importlib.util.find_spec("cupy") is None:
        pytest.skip(f"one CuPy wheel must be installed, cupy-cuda12x or cupy-cuda13x; found: {names}")
    return names[0]


def is_installed(distribution: str) -> bool:
    try:
        importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


@pytest.fixture(scope="session")
def fake_driver(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Build the fake driver, and give the folder that LD_LIBRARY_PATH needs."""
    if sys.platform != "linux":
        pytest.skip("the fake driver is a libcuda.so.1, for Linux")
    if shutil.which("gcc") is None:
        pytest.skip("gcc is needed to build the fake driver")
    folder = tmp_path_factory.mktemp("fake_driver")
    source = Path(__file__).with_name("fake_driver.c")
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", str(folder / "libcuda.so.1"), str(source)], check=True)
    return str(folder)


def run_python(tmp_path: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run the interpreter with these environment variables and no others that CuPy or this package reads."""
    outside = {name: value for name, value in os.environ.items() if not name.startswith(("CU", "NN_BACKEND"))}
    package = str(Path(nn.__file__).parents[1])
    given = {"CUPY_CACHE_DIR": str(tmp_path / "kernel_cache"), "PYTHONPATH": package, **settings}
    return subprocess.run(
        [sys.executable, *arguments], env=outside | given, cwd=tmp_path, capture_output=True, text=True, timeout=60
    )


def diagnosis(tmp_path: Path, program: str = DIAGNOSE, **settings: str) -> str:
    """Give the diagnosis that a fresh interpreter prints, which must be one sentence and nothing else."""
    finished = run_python(tmp_path, "-c", program, **settings)
    assert finished.stderr == ""
    assert finished.returncode == 0
    sentence = finished.stdout.removesuffix("\n")
    assert_sentence(sentence)
    return sentence


# Names.


@pytest.mark.parametrize("name", ["cpu", "numpy"])
def test_the_cpu_has_two_names(name: str) -> None:
    backend = nn.get_backend(name)
    assert (backend.name, backend.xp, backend.device_name) == ("numpy", np, "cpu")


@pytest.mark.parametrize(
    ("name", "number"), [("gpu", 0), ("cupy", 0), ("auto", 0), ("cupy:0", 0), ("cupy:1", 1), ("gpu:1", 1)]
)
def test_a_gpu_is_found_by_name_and_number(stand_in: Any, name: str, number: int) -> None:
    found = nn.get_backend(name)
    told = (found.name, found.device, found.device_name)
    assert told == (f"cupy:{number}", ("device", number), f"Stand-in {number}")
    assert found.xp is array_api_compat.cupy
    assert nn.available_backends() == ["numpy", "cupy"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        *[(name, f"backend {name!r} is not known; accepted: {ACCEPTED}") for name in UNKNOWN],
        ("numpy:1", "backend numpy:1 is not known: NumPy has no numbered devices; use cpu"),
        *[
            (wrong, f"backend is of type {kind}; expected a name such as 'gpu', or a Backend")
            for wrong, kind in [(3, "int"), (np, "module"), (["cpu"], "list"), (False, "bool")]
        ],
    ],
)
def test_an_unknown_name_is_refused_with_the_list_of_names(name: Any, said: str) -> None:
    register("mine")
    with pytest.raises(nn.ArgumentError) as caught:
        nn.get_backend(name)
    assert str(caught.value) == said


def test_a_gpu_number_too_high_is_named_with_the_count(stand_in: Any) -> None:
    with pytest.raises(nn.BackendUnavailableError) as caught:
        nn.get_backend("cupy:2")
    assert str(caught.value) == "CUDA device 2 was asked for; this machine has 2, counted from 0."


@pytest.mark.parametrize(
    ("module", "is_cupy"),
    [("cupy", True), ("array_api_compat.cupy", True), ("cupynumeric", False), ("cupy.fft", False)],
)
def test_cupy_is_told_by_its_module_whatever_the_name(module: str, is_cupy: bool) -> None:
    assert Backend("cupynumeric", ModuleType(module)).is_cupy == is_cupy
    assert Backend("mine", ModuleType(module)).is_cupy == is_cupy


# After a fork.


@pytest.mark.parametrize("call", ["getDeviceCount", "ones"])
def test_a_forked_child_is_told(stand_in: Any, call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend_module, "_cupy_of", functools.cache(backend_module._cupy_of.__wrapped__))
    assert backend_module._cupy(0) is backend_module._cupy(0)
    function = stand_in.ones if call == "ones" else stand_in.cuda.runtime.getDeviceCount
    function.side_effect = StandInError(3, "cudaErrorInitializationError: initialization error")
    assert backend_module._cupy(0).name == "cupy:0"
    monkeypatch.setattr(os, "getpid", lambda: -1)
    with pytest.raises(nn.BackendUnavailableError, match=r"^This process was forked .*'spawn' or 'forkserver'\.$"):
        backend_module._cupy(0)
    assert_sentence(nn.diagnose_gpu())


def test_a_backend_that_a_child_inherited_says_so() -> None:
    class Device:
        error: Exception = StandInError(3, "cudaErrorInitializationError: initialization error")

        def __enter__(self) -> None:
            raise self.error

        def __exit__(self, *exception: object) -> None: ...

    inherited = Backend("cupy:0", np, Device())
    with pytest.raises(nn.BackendUnavailableError, match=r"^This process was forked"):
        nn.score(nn.init_params(3, 4), *nn.load_marks(), backend=inherited)
    for Device.error in (StandInError(46), CudaLibraryError(3)):  # 3 is a lack of memory to cuBLAS
        with pytest.raises(CudaLibraryError, match=r"^an error of the driver$"), inherited.current():
            pass


# Which choice wins.


def test_the_nearest_choice_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    register("argument", "context", "program", "environment")
    assert nn.get_backend().name == "numpy"
    monkeypatch.setenv("NN_BACKEND", "")
    assert nn.get_backend().name == "numpy"
    monkeypatch.setenv("NN_BACKEND", "environment")
    assert nn.get_backend().name == "environment"
    nn.set_default_backend("program")
    assert nn.get_backend().name == "program"
    with nn.use_backend("context") as entered:
        assert nn.get_backend() is entered
        assert entered.name == "context"
        assert nn.get_backend("argument").name == "argument"
        nn.set_default_backend(STRICT)
        assert nn.get_backend() is entered
    assert nn.get_backend() is STRICT
    nn.set_default_backend(None)
    assert nn.get_backend().name == "environment"


def test_a_wrong_choice_is_refused_and_the_old_one_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NN_BACKEND", "foo")
    message = r"^environment variable NN_BACKEND: backend 'foo' is not known; accepted: cpu, gpu, "
    with pytest.raises(nn.ArgumentError, match=message):
        nn.get_backend()
    assert nn.get_backend("cpu").name == "numpy"
    nn.set_default_backend(STRICT)
    with pytest.raises(nn.ArgumentError, match=r"^backend 'foo' is not known; "):
        nn.set_default_backend("foo")
    assert nn.get_backend() is STRICT
    with nn.use_backend("cpu"):
        with pytest.raises(nn.ArgumentError, match=r"^backend 'foo' is not known; "), nn.use_backend("foo"):
            pytest.fail("the block was entered")
        assert nn.get_backend().name == "numpy"


def test_contexts_nest_and_end_with_an_exception() -> None:
    register("outer", "inner")

    def fail_inside() -> None:
        with nn.use_backend("inner"):
            raise KeyError(nn.get_backend().name)

    with nn.use_backend("outer"):
        with pytest.raises(KeyError, match=r"^'inner'$"):
            fail_inside()
        assert nn.get_backend().name == "outer"
    assert nn.get_backend().name == "numpy"


def test_a_context_belongs_to_its_thread_and_the_default_to_the_program() -> None:
    register("here", "there", "everywhere")
    with ThreadPoolExecutor(1) as thread:
        with nn.use_backend("here"):
            assert thread.submit(nn.get_backend).result().name == "numpy"
        there = nn.use_backend("there")
        thread.submit(there.__enter__).result()
        assert nn.get_backend().name == "numpy"
        assert thread.submit(nn.get_backend).result().name == "there"
        thread.submit(there.__exit__, None, None, None).result()
        nn.set_default_backend("everywhere")
        assert thread.submit(nn.get_backend).result().name == "everywhere"


# Registering, and what can run here.


def test_a_registered_name_is_found_with_and_without_a_number() -> None:
    nn.register_backend("mine", lambda number: Backend(f"mine {number}", np))
    assert nn.get_backend("mine").name == "mine None"
    assert nn.get_backend("mine:3").name == "mine 3"
    with pytest.raises(nn.ArgumentError, match=r"^backend 'mine:x' is not known; accepted: .*, mine, cupy:1 "):
        nn.get_backend("mine:x")
    nn.register_backend("mine", lambda number: STRICT)
    assert nn.get_backend("mine") is STRICT


@pytest.mark.parametrize("name", ["", "a:b", "cpu", "gpu", "auto", "numpy", "cupy"])
def test_a_name_that_cannot_be_registered_is_refused(name: str) -> None:
    message = f"backend name {name!r} is taken or has a colon or no characters; choose another"
    with pytest.raises(nn.ArgumentError, match=f"^{re.escape(message)}$"):
        nn.register_backend(name, lambda number: STRICT)


def test_only_backends_that_can_run_are_available(site: Path) -> None:
    def unavailable(number: int | None) -> Backend:
        raise nn.BackendUnavailableError("Not here.")

    register("mine")
    nn.register_backend("elsewhere", unavailable)
    assert nn.available_backends() == ["numpy", "mine"]


# Required, or preferred.


@pytest.mark.parametrize("name", ["gpu", "cupy", "cupy:1", None])
def test_a_required_gpu_never_falls_back_and_auto_does(
    site: Path, name: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NN_BACKEND", "gpu")
    with pytest.raises(nn.BackendUnavailableError, match=r"^CuPy is not installed") as caught:
        nn.get_backend(name)
    assert isinstance(caught.value, RuntimeError)
    assert str(caught.value) == nn.diagnose_gpu()
    assert nn.get_backend("auto").name == "numpy"


@pytest.mark.parametrize(
    ("required", "ends", "said"),
    [
        ("", pytest.skip.Exception, "^CuPy is not installed: "),
        ("1", pytest.fail.Exception, "^NN_BACKEND_REQUIRE_GPU is 1, but: CuPy is not installed: "),
    ],
)
def test_a_gpu_test_without_a_gpu_is_skipped_and_fails_where_one_is_required(
    site: Path, monkeypatch: pytest.MonkeyPatch, required: str, ends: Any, said: str
) -> None:
    monkeypatch.setenv("NN_BACKEND_REQUIRE_GPU", required)
    with pytest.raises(ends, match=said):
        require_gpu()


# Between host and device.


@pytest.mark.parametrize("shape", [(), (3,), (2, 0), (2, 3), (2, 1, 4)])
def test_values_come_back_as_they_went(backend: Place, shape: tuple[int, ...]) -> None:
    values = np.random.default_rng(0).standard_normal(shape).astype(backend.dtype)
    there = backend.asarray(values)
    assert_close(there, values, backend, rtol=0)
    back = backend.backend.to_numpy(there)
    assert type(back) is np.ndarray
    assert (back.dtype, back.shape) == (np.dtype(backend.dtype), shape)
    np.testing.assert_array_equal(back, values)


GRID = np.arange(24.0).reshape(4, 6)


@pytest.mark.parametrize(
    "values", [GRID.T, GRID[::-1], GRID[:, ::2], np.asfortranarray(GRID), [[1, 2], [3, 4]], 0.5], ids=type
)
def test_values_may_lie_in_any_order_or_be_lists_and_numbers(backend: Place, values: Any) -> None:
    assert_close(backend.asarray(values), values, backend, rtol=0)


@pytest.mark.parametrize("dtype", ["float64", "float32", "int64", "uint8", "bool"])
def test_the_dtype_is_kept_where_none_is_asked_for(backend: Place, dtype: str) -> None:
    values = np.array([0, 1, 1], dtype)
    there = backend.backend.asarray(values)
    assert_close(there, values, Place(backend.backend, dtype), rtol=0)
    assert backend.backend.to_numpy(there).dtype == dtype
    assert dtype_name(there) == dtype


def test_the_backends_own_array_stays_there_and_takes_the_dtype(backend: Place) -> None:
    own = backend.backend.asarray([1.5, 2.5], "float64")
    assert_close(backend.asarray(own), [1.5, 2.5], backend, rtol=0)


def test_an_own_array_is_moved_to_the_device() -> None:
    on_host = array_api_strict.asarray([1.5], device=array_api_strict.Device("CPU_DEVICE"))
    assert_close(STRICT.asarray(on_host), [1.5], Place(STRICT, "float64"), rtol=0)


@pytest.mark.parametrize(("target", "name"), [("cpu", "numpy"), (STRICT, "strict")])
def test_a_gpus_array_is_not_copied_to_another_backend_unasked(target: Any, name: str) -> None:
    foreign = require_gpu().asarray([1.0])
    with pytest.raises(nn.ArrayTypeError, match=rf"^the array belongs to cupy, but the backend is {name}; pass "):
        nn.get_backend(target).asarray(foreign)


def test_an_array_of_another_module_is_refused() -> None:
    with pytest.raises(nn.ArrayTypeError) as caught:
        nn.get_backend("numpy").asarray(STRICT.asarray([1.0]))
    assert isinstance(caught.value, TypeError)
    assert str(caught.value) == (
        "the array belongs to array_api_strict, but the backend is numpy; pass a NumPy array, "
        "or choose the backend that the array lives on"
    )


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (["a", "b"], "the array has dtype <U1; expected real numbers$"),
        ([1.0, None], "the array has dtype object; expected real numbers$"),
        ([object()], "the array has dtype object; expected real numbers$"),
        ([1 + 2j], "the array has dtype complex128; expected real numbers$"),
        (np.array(["2020-01-01"], "datetime64[D]"), r"the array has dtype datetime64\[D\]; expected real numbers$"),
        (None, "the array has dtype object; expected real numbers$"),
        ([[1.0], [1.0, 2.0]], "the values do not form an array: .*inhomogeneous"),
    ],
)
def test_what_is_no_array_of_real_numbers_is_refused(backend: Place, values: Any, said: str) -> None:
    with pytest.raises(nn.DataError, match=f"^{said}") as caught:
        backend.asarray(values)
    assert isinstance(caught.value, ValueError)


def test_arrays_are_made_while_the_device_is_current() -> None:
    """CuPy allocates on the current device, whatever device its arrays are asked for."""
    device = Device()
    xp = SimpleNamespace(asarray=lambda values, dtype, device: device.entered)
    assert Backend("mine", xp, device).asarray([1.0]) == 1
    assert not device.entered


def test_synchronizing_waits_for_a_device_that_can_be_waited_for() -> None:
    device = Mock(spec=["synchronize"])
    Backend("mine", np, device).synchronize()
    device.synchronize.assert_called_once_with()
    nn.get_backend("cpu").synchronize()


# The diagnosis: what is installed.

CUDA13 = {"cupy_cuda13x": "14.2.0"}
NOT_INSTALLED = (
    'CuPy is not installed: run "pip install nn-backend[cuda13]", '
    "or nn-backend[cuda12] for an NVIDIA driver older than 580."
)
GONE = (
    r"CuPy's files are gone although cupy-cuda13x 14\.2\.0 is registered .*"
    '"pip install --force-reinstall --no-deps cupy-cuda13x"'
)


@pytest.mark.parametrize(
    ("wheels", "source", "said"),
    [
        ({}, None, f"{re.escape(NOT_INSTALLED)}$"),
        ({}, "", '.*run "pip install'),  # one may lie in the working directory, and Python imports any folder
        ({"~umpy": "2.0.0"}, None, "CuPy is not installed: "),  # an installation was interrupted
        (CUDA13, None, GONE),
        (CUDA13, "", GONE),
        (
            {**CUDA13, "cupy_cuda12x": "14.1.0"},
            "raise AssertionError('the state is known without an import')",
            r"Several CuPy packages share one folder, cupy-cuda12x 14\.1\.0 and cupy-cuda13x 14\.2\.0: "
            '.*"pip uninstall cupy-cuda12x cupy-cuda13x"',
        ),
        (
            CUDA13,
            "raise ImportError('libstdc++.so.6 is too old.\\nMore about it.')",
            r"CuPy is installed but cannot be imported \(libstdc\+\+\.so\.6 is too old\): "
            r'run "pip install --force-reinstall cupy-cuda13x"\.$',
        ),
    ],
)
def test_what_is_installed_is_diagnosed(site: Path, wheels: dict[str, str], source: str | None, said: str) -> None:
    for name, version in wheels.items():
        add_wheel(site, name, version)
    if source is not None:
        add_module(site, source)
    found = nn.diagnose_gpu()
    assert_sentence(found)
    assert re.match(said, found), found


def test_the_import_of_the_real_wheel_fails_for_a_reason(real_wheel: str, tmp_path: Path) -> None:
    """CuPy's own message has many lines, a ruler first and the cause last."""
    found = diagnosis(tmp_path, f"{BLOCK_CORE}; {DIAGNOSE}")
    assert found.startswith("CuPy is installed but cannot be imported (")
    assert "cupy._core" in found
    assert "===" not in found


def test_the_kernel_cache_cannot_be_written(real_wheel: str, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()  # no folder can be made below a file, not even by root
    found = diagnosis(tmp_path, CUPY_CACHE_DIR=str(file / "kernel_cache"))
    assert found.startswith("CuPy cannot create its kernel cache (")
    assert str(file) in found
    assert found.endswith(": set CUPY_CACHE_DIR to a folder that can be written.")


# The diagnosis: the driver, with the real wheel.


def test_there_is_no_driver(real_wheel: str, tmp_path: Path) -> None:
    (tmp_path / "libcuda.so.1").write_text("no library, and found before one that is")
    found = diagnosis(tmp_path, LD_LIBRARY_PATH=str(tmp_path))
    version, major = importlib.metadata.version(real_wheel), real_wheel[len("cupy-cuda") : -1]
    assert found == f"No NVIDIA driver (libcuda.so.1) was found: {real_wheel} {version} needs one for CUDA {major}."


@pytest.mark.parametrize(
    ("version", "supported", "remedy"),
    [("12040", "12.4", "install nn-backend[cuda12] instead."), ("11080", "11.8", "a CuPy for the driver's version.")],
)
def test_the_driver_is_too_old(
    real_wheel: str, fake_driver: str, tmp_path: Path, version: str, supported: str, remedy: str
) -> None:
    if real_wheel == "cupy-cuda12x" and version == "12040":
        pytest.skip("cupy-cuda12x runs on a driver for CUDA 12.4")
    settings = {"FAKE_DRIVER_VERSION": version, "FAKE_DRIVER_ERROR": "35"}
    found = diagnosis(tmp_path, LD_LIBRARY_PATH=fake_driver, **settings)
    assert found.startswith(f"The NVIDIA driver is too old: it supports CUDA {supported}, but {real_wheel} ")
    assert "; update the driver or install " in found
    assert found.endswith(remedy)


def test_no_newer_driver_is_asked_for_than_needed(real_wheel: str, fake_driver: str, tmp_path: Path) -> None:
    """CUDA 13's runtime takes every driver for CUDA 13: the first of them is refused for its lack of devices only."""
    major = int(real_wheel.removeprefix("cupy-cuda").removesuffix("x"))
    first = diagnosis(tmp_path, LD_LIBRARY_PATH=fake_driver, FAKE_DRIVER_VERSION=f"{major}000")
    assert first == NO_DEVICE
    for version in ("0", f"{major - 1}000"):  # no driver, and one that is too old
        found = diagnosis(tmp_path, LD_LIBRARY_PATH=fake_driver, FAKE_DRIVER_VERSION=version)
        assert re.findall(rf"CUDA {major}(?:\.\d+)?", found) in ([f"CUDA {major}"], [f"CUDA {major}.0"])


UNSET = "; CUDA_VISIBLE_DEVICES is {!r}, unset it to see every device."


@pytest.mark.parametrize(
    ("error", "visible", "said"),
    [
        ("100", {}, f"{NO_DEVICE}$"),
        ("100", {"CUDA_VISIBLE_DEVICES": ""}, f"{NO_DEVICE[:-1]}{UNSET.format('')}$"),
        ("100", {"CUDA_VISIBLE_DEVICES": "3"}, f"{NO_DEVICE[:-1]}{UNSET.format('3')}$"),
        ("999", {}, "The CUDA driver reports error 999: cudaErrorUnknown: "),
        ("803", {}, "The CUDA driver reports error 803: cudaErrorSystemDriverMismatch: "),
    ],
)
def test_the_driver_shows_no_device_or_reports_another_error(
    real_wheel: str, fake_driver: str, tmp_path: Path, error: str, visible: dict[str, str], said: str
) -> None:
    found = diagnosis(tmp_path, LD_LIBRARY_PATH=fake_driver, FAKE_DRIVER_ERROR=error, **visible)
    assert re.match(said, found), found


@pytest.mark.parametrize(
    ("device", "code", "printed", "said"),
    [("gpu", 3, "$", f"error: {NO_DEVICE}\n"), ("auto", 0, "backend numpy, device cpu, ", "")],
)
def test_the_command_line_ends_with_the_diagnosis_and_falls_back_only_where_asked(
    real_wheel: str, fake_driver: str, tmp_path: Path, device: str, code: int, printed: str, said: str
) -> None:
    arguments = ["-m", "nn_backend.train", "--device", device, "--iterations", "2"]
    finished = run_python(tmp_path, *arguments, LD_LIBRARY_PATH=fake_driver)
    assert (finished.returncode, finished.stderr) == (code, said)
    assert re.match(printed, finished.stdout)


# The diagnosis: what shows only where there is a driver, with the stand-in.


def test_an_old_driver_is_named_without_a_registered_wheel(stand_in: Any) -> None:
    """CuPy may come from conda or from a folder of sources."""
    stand_in.cuda.runtime.getDeviceCount.side_effect = StandInError(35)
    stand_in.cuda.runtime.driverGetVersion = lambda: 12040
    found = nn.diagnose_gpu()
    assert_sentence(found)
    assert found.startswith("The NVIDIA driver is too old: it supports CUDA 12.4, but CuPy")


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (0, NO_DEVICE),
        (1, "CuPy 14.2.0 can use 1 CUDA device (driver for CUDA 13.1)."),
        (2, "CuPy 14.2.0 can use 2 CUDA devices (driver for CUDA 13.1)."),
    ],
)
def test_the_devices_are_counted(stand_in: Any, monkeypatch: pytest.MonkeyPatch, count: int, said: str) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    stand_in.cuda.runtime.getDeviceCount.return_value = count
    assert nn.diagnose_gpu() == said


@pytest.mark.parametrize("wheel", ["cupy_cuda12x", "cupy_cuda13x"])
@pytest.mark.parametrize(
    "error",
    [
        ImportError("libcublas.so: cannot open shared object file"),
        RuntimeError('Failure finding "libnvrtc.so".\nSearched in many places.'),
    ],
)
def test_a_cuda_library_is_missing(site: Path, stand_in: Any, wheel: str, error: Exception) -> None:
    add_wheel(site, wheel)
    product = stand_in.ones.return_value.__matmul__
    call = product if isinstance(error, ImportError) else stand_in.cuda.nvrtc.getVersion
    call.side_effect = error
    cause = str(error).splitlines()[0].rstrip(".")
    found = nn.diagnose_gpu()
    assert_sentence(found)
    distribution = wheel.replace("_", "-")
    assert found == f'A CUDA library is missing ({cause}): run "pip install {distribution}[ctk]".'


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (MemoryError("Out of memory allocating 512 bytes."), "Out of memory allocating 512 bytes"),
        (MemoryError(), "MemoryError"),
        (StandInError(46, "cudaErrorDevicesUnavailable: busy or unavailable"), "cudaErrorDevicesUnavailable: busy"),
    ],
)
def test_the_gpu_fails_at_first_use(stand_in: Any, error: Exception, cause: str) -> None:
    stand_in.ones.side_effect = error
    found = nn.diagnose_gpu()
    assert_sentence(found)
    assert cause in found
    assert "missing" not in found
    assert found.startswith("The GPU was found but cannot be used (")
    with pytest.raises(nn.BackendUnavailableError, match=f"^{re.escape(found)}$"):
        nn.get_backend("gpu")


def test_a_real_gpu_can_be_used() -> None:
    gpu = require_gpu()
    assert gpu.name == "cupy:0"
    assert re.fullmatch(r"CuPy \S+ can use \d+ CUDA devices? \(driver for CUDA \d+\.\d+\)\.", nn.diagnose_gpu())


# Memory


class SmallDevice(Device):
    """Holds nothing, and says so as CuPy does."""

    mem_info = (1_000, 2_000)


def out_of_memory(*args: object, **options: object) -> None:
    raise DeviceMemoryError("Out of memory allocating 24,000 bytes (allocated so far: 1,000 bytes).")


class DeviceMemoryError(MemoryError):
    """In place of cupy.cuda.memory.OutOfMemoryError."""


def test_data_beyond_the_devices_memory_is_told_with_sizes() -> None:
    small = Backend("small:0", SimpleNamespace(asarray=out_of_memory), SmallDevice())
    message = (
        "small:0 is out of memory: Out of memory allocating 24,000 bytes (allocated so far: 1,000 bytes); "
        "1,000 of the device's 2,000 bytes are free. "
        "Take fewer rows or hidden units, float32, or a device with more memory"
    )
    with pytest.raises(nn.OutOfMemoryError, match=f"^{re.escape(message)}$"):
        small.asarray(np.zeros((3, 1000)))


def test_memory_is_told_once_where_contexts_nest() -> None:
    small = Backend("small:0", np, SmallDevice())
    with pytest.raises(nn.OutOfMemoryError) as caught, small.current(), small.current():
        out_of_memory()
    assert str(caught.value).count("is out of memory") == str(caught.value).count("are free") == 1


def bare() -> None:
    raise MemoryError


@pytest.mark.parametrize("allocate", [lambda: np.empty(2**60, np.int8), bare])
def test_the_hosts_memory_is_not_taken_for_the_devices(allocate: Any) -> None:
    with pytest.raises(nn.OutOfMemoryError) as caught, Backend("small:0", np, SmallDevice()).current():
        allocate()
    assert str(caught.value).startswith("the host is out of memory: ")
    assert str(caught.value).endswith("float32, or a machine with more memory")
    assert "device" not in str(caught.value)


def test_temporaries_beyond_the_memory_are_told_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = nn.load_marks()
    monkeypatch.setattr("nn_backend.equations.forward", out_of_memory)
    with pytest.raises(nn.OutOfMemoryError, match=r"^numpy is out of memory: .*24,000 bytes.*Take fewer rows"):
        nn.fit(X, y, nn.init_params(3, 4), engine="eager")
