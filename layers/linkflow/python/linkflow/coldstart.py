"""The start of a Lambda function."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def cold_start() -> Iterator[None]:
    """Import and build what the function is made of.

    Nothing of that is garbage, so nobody looks for any: not meanwhile, which would be a sixth of the time, and not
    later, in what stays for as long as the function does.
    """
    # pydantic would look for plugins of its own in the metadata of every package; we have none.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
