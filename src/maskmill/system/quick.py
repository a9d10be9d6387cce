"""Start and end a process that does one thing, such as a stage, in little time.

Importing and exiting take longer than its work. docs/benchmarks.md has what both save.
"""

import atexit
import gc
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

_status: int | None = None  # with which this process leaves; None: as Python does


@contextmanager
def imports_without_gc() -> Iterator[None]:
    """Import without collecting garbage.

    Modules are no garbage, and looking through them takes a quarter of the time.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def exit_at_once(status: int) -> NoReturn:
    """End the process as `sys.exit` does, without taking its modules apart.

    The system does that at once.
    """
    global _status  # noqa: PLW0603  a process has one
    _status = status
    sys.exit(status)


@contextmanager
def hide_module(module: str) -> Iterator[None]:
    """Make the import of `module` fail while this is entered.

    It is for a library that imports the module where it is there, without a need for it here.
    """
    missing = module not in sys.modules
    if missing:
        sys.modules[module] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if missing:
            del sys.modules[module]


@atexit.register  # what libraries register later comes before it
def _end() -> None:
    if _status is not None:
        logging.shutdown()  # which has registered earlier
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError):  # nobody reads it any more, or the disk is full
                stream.flush()
        os._exit(_status)
