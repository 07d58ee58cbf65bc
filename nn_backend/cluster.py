"""Workers on other machines: a Dask cluster that is there already, by its scheduler's address."""

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

from nn_backend.errors import BackendUnavailableError, MissingPackageError

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
    BackendUnavailableError
        If no scheduler answers there.
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
    connect: Any = Client
    try:
        client = connect(address, timeout=PATIENCE, set_as_default=False)
    except (OSError, ValueError) as error:
        raise BackendUnavailableError(
            f"no Dask scheduler answers at {address!r} ({error}); expected an address such as tcp://host:8786"
        ) from None
    with client:
        count = len(client.scheduler_info(n_workers=-1)["workers"])
        print(f"cluster {address}: {count or 'waiting for'} workers", file=sys.stderr)
        yield client.get_executor()
