"""What the bridge has not answered, in the order in which it was given to the notifier."""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import Future
from typing import Deque, List, Optional, Set, Tuple

from rotki.notifications.v1.notification_service_pb2 import PublishResponse, Reason

from .errors import BufferFullError, ClosedError, RejectedError
from .outcome import Outcome
from .pending import Pending


class ProtocolError(Exception):
    """The bridge's answer breaks the protocol: its stream is worth nothing any more."""


class Outbox:
    """Holds notifications until the bridge has answered them.

    One thread at a time opens streams, with begin and end, and takes answers. Any may put; next is called by gRPC's
    thread that sends. Nobody's code runs under the lock: what was taken out is settled by who took it out.
    """

    def __init__(self, capacity: int) -> None:
        if capacity < 1:
            raise ValueError(f"capacity of {capacity}: it must be positive")
        self._capacity = capacity
        self._changed = threading.Condition(threading.Lock())
        self._unanswered: Deque[Pending] = deque()
        self._sent = 0  # how many of them are on the current stream
        self._stream = 0  # the number of the current stream
        self._streaming = False
        self._closed = False
        self._abandoned = False
        self._unsettled: Set[Future[Outcome]] = set()

    def put(self, pending: Pending) -> None:
        """Appends a notification. Raises BufferFullError or ClosedError."""
        with self._changed:
            if self._closed:
                raise ClosedError("the notifier is closed")
            if len(self._unanswered) >= self._capacity:
                raise BufferFullError(f"{self._capacity} notifications wait for the bridge's answer already")
            self._unanswered.append(pending)
            self._unsettled.add(pending.future)
            self._changed.notify_all()
        pending.future.add_done_callback(self._forget)

    def _forget(self, future: Future[Outcome]) -> None:
        with self._changed:
            self._unsettled.discard(future)

    def unsettled(self) -> Set[Future[Outcome]]:
        """Returns the futures of all whose callbacks have not returned."""
        with self._changed:
            return set(self._unsettled)

    def close(self) -> None:
        """Refuses whatever is put from now on."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def abandon(self) -> None:
        """Closes, and ends the waiting for what is left."""
        with self._changed:
            self._closed = self._abandoned = True
            self._changed.notify_all()

    def wait(self) -> bool:
        """Returns True once there is something to send, False when there never will be."""
        with self._changed:
            self._changed.wait_for(lambda: self._unanswered or self._closed)
            return bool(self._unanswered) and not self._abandoned

    def pause(self, seconds: float) -> None:
        """Waits, but not after abandon."""
        with self._changed:
            self._changed.wait_for(lambda: self._abandoned, seconds)

    def begin(self) -> int:
        """Returns the number of a new stream, which starts over with the oldest that was not answered."""
        with self._changed:
            self._stream += 1
            self._streaming = True
            self._sent = 0
            return self._stream

    def next(self, stream: int) -> Optional[bytes]:
        """Returns the next request for a stream, waiting for one; None when the stream is to end or has ended."""
        with self._changed:
            while self._streaming and stream == self._stream:
                if self._sent < len(self._unanswered):
                    self._sent += 1
                    return self._unanswered[self._sent - 1].frame
                if self._closed:
                    return None
                self._changed.wait()
            return None

    def end(self) -> None:
        """Ends the current stream: next gives out nothing until begin."""
        with self._changed:
            self._streaming = False
            self._changed.notify_all()

    def answer(self, response: PublishResponse) -> Tuple[Pending, Outcome]:
        """Takes out the oldest, which the bridge has answered. Raises ProtocolError."""
        with self._changed:
            if self._sent == 0:
                raise ProtocolError(f"the bridge answered {response.id!r}, but nothing was unanswered")
            oldest = self._unanswered[0]
            if response.id != oldest.id:
                raise ProtocolError(f"the bridge answered {response.id!r} when {oldest.id!r} was next")
            outcome = _outcome(response)
            self._unanswered.popleft()
            self._sent -= 1
            return oldest, outcome

    def take_largest(self) -> Optional[Pending]:
        """Takes out the one for which the bridge, or gRPC on this side, ended the stream because it is too large.

        Which one that was is not said, and some before it may be unanswered. But whatever the limit is, the largest
        that was sent is beyond it. Returns None if none was sent.
        """
        with self._changed:
            if self._sent == 0:
                return None
            index = max(range(self._sent), key=lambda i: len(self._unanswered[i].frame))
            largest = self._unanswered[index]
            del self._unanswered[index]
            self._sent -= 1
            return largest

    def take_all(self) -> List[Pending]:
        """Takes out all there are."""
        with self._changed:
            taken = list(self._unanswered)
            self._unanswered.clear()
            self._sent = 0
            return taken

    def __len__(self) -> int:
        with self._changed:
            return len(self._unanswered)


def _outcome(response: PublishResponse) -> Outcome:
    result = response.WhichOneof("result")
    if result == "accepted":
        accepted = response.accepted
        return Outcome(None, accepted.position, accepted.subscribers, accepted.duplicate)
    if result == "rejected":
        rejected = response.rejected
        by_number = Reason.DESCRIPTOR.values_by_number.get(rejected.reason)
        reason = by_number.name if by_number else str(rejected.reason)
        return Outcome(RejectedError(reason, rejected.field, rejected.message))
    raise ProtocolError(f"the bridge's answer to {response.id!r} says neither accepted nor rejected")
