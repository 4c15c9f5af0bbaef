"""What became of a notification."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from .errors import NotifierError


@dataclass(frozen=True)
class Outcome:
    """What became of one notification.

    error says why the bridge did not accept it, and is None if it did; the rest is about an accepted one.
    position is its place in the bridge's order; opaque, compare it for equality only.
    subscribers is how many were there for it when it was accepted.
    duplicate: it was accepted when it was first sent, and the answer was lost with the connection. It was delivered
    once; position and subscribers are of that time.
    """

    error: Optional[NotifierError] = None
    position: str = ""
    subscribers: int = 0
    duplicate: bool = False

    @property
    def delivered(self) -> bool:
        """Whether this is a success in rotki's sense: accepted, and somebody was there to receive it."""
        return self.error is None and self.subscribers > 0
