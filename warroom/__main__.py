"""Starts the war room at the command line."""

import sys

from warroom.terminal.session import main

if __name__ == "__main__":
    sys.exit(main())
