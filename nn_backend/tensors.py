"""Named arrays and what they mean, in one safetensors file whose damage is found; needs the extra ``export``."""

import hashlib
import importlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nn_backend.errors import ArgumentError, DataFileError, MissingPackageError
from nn_backend.files import check_suffix, read_whole, replacing

FORMAT, FORMAT_VERSION = "nn_backend", 2
DTYPES = {"F32": "<f4", "F64": "<f8", "I64": "<i8"}


def write(path: str | Path, kind: str, tensors: Mapping[str, np.ndarray], meaning: Mapping[str, Any]) -> None:
    """Write arrays and JSON values; an old file is replaced at once, or stays as it is if anything fails.

    The metadata has the meaning as JSON under ``nn_backend``, with a SHA-256 of the whole. The same arrays and meaning
    give the same bytes.
    """
    numpy = import_extra("safetensors.numpy")
    check_suffix(path, (".safetensors",))
    tensors = {name: np.asarray(array, order="C") for name, array in tensors.items()}
    meaning = {"format_version": FORMAT_VERSION, "kind": kind, **meaning}
    try:
        meaning["sha256"] = _checksum(tensors, meaning)
    except (TypeError, ValueError, RecursionError) as error:
        raise ArgumentError(f"the {kind}'s settings cannot be saved as JSON: {error}") from None
    # One entry: safetensors writes several in an order that varies, and the same arrays shall give the same file.
    with replacing(Path(path)) as file:
        file.write(numpy.save(tensors, {FORMAT: json.dumps(meaning)}))


def read(path: str | Path, *kinds: str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return the arrays and the meaning that `write` wrote of one of some kinds; nothing in the file is executed.

    Raises
    ------
    DataFileError
        If the file is missing, no safetensors file, of another kind, of a later version, truncated or changed.
    """
    safetensors, kind = import_extra("safetensors"), kinds[0]
    try:
        content = read_whole(path)
        parts = dict(safetensors.deserialize(content))
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        text = header.get("__metadata__", {}).get(FORMAT)
        if text is None:
            raise DataFileError(f"{path} holds something else than a {kind} saved by nn_backend")
        meaning = json.loads(text)
        version = meaning["format_version"]
        if version not in range(1, FORMAT_VERSION + 1):
            raise DataFileError(
                f"{path} is of format version {version}; this nn_backend reads versions up to {FORMAT_VERSION}, "
                f"update it"
            )
        types = {part["dtype"] for part in parts.values()}
        if not types <= set(DTYPES):
            raise ValueError(f"its tensors are of types {', '.join(sorted(types))}; expected {', '.join(DTYPES)}")
        tensors = {
            name: np.frombuffer(part["data"], DTYPES[part["dtype"]]).reshape(part["shape"])
            for name, part in parts.items()
        }
        expected = meaning.pop("sha256")
        if _checksum(tensors, meaning) != expected:
            raise DataFileError(f"{path} was changed or damaged after it was saved: its checksum is wrong")
        if meaning.get("kind", "model") not in kinds:
            raise DataFileError(f"{path} holds a {meaning['kind']}; expected a {' or '.join(kinds)}")
        return tensors, meaning
    except FileNotFoundError:
        raise DataFileError(f"{path} does not exist; expected a {kind} saved by nn_backend") from None
    except (OSError, safetensors.SafetensorError) as error:
        if isinstance(error, DataFileError):
            raise
        raise DataFileError(f"{path} is no safetensors file, or only a part of one: {error}") from None
    except (ArithmeticError, LookupError, RecursionError, TypeError, ValueError) as error:  # JSON of another shape
        raise not_fitting(path, kind, error) from None


def not_fitting(path: str | Path, kind: str, error: Exception) -> DataFileError:
    """Return the error for a file whose parts do not fit together."""
    reason = f"it lacks {error}" if isinstance(error, KeyError) else error
    return DataFileError(f"{path} holds no {kind} that fits together: {reason}")


def import_extra(name: str) -> Any:
    """Return a module of the extra ``export``, or say how to get it."""
    try:
        return importlib.import_module(name)
    except ImportError:
        package = name.partition(".")[0]
        raise MissingPackageError(
            f'{package} is not installed, and the format needs it: run "pip install nn-backend[export]"'
        ) from None


def digest(*arrays: np.ndarray) -> str:
    """Return the SHA-256 of a data set, such as X (n0, m) and y (n2, m): row by row as little-endian float64."""
    hashed = hashlib.sha256()
    for array in arrays:
        for row in array if array.ndim > 1 else [array]:  # in turn, as a copy of a large table might not fit
            hashed.update(np.ascontiguousarray(row, "<f8").data)
    return hashed.hexdigest()


def _checksum(tensors: Mapping[str, np.ndarray], meaning: Mapping[str, Any]) -> str:
    hashed = hashlib.sha256(json.dumps(meaning, sort_keys=True, allow_nan=False).encode())
    for name, tensor in sorted(tensors.items()):
        hashed.update(f"{name} {tensor.dtype.str} {tensor.shape}".encode())
        hashed.update(np.ascontiguousarray(tensor).data)
    return hashed.hexdigest()
