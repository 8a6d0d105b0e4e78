"""Files that appear under their name only when they are whole."""

import os
import secrets
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def appearing(path):
    """A path beside `path`, of the same ending, to write a new file to; at the end it takes that name. Where writing
    fails nothing is left of it, and a file that was there stays."""
    path = Path(path)
    temporary = path.with_name(f".{secrets.token_hex(8)}.{path.name}")
    try:
        yield temporary
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
