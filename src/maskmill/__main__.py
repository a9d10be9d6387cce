"""python -m maskmill: the same as the command `maskmill`."""

from typing import NoReturn

from maskmill.cli.app import main
from maskmill.system import quick


def run() -> NoReturn:
    """The entry point of `maskmill`."""
    try:
        main()
    except SystemExit as end:
        if isinstance(end.code, str):  # Python prints it
            raise
        quick.exit_at_once(int(end.code or 0))
    quick.exit_at_once(0)


if __name__ == "__main__":
    run()
