"""python -m jglm."""

import sys

from jglm.cli import main

if __name__ == "__main__":
    sys.exit(main())
