"""Timer: everything that happens because time passes."""

from .service import Timer

__all__ = ["Timer"]
