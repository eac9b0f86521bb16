"""`python -m kimi_mini COMMAND`: the command line of `kimi_mini.cli`."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
