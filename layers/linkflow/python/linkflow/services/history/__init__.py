"""History: event sourcing. The only writer of execution state."""

from .service import History

__all__ = ["History"]
