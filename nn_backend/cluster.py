"""Workers on other machines: a Dask cluster that is there already, by its scheduler's address."""

import contextlib
import logging
import re
import sys
from collections.abc import Iterator
from typing import Any

from nn_backend.errors import ArgumentError, BackendUnavailableError, MissingPackageError

PATIENCE = 10  # seconds for a scheduler to answer


@contextlib.contextmanager
def workers(address: str | None) -> Iterator[Any]:
    """Return the executor of a cluster, as `fit_many` takes it, and say on stderr how many workers it has.

    Parameters
    ----------
    address : str or None
        Of the scheduler, such as ``"tcp://host:8786"``; None is no cluster, and gives no executor.

    Raises
    ------
    ArgumentError, BackendUnavailableError
        If this is no address, or no scheduler answers there.
    MissingPackageError
        If distributed is not installed.
    """
    if address is None:
        yield None
        return
    try:
        from distributed import Client
    except ImportError:
        raise MissingPackageError(
            'a cluster needs distributed, which is not installed: run "pip install nn-backend[cluster]"'
        ) from None
    if not re.fullmatch(r"tcp://.+:\d{1,5}", address):
        raise ArgumentError(f"the cluster's address is {address!r}; expected one such as tcp://host:8786")
    connect: Any = Client
    with contextlib.ExitStack() as stack:
        logging.disable()  # of Dask, whose every lost connection is a traceback; what it means for us is said by us
        stack.callback(logging.disable, logging.NOTSET)
        try:
            client = stack.enter_context(connect(address, timeout=PATIENCE, set_as_default=False))
        except OSError as error:
            raise BackendUnavailableError(f"no Dask scheduler answers at {address}: {error}") from None
        count = len(client.nthreads())
        print(f"cluster {address}: {count or 'waiting for'} workers", file=sys.stderr)
        yield client.get_executor()
