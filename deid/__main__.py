"""``python -m deid``: the same as ``mami-deid``."""

from deid.cli.app import main

if __name__ == "__main__":
    main()
