"""The errors a user can meet: one base, and beside it the built-in that a Python user would catch."""


class NNBackendError(Exception):
    """Base of every error this package raises on purpose."""


class ArgumentError(NNBackendError, ValueError):
    """An argument, option or environment variable has a value that is not accepted."""


class DataError(NNBackendError, ValueError):
    """A table or array has the wrong shape, columns or values."""


class DataFileError(NNBackendError, OSError):
    """A data file cannot be opened or is not of the kind its name says."""


class ArrayTypeError(NNBackendError, TypeError):
    """An array belongs to another backend than the one asked for, or is no array."""


class BackendUnavailableError(NNBackendError, RuntimeError):
    """A backend was required that this machine cannot run; the message is the diagnosis."""


class OutOfMemoryError(NNBackendError, MemoryError):
    """The device's memory does not suffice; the message gives the sizes."""


class MissingPackageError(NNBackendError, ImportError):
    """A feature needs an optional package that is not installed; the message names the extra."""


class DivergenceError(NNBackendError, ArithmeticError):
    """Training reached a state that is not finite; the message names the iteration and the remedy."""


class TraceError(NNBackendError, TypeError):
    """A function did something that cannot be recorded; the message lists what can."""
