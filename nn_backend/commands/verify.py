"""Command verify: whether the compiled engine has the pinned bits on this machine, stage by stage."""

import hashlib
import platform
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from nn_backend.backend import Backend, available_backends, get_backend
from nn_backend.commands.command_line import DONE, Parser
from nn_backend.compiler.interpreter import interpret
from nn_backend.engines.compiled import CompiledEngine, program
from nn_backend.engines.engine import Examples
from nn_backend.engines.machine import count_threads
from nn_backend.equations import Params
from nn_backend.marks import load_marks
from nn_backend.network import DTYPES, init_params
from nn_backend.optimizers import State

DIFFERS = 1
LEARNING_RATE = 0.2
# Each stage is computed from the data, not from the stage before: the first that differs says where to look.
STAGES = ("data", "forward", "score", "step", "run")
PINNED: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("3-4-1", "float64"): (
        "b358206c755cbdc55b43c47007f2e3bba29cfa335fc02974ad1e38f88981c212",
        "01a0cc2bba5e8d877138953168892b1b68d78244e6b157badff0123f18626e36",
        "62398522151dd474de50f9970e28d43e819249717732ef91b5ce48c3b340d17c",
        "fab6b7e70f71daeb64eca49e60c7487c0a5b81da2ac88dd535e40491efede57a",
        "5369725b1bd56949975b940c8f8de35829659b4e2158e6331172717e588725b4",
    ),
    ("30-8-1", "float64"): (
        "174086fbf21b5d3c58dc96ce6c95c7ec81eb773e76d3efe75c8940399d33d671",
        "9e33ca7492dfaec57a0f7701fec01522a2840e08005e8e59eea347f20f512e02",
        "4ad36ad7150665b89831d4cf3233812cca94fec1c51f017acc6b7674ebbd367c",
        "ad0484da0df6b24a70a834e7cf31f66f755f48a2e04c4320fc64a2249e2db351",
        "2d4f2ac13f87c72009073d7e9fafb3d46a60ccce1eb659208a3e41e27873658b",
    ),
    ("3-4-1", "float32"): (
        "342eb4ac8368e984f56785785b528032d9afc33ff092a599472a28e6ed46c015",
        "8967e476bf929ddf23be2019586e40d01ed84d96ef65086c445ca6d050443525",
        "b85cd9af4244268f1ae675c677597748706e9e6c29c0a8b4ef2f0780470540a3",
        "bac2874bc99ce64cdb9f82562118320a3038140f398569a9b034aef1048d03db",
        "a34e47a349f6b49de9be545071a7c6f5a6d208544ff7cc9b81538a72f844034b",
    ),
    ("30-8-1", "float32"): (
        "012979de01179a6052733e11f726ae11d32b4ecb59acacd3c1d48bc1f1e504dc",
        "4ce0d20f80bda3bf04e07cd843047f12acf8309ea73b211df9eed6fb4a56f408",
        "5f8cc91670616673a95165399893b8842a9d2a11ebba63db8800b755fff1577e",
        "80caad8e6d7d02f537a4e20b6f0c941818b4bcee10a30ae6a819c35de3c0a196",
        "d2a7a480214f3eccd7ab4ace1164df50102c27eb26facff68b6e6651c8e5f879",
    ),
}


class Case(NamedTuple):
    """A network, what it learns from, and for how long."""

    X: np.ndarray
    y: np.ndarray
    start: Params
    iterations: int


def cases(dtype: str) -> dict[str, Case]:
    """Return what is computed: the article's run, which is chaotic, and one of a larger network on whole numbers."""
    X, y = load_marks()
    draw = np.random.RandomState(8).randint  # whole numbers: NumPy's normal ones need the C library's log
    arrays = [draw(-512, 513, shape) / 1024 for shape in ((8, 30), (8, 1), (1, 8), (1, 1))]
    found = {
        "3-4-1": (X[:, :300], y[:, :300], init_params(3, 4, seed=3, factor=0.01), 4500),
        "30-8-1": (draw(-2048, 2049, (30, 455)) / 1024, draw(0, 2, (1, 455)), arrays, 1000),
    }
    return {
        name: Case(X.astype(dtype), y.astype(dtype), Params(*(a.astype(dtype) for a in start)), iterations)
        for name, (X, y, start, iterations) in found.items()
    }


def digest(*arrays: np.ndarray) -> str:
    """Return the SHA-256 of the arrays' bytes, in C order and little-endian on every machine."""
    little = (np.asarray(array).astype(array.dtype.newbyteorder("<")).tobytes() for array in arrays)
    return hashlib.sha256(b"".join(little)).hexdigest()


def interpreted(case: Case) -> Iterator[str]:
    """Return the digests of the stages by definition; without the run, which would take minutes."""
    X, y, start, _ = case
    dtype, sizes = start.w1.dtype, (len(X), len(start.w1), len(y))
    numbers = {"m": np.array(X.shape[1], dtype), "learning_rate": np.array(LEARNING_RATE, dtype)}
    yield digest(X, y, *start)
    for task, examples in (("yhat", {"X": X}), ("score", {"X": X, "y": y}), ("step", {"X": X, "y": y})):
        results = interpret(program(task, *sizes, dtype.name), examples, start._asdict(), numbers)
        yield digest(*(results[name] for name in results if name in ("yhat", "cost", *start._fields)))


def compiled(case: Case, backend: Backend, threads: int) -> Iterator[str]:
    """Return the digests of the stages as a kernel computes them."""
    X, y, start, iterations = case
    examples = Examples(backend.asarray(X), backend.asarray(y))
    engine = CompiledEngine(examples, start, backend=backend, threads=threads)
    state = engine.start(State(Params(*map(backend.asarray, start)), {}))
    numbers = {"learning_rate": LEARNING_RATE}
    yield digest(X, y, *start)
    yield digest(engine.predict(state, "yhat"))
    yield digest(np.array([[engine.score(state).cost]], start.w1.dtype))
    for count in (1, iterations):
        yield digest(*engine.state(engine.descend(state, count, numbers)[0]).params)


def main(arguments: Sequence[str]) -> int:
    """Print what this machine is and how its bits compare; return the exit code."""
    Parser("verify", "Compare the bits of this machine's kernels with the pinned ones.").parse_args(arguments)
    print(f"{platform.platform()}, {platform.machine()}, Python {platform.python_version()}, NumPy {np.__version__}")
    counts = sorted({1, count_threads()})
    places = [(f"{count} thread{'s'[: count > 1]}", get_backend("cpu"), count) for count in counts]
    if "cupy" in available_backends():
        places.append(("cupy", get_backend("cupy"), 1))
    code = DONE
    print(f"{'':28}", *(f"{stage:9}" for stage in STAGES))
    for dtype in DTYPES:
        for name, case in cases(dtype).items():
            pinned = PINNED[name, dtype]
            ways = {"interpreter": interpreted(case)}
            ways |= {way: compiled(case, backend, threads) for way, backend, threads in places}
            for way, digests in ways.items():
                found = [(mine, mine == theirs) for mine, theirs in zip(digests, pinned, strict=False)]
                cells = (f"{mine[:6]} {'=' if same else '!'} " for mine, same in found)
                print(f"{name:6} {dtype:7} {way:12}", *cells, flush=True)
                code = code if all(same for _, same in found) else DIFFERS
    print("all stages have the pinned bits" if code == DONE else "DIFFERENT BITS where a ! stands")
    return code
