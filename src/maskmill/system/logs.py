"""The one set-up of logging: what the modules of maskmill say is a line on stdout each.

A module says something by `logging.getLogger(__name__).info(..)`. What is started from a command
line calls `log_to_stdout` first; in a program of somebody else's, that one's set-up holds.
"""

import logging
import sys
from contextlib import suppress

_ROOT = "maskmill"


def log_to_stdout() -> None:
    """Print each message of maskmill's modules as it is; called again, it changes nothing."""
    logger = logging.getLogger(_ROOT)
    if any(isinstance(handler, _Lines) for handler in logger.handlers):
        return
    logger.addHandler(_Lines())
    logger.setLevel(logging.INFO)
    logger.propagate = False  # libraries that set up the root would print it twice


class _Lines(logging.Handler):
    """Writes to what is stdout at that moment, above a bar where one is drawn."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write the message, and at once: into a pipe it would come when 8 kB are full."""
        line = self.format(record)
        with suppress(BrokenPipeError):  # nobody is left who reads it; the work goes on
            if "tqdm" in sys.modules:
                sys.modules["tqdm"].tqdm.write(line)
            else:
                print(line)
            sys.stdout.flush()
