"""Files that become a data frame at once: NumPy's, spreadsheets, Feather, ORC and svmlight."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nn_backend.errors import ArgumentError, DataFileError, MissingPackageError
from nn_backend.tables.names import quoted
from nn_backend.tables.text import NAMELESS, Form, has_header

if TYPE_CHECKING:  # pandas takes longer to import than a small training
    import pandas as pd


def _read_numpy(path: Path, form: Form, where: str) -> "pd.DataFrame":
    """Return the frame of a .npy file's array, or of X and y in an .npz file."""
    import pandas as pd

    try:
        with path.open("rb") as file:
            loaded = np.load(file, allow_pickle=False)
            arrays = {name: loaded[name] for name in loaded.files} if hasattr(loaded, "files") else {"": loaded}
    except ValueError as error:
        raise DataFileError(f"{where} is no file of NumPy arrays of numbers: {error}") from None
    columns: dict[str, Any] = {}
    for name, array in arrays.items():
        if array.dtype.names:
            columns |= {field: array[field] for field in array.dtype.names}
        elif array.ndim == 1 or (array.ndim == 2 and array.shape[1] == 1 and name):
            columns[name or "0"] = array.ravel()
        elif array.ndim == 2:
            columns |= {str(len(columns) + k): column for k, column in enumerate(array.T)}
        else:
            raise DataFileError(f"{where} has an array of shape {array.shape}; expected (rows, columns)")
    if len({len(column) for column in columns.values()}) > 1:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
        raise DataFileError(f"{where} has arrays of other numbers of rows: {shapes}; expected X (m, n0) and y (m,)")
    return pd.DataFrame(columns)


def _read_arrow(path: Path, form: Form, where: str) -> "pd.DataFrame":
    try:
        import pyarrow.feather
        import pyarrow.orc
    except ImportError:
        raise MissingPackageError(f'{where} needs pyarrow: run "pip install pyarrow"') from None
    with path.open("rb") as file:
        feather = file.read(6) == b"ARROW1"
    frame: pd.DataFrame = (pyarrow.feather.read_table if feather else pyarrow.orc.read_table)(path).to_pandas()
    return frame


def _read_sheet(path: Path, form: Form, where: str) -> "pd.DataFrame":
    """Return a sheet of a spreadsheet, from the row of its names on."""
    import pandas as pd

    try:
        import python_calamine
    except ImportError:
        raise MissingPackageError(
            f'{where} is a spreadsheet, which needs python-calamine: run "pip install nn-backend[xlsx]"'
        ) from None
    try:
        book = python_calamine.CalamineWorkbook.from_path(str(path))
        sheets = book.sheet_names
        asked = form.sheet or "0"
        if asked not in sheets and not (asked.isdecimal() and int(asked) < len(sheets)):
            raise ArgumentError(f"sheet is {asked!r}; {where} has {quoted(sheets)}")
        cells = book.get_sheet_by_name(asked if asked in sheets else sheets[int(asked)]).to_python()
    except python_calamine.CalamineError as error:
        raise DataFileError(f"{where} is no spreadsheet that can be read: {error}") from None
    rows = [row for row in cells if any(cell not in ("", None) for cell in row)]
    if not rows:
        raise DataFileError(f"{where} is empty; expected a header and one example per row")
    rows = rows[form.skip_rows or 0 :]
    texts = [[str(cell) for cell in row] for row in rows[:1000]]
    header = form.header if form.header is not None else has_header(texts)
    names = (
        [name or f"{NAMELESS}{k}" for k, name in enumerate(texts[0])]
        if header
        else [str(k) for k in range(len(rows[0]))]
    )
    frame = pd.DataFrame(rows[header:], columns=names, dtype=object)
    return frame.replace("", None)


def _read_svmlight(path: Path, form: Form, where: str) -> "pd.DataFrame":
    """Return the frame of sparse rows; without a feature 0, they count from 1."""
    import pandas as pd

    try:
        from sklearn.datasets import load_svmlight_file
    except ImportError:
        raise MissingPackageError(
            f'{where} is an svmlight file, which needs scikit-learn: run "pip install nn-backend[sklearn]"'
        ) from None
    try:
        X, y = load_svmlight_file(str(path), zero_based=True)
    except ValueError as error:
        raise DataFileError(f"{where} is no svmlight file that can be read: {error}") from None
    first = 0 if X[:, [0]].nnz else 1
    return pd.DataFrame({"y": y} | {str(k): column for k, column in enumerate(X.toarray().T[first:], first)})


FRAMES: dict[str, Callable[[Path, Form, str], "pd.DataFrame"]] = {
    "npy": _read_numpy,
    "npz": _read_numpy,
    "feather": _read_arrow,
    "orc": _read_arrow,
    "xlsx": _read_sheet,
    "xls": _read_sheet,
    "svmlight": _read_svmlight,
}
