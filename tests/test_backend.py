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
from collections.abc import Callable
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
from nn_backend.backend import Backend

ACCEPTED = "cpu, gpu, auto, numpy, cupy, mine, cupy:1 (a device by its number)"


@pytest.fixture(autouse=True)
def _fresh_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start each test without defaults, registered names or a remembered GPU, and take back what it sets."""
    factories = {"numpy": backend_module._numpy, "cupy": lambda number: backend_module._cupy_of.__wrapped__(0, number)}
    monkeypatch.setattr(backend_module, "_FACTORIES", factories)
    monkeypatch.setattr(backend_module, "_default_backend", None)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def register(*names: str) -> None:
    for name in names:
        nn.register_backend(name, lambda number, name=name: Backend(name, np))


def diagnosis(text: str | None = None) -> str:
    """Return the diagnosis, here or that text, which must be a sentence."""
    found = nn.diagnose_gpu() if text is None else text
    assert re.fullmatch(r"[A-Z](?!.*  ).*[^.]\.", found), found
    return found


# Installations of CuPy: laid out in a folder, and a stand-in.


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


def install(site: Path, wheels: dict[str, str], source: str | None = None) -> None:
    """Register distributions without their files, and make CuPy's folder, with a module unless its source is empty."""
    for name, version in wheels.items():
        folder = site / f"{name}-{version}.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    if source is not None:
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
    """Give a stand-in for a CuPy that sees two GPUs; a test may break what is in its ``calls``."""
    cupy: Any = ModuleType("cupy")
    cupy.__spec__ = ModuleSpec("cupy", None, origin="this test")
    cupy.__version__ = "14.2.0"
    cupy.float32 = np.float32
    cupy.ones = Mock(return_value=MagicMock())
    runtime = SimpleNamespace(
        CUDARuntimeError=StandInError,
        runtimeGetVersion=lambda: 13020,
        driverGetVersion=lambda: 12040,
        getDeviceCount=Mock(return_value=2),
        getDeviceProperties=lambda number: {"name": b"Stand-in %d" % number},
    )
    nvrtc = SimpleNamespace(getVersion=Mock(return_value=(13, 2)))
    cupy.cuda = SimpleNamespace(runtime=runtime, nvrtc=nvrtc, Device=lambda number: ("device", number))
    product = cupy.ones.return_value.__matmul__
    cupy.calls = {"count": runtime.getDeviceCount, "nvrtc": nvrtc.getVersion, "ones": cupy.ones, "product": product}
    namespace = ModuleType("array_api_compat.cupy")
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    monkeypatch.setitem(sys.modules, "array_api_compat.cupy", namespace)
    monkeypatch.setattr(array_api_compat, "cupy", namespace, raising=False)
    return cupy


# Names.


@pytest.mark.parametrize(
    ("name", "number"),
    [("cpu", -1), ("numpy", -1), ("gpu", 0), ("cupy", 0), ("auto", 0), ("cupy:0", 0), ("cupy:1", 1), ("gpu:1", 1)],
)
def test_a_device_is_found_by_name_and_number(stand_in: Any, name: str, number: int) -> None:
    found = nn.get_backend(name)
    gpu = Backend(f"cupy:{number}", array_api_compat.cupy, ("device", number), f"Stand-in {number}")
    assert found == (gpu if number >= 0 else Backend("numpy", np, "cpu", "cpu"))
    assert found.is_cupy == (number >= 0)
    assert nn.available_backends() == ["numpy", "cupy"]


UNKNOWN = ["foo", "cupy:x", "cupy:", "", "cupy:-1", "cupy:1:2", "cupy:٣", "auto:1", "GPU", "mine:x"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        *[(name, f"backend {name!r} is not known; accepted: {ACCEPTED}") for name in UNKNOWN],
        ("numpy:1", "backend numpy:1 is not known: NumPy has no numbered devices; use cpu"),
        *[
            (wrong, f"backend is of type {kind}; expected a name such as 'gpu', or a Backend")
            for wrong, kind in [(3, "int"), (np, "module"), (["cpu"], "list"), (False, "bool")]
        ],
        *[(f"cupy:{n}", f"CUDA device {n} was asked for; this machine has 2, counted from 0.") for n in (2, 5)],
    ],
)
def test_an_unknown_name_is_refused(stand_in: Any, name: Any, said: str) -> None:
    register("mine")
    with pytest.raises((nn.ArgumentError, nn.BackendUnavailableError)) as caught:
        nn.get_backend(name)
    assert isinstance(caught.value, nn.BackendUnavailableError) == said.startswith("CUDA")
    assert str(caught.value) == said


def test_a_registered_name_is_found_with_and_without_a_number_and_others_are_not_registered() -> None:
    nn.register_backend("mine", lambda number: Backend(f"mine {number}", np))
    assert nn.get_backend("mine").name == "mine None"
    assert nn.get_backend("mine:3").name == "mine 3"
    nn.register_backend("mine", lambda number: STRICT)
    assert nn.get_backend("mine") is STRICT
    for name in ("", "a:b", "cpu", "gpu", "auto", "numpy", "cupy"):
        message = f"backend name {name!r} is taken or has a colon or no characters; choose another"
        with pytest.raises(nn.ArgumentError, match=f"^{re.escape(message)}$"):
            nn.register_backend(name, lambda number: STRICT)


# Which choice wins.


def test_the_nearest_choice_wins_until_its_block_ends_and_a_wrong_one_never(monkeypatch: pytest.MonkeyPatch) -> None:
    register("argument", "context", "inner", "program", "environment")
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
        with pytest.raises(KeyError, match="inner"), nn.use_backend("inner"):
            raise KeyError(nn.get_backend().name)
        assert nn.get_backend() is entered
    assert nn.get_backend() is STRICT
    with pytest.raises(nn.ArgumentError, match=r"^backend 'foo' is not known; "), nn.use_backend("foo"):
        pytest.fail("the block was entered")
    with pytest.raises(nn.ArgumentError, match=r"^backend 'foo' is not known; "):
        nn.set_default_backend("foo")
    assert nn.get_backend() is STRICT
    nn.set_default_backend(None)
    assert nn.get_backend().name == "environment"


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


# Required, or preferred.


@pytest.mark.parametrize("name", ["gpu", "cupy", "cupy:1", None])
def test_a_required_gpu_never_falls_back_and_auto_does(site: Path, name: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NN_BACKEND", "gpu")
    with pytest.raises(nn.BackendUnavailableError, match=r"^CuPy is not installed") as caught:
        nn.get_backend(name)
    assert str(caught.value) == nn.diagnose_gpu()
    assert nn.get_backend("auto").name == "numpy"
    register("mine")
    assert nn.available_backends() == ["numpy", "mine"]


@pytest.mark.parametrize(("required", "ends"), [("", pytest.skip.Exception), ("1", pytest.fail.Exception)])
def test_a_gpu_test_without_a_gpu_is_skipped_and_fails_where_one_is_required(
    site: Path, monkeypatch: pytest.MonkeyPatch, required: str, ends: Any
) -> None:
    monkeypatch.setenv("NN_BACKEND_REQUIRE_GPU", required)
    with pytest.raises(ends, match="CuPy is not installed: "):
        require_gpu()


# Between host and device.

GRID, GENERATOR = np.arange(24.0).reshape(4, 6), np.random.default_rng(0)
SHAPED = [GENERATOR.standard_normal(shape) for shape in [(), (3,), (2, 0), (2, 3), (2, 1, 4)]]
ORDERED = [GRID.T, GRID[::-1], GRID[:, ::2], np.asfortranarray(GRID)]


TYPED = [np.array([0, 1, 1], dtype) for dtype in ("float64", "float32", "int64", "uint8", "bool")]


@pytest.mark.parametrize("values", [*SHAPED, *ORDERED, *TYPED, [[1, 2], [3, 4]], 0.5], ids=str)
def test_values_come_back_as_they_went_in_the_dtype_asked_for_or_their_own(backend: Place, values: Any) -> None:
    for asked in (backend.dtype, None):
        given, there = np.asarray(values, asked), backend.backend.asarray(values, asked)
        assert_close(there, given, Place(backend.backend, given.dtype.name), rtol=0)
        back = backend.backend.to_numpy(there)
        assert type(back) is np.ndarray
        np.testing.assert_array_equal(back, given, strict=True)


def test_the_backends_own_array_takes_the_dtype_and_is_moved_to_the_device(backend: Place) -> None:
    on_host = {"device": array_api_strict.Device("CPU_DEVICE")} if backend.xp is array_api_strict else {}
    for own in (backend.backend.asarray([1.5, 2.5], "float64"), backend.xp.asarray([1.5, 2.5], **on_host)):
        assert_close(backend.asarray(own), [1.5, 2.5], backend, rtol=0)


@pytest.mark.parametrize(
    ("owner", "target", "library"),
    [("gpu", "cpu", "cupy"), ("gpu", STRICT, "cupy"), (STRICT, "cpu", "array_api_strict")],
)
def test_an_array_of_another_backend_is_not_copied_unasked(owner: Any, target: Any, library: str) -> None:
    foreign = (require_gpu() if owner == "gpu" else owner).asarray([1.0])
    backend = nn.get_backend(target)
    with pytest.raises(nn.ArrayTypeError) as caught:
        backend.asarray(foreign)
    assert str(caught.value) == (
        f"the array belongs to {library}, but the backend is {backend.name}; pass a NumPy array, "
        "or choose the backend that the array lives on"
    )


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([1.0, None], "the array has dtype object; expected real numbers$"),
        ([1 + 2j], "the array has dtype complex128; expected real numbers$"),
        (np.array(["2020-01-01"], "datetime64[D]"), r"the array has dtype datetime64\[D\]; expected real numbers$"),
        (None, "the array has dtype object; expected real numbers$"),
        ([[1.0], [1.0, 2.0]], "the values do not form an array: .*inhomogeneous"),
    ],
)
def test_what_is_no_array_of_real_numbers_is_refused(backend: Place, values: Any, said: str) -> None:
    with pytest.raises(nn.DataError, match=f"^{said}"):
        backend.asarray(values)


def test_synchronizing_waits_for_a_device_that_can_be_waited_for() -> None:
    device = Mock(spec=["synchronize"])
    Backend("mine", np, device).synchronize()
    device.synchronize.assert_called_once_with()
    nn.get_backend("cpu").synchronize()


# The diagnosis: what is installed.

NO_DEVICE = "The NVIDIA driver is installed but shows no CUDA device."
CUDA13, BOTH = {"cupy_cuda13x": "14.2.0"}, {"cupy_cuda12x": "14.1.0", "cupy_cuda13x": "14.2.0"}
BROKEN = "raise ImportError('libstdc++.so.6 is too old.\\nMore about it.')"
GONE = r"CuPy's files are gone although cupy-cuda13x 14\.2\.0 is registered .* --no-deps cupy-cuda13x\"\."


@pytest.mark.parametrize(
    ("wheels", "source", "said"),
    [
        ({}, None, r'CuPy is not installed: run "pip install nn-backend\[cuda13]", or nn-backend\[cuda12] for .* 580.'),
        ({}, "", "CuPy is not installed: "),  # one may lie in the working directory, and Python imports any folder
        ({"~umpy": "2.0.0"}, None, "CuPy is not installed: "),  # an installation was interrupted
        (CUDA13, None, GONE),
        (CUDA13, "", GONE),
        (BOTH, "raise AssertionError", r"Several .*, (cupy-cuda12x) 14\.1\.0 and (cupy-cuda13x) 14\.2\.0: .* \1 \2\","),
        (CUDA13, BROKEN, r"CuPy .* imported \(libstdc\+\+\.so\.6 is too old\): .* --force-reinstall cupy-cuda13x\"\."),
    ],
)
def test_what_is_installed_is_diagnosed(site: Path, wheels: dict[str, str], source: str | None, said: str) -> None:
    install(site, wheels, source)
    found = diagnosis()
    assert re.match(said, found), found


# The diagnosis: what shows only where there is a driver, with the stand-in.

TOO_OLD = "The NVIDIA driver is too old: it supports CUDA {}, but {{named}} needs CUDA {{needed}}; .* install "
AFTER_FORK = r"This process was forked from one that had used CUDA.*: start .* 'spawn' or 'forkserver'\."
FORKED = StandInError(3, "cudaErrorInitializationError: initialization error")
NO_NVRTC = RuntimeError('Failure finding "libnvrtc.so".\nSearched in many places.')


@pytest.mark.parametrize(
    ("wheels", "named", "wheel"),
    [({}, "CuPy 14.2.0", "cupy-cuda13x"), ({"cupy_cuda12x": "14.1.0"}, "cupy-cuda12x 14.1.0", "cupy-cuda12x")],
    ids=["conda or sources", "wheel"],
)
@pytest.mark.parametrize(
    ("call", "ends", "said"),
    [
        ("count", StandInError(35), TOO_OLD.format("12.4") + r"nn-backend\[cuda12] instead\."),
        ("count", FORKED, AFTER_FORK),
        ("count", 0, NO_DEVICE),
        ("count", 1, r"CuPy 14\.2\.0 can use 1 CUDA device \(driver for CUDA 12\.4\)\."),
        ("count", 2, r"CuPy 14\.2\.0 can use 2 CUDA devices \(driver for CUDA 12\.4\)\."),
        ("nvrtc", NO_NVRTC, r'A CUDA library is missing \(Failure .*so"\): run "pip install {wheel}\[ctk]"\.'),
        ("product", ImportError("cublas"), r'A CUDA library is missing \(cublas\): run "pip install {wheel}\[ctk]"\.'),
        ("ones", MemoryError("512 bytes."), r"The GPU was found but cannot be used \(512 bytes\)\."),
        ("ones", MemoryError(), r"The GPU was found but cannot be used \(MemoryError\)\."),
        ("ones", StandInError(46, "busy: so"), r"The GPU was found but cannot be used \(busy: so\)\."),
        ("ones", FORKED, AFTER_FORK),
    ],
)
def test_what_the_driver_shows_is_diagnosed(
    site: Path, stand_in: Any, call: str, ends: Any, said: str, wheels: dict[str, str], named: str, wheel: str
) -> None:
    install(site, wheels)
    stand_in.calls[call].configure_mock(**{"return_value" if isinstance(ends, int) else "side_effect": ends})
    found = diagnosis()
    assert re.fullmatch(said.format(named=named, wheel=wheel, needed=13), found), found
    if ends not in (1, 2):
        with pytest.raises(nn.BackendUnavailableError, match=f"^{re.escape(found)}$"):
            nn.get_backend("gpu")


def test_a_real_gpu_can_be_used() -> None:
    gpu = require_gpu()
    assert gpu.name == "cupy:0"
    assert re.fullmatch(r"CuPy \S+ can use \d+ CUDA devices? \(driver for CUDA \d+\.\d+\)\.", nn.diagnose_gpu())


# The diagnosis: the real CuPy wheel on the fake driver, in a process of its own.


@pytest.fixture(scope="session")
def real_one(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Give the name of the CuPy wheel that is installed, and the folder of the fake driver."""
    installed = {distribution.name for distribution in importlib.metadata.distributions()}
    names = sorted(installed & {"cupy-cuda12x", "cupy-cuda13x"})
    if len(names) != 1 or importlib.util.find_spec("cupy") is None:
        pytest.skip(f"one CuPy wheel must be installed, cupy-cuda12x or cupy-cuda13x; found: {names}")
    if sys.platform != "linux" or shutil.which("gcc") is None:
        pytest.skip("the fake driver is a libcuda.so.1 for Linux, which gcc builds")
    folder = tmp_path_factory.mktemp("fake_driver")
    source = Path(__file__).with_name("fake_driver.c")
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", str(folder / "libcuda.so.1"), str(source)], check=True)
    return names[0], str(folder)


PROGRAM = """
import os, sys
sys.modules[os.environ.get("WITHOUT", "nothing")] = None
import nn_backend
print(nn_backend.diagnose_gpu())
"""
NO_DRIVER = r"No NVIDIA driver \(libcuda\.so\.1\) was found: {named} needs one for CUDA {needed}\."
HIDDEN = "; CUDA_VISIBLE_DEVICES is {!r}, unset it to see every device."


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        # CuPy's own message has many lines, a ruler first and the cause last.
        ("WITHOUT=cupy._core", r"CuPy is installed but cannot be imported \((?!.*===).*cupy\._core.*"),
        # No folder can be made below a file, not even by root.
        ("CUPY_CACHE_DIR={folder}/file/a", r"CuPy cannot create its kernel cache \(.*{folder}/file.*\): .* written\."),
        # There, libcuda.so.1 is no library, and found before one that is.
        ("LD_LIBRARY_PATH={folder}", NO_DRIVER),
        ("FAKE_DRIVER_VERSION=0", NO_DRIVER),
        ("FAKE_DRIVER_VERSION=12040 FAKE_DRIVER_ERROR=35", TOO_OLD.format("12.4") + r"nn-backend\[cuda12] instead\."),
        ("FAKE_DRIVER_VERSION=11080 FAKE_DRIVER_ERROR=35", TOO_OLD.format("11.8") + "a CuPy for the .* version."),
        # CUDA 13's runtime takes every driver for CUDA 13, so no newer one is asked for.
        ("FAKE_DRIVER_VERSION={before}000", TOO_OLD.format(r"{before}\.0") + ".*"),
        ("FAKE_DRIVER_VERSION={needed}000", NO_DEVICE),
        ("CUDA_VISIBLE_DEVICES=", NO_DEVICE[:-1] + HIDDEN.format("")),
        ("CUDA_VISIBLE_DEVICES=3", NO_DEVICE[:-1] + HIDDEN.format("3")),
        ("FAKE_DRIVER_ERROR=999", "The CUDA driver reports error 999: cudaErrorUnknown: .*"),
        ("FAKE_DRIVER_ERROR=803", "The CUDA driver reports error 803: cudaErrorSystemDriverMismatch: .*"),
    ],
)
def test_the_real_wheel_is_diagnosed(real_one: tuple[str, str], tmp_path: Path, settings: str, said: str) -> None:
    real_wheel, fake_driver = real_one
    needed = int(re.search(r"\d+", real_wheel)[0])
    if needed == 12 and "12040" in settings:
        pytest.skip("cupy-cuda12x runs on a driver for CUDA 12.4")
    for name in ("file", "libcuda.so.1"):
        (tmp_path / name).touch()
    named = f"{real_wheel} {importlib.metadata.version(real_wheel)}"
    words = {"named": named, "needed": needed, "before": needed - 1, "folder": tmp_path}
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("CU", "NN_BACKEND"))}
    environment |= {"PYTHONPATH": str(Path(nn.__file__).parents[1]), "LD_LIBRARY_PATH": fake_driver}
    environment["CUPY_CACHE_DIR"] = str(tmp_path / "cache")
    environment |= (setting.split("=") for setting in settings.format(**words).split())
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    found = diagnosis(done.stdout.removesuffix("\n"))
    assert re.fullmatch(said.format(**words), found), found


# After a fork.


@pytest.mark.parametrize("call", ["count", "ones"])
def test_a_forked_child_is_told(stand_in: Any, call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend_module, "_cupy_of", functools.cache(backend_module._cupy_of.__wrapped__))
    assert backend_module._cupy(0) is backend_module._cupy(0)
    stand_in.calls[call].side_effect = FORKED
    assert backend_module._cupy(0).name == "cupy:0"
    monkeypatch.setattr(os, "getpid", lambda: -1)
    with pytest.raises(nn.BackendUnavailableError, match=f"^{AFTER_FORK}$"):
        backend_module._cupy(0)


def test_a_backend_that_a_child_inherited_says_so() -> None:
    device = MagicMock()
    device.__enter__.side_effect = FORKED
    inherited = Backend("cupy:0", np, device)
    with pytest.raises(nn.BackendUnavailableError, match=r"^This process was forked"):
        nn.score(nn.init_params(3, 4), *nn.load_marks(), backend=inherited)
    for device.__enter__.side_effect in (StandInError(46), CudaLibraryError(3)):  # 3 is a lack of memory to cuBLAS
        with pytest.raises(CudaLibraryError, match=r"^an error of the driver$"), inherited.current():
            pass


# Memory.


DeviceMemoryError = type("DeviceMemoryError", (MemoryError,), {})  # in place of cupy.cuda.memory.OutOfMemoryError
FULL = Mock(side_effect=DeviceMemoryError("Out of memory allocating 24,000 bytes (allocated so far: 1,000 bytes)."))
ON_HOST = "the host is out of memory: (?!.*device).*, or a machine with more memory"


@pytest.mark.parametrize(
    ("allocate", "said"),
    [
        (
            FULL,
            r"full:0 is out of memory: Out of memory allocating 24,000 bytes \(allocated so far: 1,000 bytes\); "
            "1,000 of the device's 2,000 bytes are free. "
            "Take fewer rows or hidden units, float32, or a device with more memory",
        ),
        (lambda *_, **__: np.empty(2**60, np.int8), ON_HOST),
        (Mock(side_effect=MemoryError), ON_HOST),
    ],
)
def test_it_is_told_once_whose_memory_does_not_suffice(allocate: Callable[..., Any], said: str) -> None:
    device = Device()
    device.mem_info = (1_000, 2_000)
    full = Backend("full:0", SimpleNamespace(asarray=allocate), device)
    with pytest.raises(nn.OutOfMemoryError) as caught, full.current():
        full.asarray(1.0)
    assert re.fullmatch(said, str(caught.value))


def test_temporaries_beyond_the_memory_are_told_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = nn.load_marks()
    monkeypatch.setattr("nn_backend.equations.forward", FULL)
    with pytest.raises(nn.OutOfMemoryError, match=r"^numpy is out of memory: .*24,000 bytes.*Take fewer rows"):
        nn.fit(X, y, nn.init_params(3, 4), engine="eager")
