"""Worker: runs nodes. Stateless."""

from .ahead import HeadStart
from .service import Worker

__all__ = ["HeadStart", "Worker"]
