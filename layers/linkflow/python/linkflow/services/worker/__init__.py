"""Worker: runs nodes. Stateless."""

from .service import Worker

__all__ = ["Worker"]
