"""Tables as people have them: what kind of file, which columns, how they are encoded, split and scaled."""

from nn_backend.tables.encoding import UNKNOWN, Column, Encoding
from nn_backend.tables.names import (
    check_columns,
    column_names,
    describe_lacking,
    find_name,
    is_frame,
    quoted,
    read_column,
    split_names,
)
from nn_backend.tables.packed import STDIN
from nn_backend.tables.scaling import Scales, Standardization, exact_sums, standardization
from nn_backend.tables.sources import Source, open_source
from nn_backend.tables.splitting import SPLITS, split_rows
from nn_backend.tables.table import (
    MISSING,
    Table,
    fill_missing,
    load_table,
    read_targets,
)
from nn_backend.tables.targets import TASKS, encode_target
from nn_backend.tables.text import Form

__all__ = [
    "MISSING",
    "SPLITS",
    "STDIN",
    "TASKS",
    "UNKNOWN",
    "Column",
    "Encoding",
    "Form",
    "Scales",
    "Source",
    "Standardization",
    "Table",
    "check_columns",
    "column_names",
    "describe_lacking",
    "encode_target",
    "exact_sums",
    "fill_missing",
    "find_name",
    "is_frame",
    "load_table",
    "open_source",
    "quoted",
    "read_column",
    "read_targets",
    "split_names",
    "split_rows",
    "standardization",
]
