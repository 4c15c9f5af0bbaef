"""A notification on its way to the bridge."""

from __future__ import annotations

import logging
from concurrent.futures import Future
from typing import Callable, Optional

from .outcome import Outcome

_logger = logging.getLogger("rotki_bridge")

Callback = Callable[[], object]


class Pending:
    """A notification whose outcome is not known yet. It is settled once."""

    def __init__(
        self,
        id: str,
        message_type: str,
        frame: bytes,
        success_callback: Optional[Callback],
        failure_callback: Optional[Callback],
    ) -> None:
        self.id = id
        self.message_type = message_type
        self.frame = frame  # the PublishRequest as it is sent, however often that is
        self.future: Future[Outcome] = Future()
        self.future.set_running_or_notify_cancel()  # what was given to the notifier cannot be cancelled
        self._success_callback = success_callback
        self._failure_callback = failure_callback

    def settle(self, outcome: Outcome) -> None:
        """Calls the callback that is due, and then completes the future. No lock may be held."""
        callback = self._success_callback if outcome.delivered else self._failure_callback
        try:
            if callback is not None:
                callback()
        except BaseException:  # a thread of ours is no place to exit from
            _logger.exception("the callback of a %s notification failed", self.message_type)
        self.future.set_result(outcome)
