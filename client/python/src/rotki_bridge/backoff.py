"""The pauses between attempts to reach the bridge."""

from __future__ import annotations

import random


class Backoff:
    """A pause that doubles with each attempt that fails, up to a bound.

    Each is shortened by up to a half at random, so that many clients do not come back at the same moment.
    """

    def __init__(self, shortest: float, longest: float) -> None:
        if not 0 < shortest <= longest:
            raise ValueError(f"backoff from {shortest} to {longest} s: the first must be positive and at most the second")
        self._shortest = shortest
        self._longest = longest
        self._next = shortest

    def take(self) -> float:
        """Returns how many seconds to wait before the next attempt."""
        pause = self._next
        self._next = min(2 * pause, self._longest)
        return pause * random.uniform(0.5, 1)

    def reset(self) -> None:
        """Is called when an attempt got somewhere."""
        self._next = self._shortest
