"""python -m maskmill: the same as the command `maskmill`."""

from maskmill.cli import main

if __name__ == "__main__":
    main()
