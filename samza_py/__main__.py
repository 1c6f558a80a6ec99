"""``python -m samza_py``: the same as ``samza-py``."""

import sys

from samza_py.cli import main

if __name__ == "__main__":
    sys.exit(main())
