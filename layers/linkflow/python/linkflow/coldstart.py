"""The start of a Lambda function."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

init_ms = 0.0
"""How long this environment took from the first import of ours until it could serve."""


@contextmanager
def cold_start() -> Iterator[None]:
    """Import and build what the function is made of.

    Nothing of that is garbage, so nobody looks for any: not meanwhile, which would be a sixth of the time, and not
    later, in what stays for as long as the function does.
    """
    # pydantic would look for plugins of its own in the metadata of every package; we have none.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    global init_ms
    gc.disable()
    begun = time.perf_counter()
    try:
        yield
    finally:
        init_ms = 1000 * (time.perf_counter() - begun)
        gc.freeze()
        gc.enable()
