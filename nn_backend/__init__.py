"""How back-propagation works: ten equations, written once, run on NumPy or CuPy."""

from nn_backend.commands import signals as _signals  # noqa: F401  # first: a command hears Ctrl-C from here on

# isort: split
from nn_backend.backend import (
    Backend,
    available_backends,
    diagnose_gpu,
    get_backend,
    register_backend,
    set_default_backend,
    use_backend,
)
from nn_backend.descent import fit
from nn_backend.engines.engine import Score
from nn_backend.equations import Params
from nn_backend.errors import (
    ArgumentError,
    ArrayTypeError,
    BackendUnavailableError,
    DataError,
    DataFileError,
    DivergenceError,
    MissingPackageError,
    NNBackendError,
    OutOfMemoryError,
    TraceError,
)
from nn_backend.export import load, save, to_onnx
from nn_backend.many import fit_many
from nn_backend.marks import load_marks, simulate_marks
from nn_backend.model import Model
from nn_backend.network import init_params, predict, predict_proba, score
from nn_backend.networks import Networks
from nn_backend.optimizers import Optimizer, State, adam, gd, nesterov, rprop
from nn_backend.run import FitResult
from nn_backend.tables import Standardization, Table, load_table, standardization

__all__ = [
    "ArgumentError",
    "ArrayTypeError",
    "Backend",
    "BackendUnavailableError",
    "DataError",
    "DataFileError",
    "DivergenceError",
    "FitResult",
    "MissingPackageError",
    "Model",
    "NNBackendError",
    "Networks",
    "Optimizer",
    "OutOfMemoryError",
    "Params",
    "Score",
    "Standardization",
    "State",
    "Table",
    "TraceError",
    "adam",
    "available_backends",
    "diagnose_gpu",
    "fit",
    "fit_many",
    "gd",
    "get_backend",
    "init_params",
    "load",
    "load_marks",
    "load_table",
    "nesterov",
    "predict",
    "predict_proba",
    "register_backend",
    "rprop",
    "save",
    "score",
    "set_default_backend",
    "simulate_marks",
    "standardization",
    "to_onnx",
    "use_backend",
]
