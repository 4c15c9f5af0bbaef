"""Why a notification was not accepted by the bridge."""

from __future__ import annotations


class NotifierError(Exception):
    """The base of all errors of this package."""


class ConversionError(NotifierError, ValueError):
    """The message type or its data is not what the contract says, so nothing was sent.

    path is where, with the keys of the JSON, such as login_status.current_upgrade.total_steps or
    evm_address_migration[1].address; "type" when the message type itself is to blame.
    problem is a sentence without the path, such as "is required".
    """

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(path, problem)
        self.path = path
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}"


class RejectedError(NotifierError):
    """The bridge refused the notification. It reached nobody, and sending it again unchanged will not help.

    reason is the kind of reason, a name of the contract's enum Reason such as REASON_TOO_LARGE.
    path is the offending field in the proto's names, empty when no single one is to blame.
    problem is a sentence without the path.
    """

    def __init__(self, reason: str, path: str, problem: str) -> None:
        super().__init__(reason, path, problem)
        self.reason = reason
        self.path = path
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}" if self.path else self.problem


class RefusedError(NotifierError):
    """The bridge lets this client publish nothing, or it is no bridge.

    A token is refused only after it was shown twice: one that has expired may be replaced meanwhile.
    code is gRPC's: UNAUTHENTICATED, PERMISSION_DENIED or UNIMPLEMENTED.
    """

    def __init__(self, code: str, details: str) -> None:
        super().__init__(code, details)
        self.code = code
        self.details = details

    def __str__(self) -> str:
        return f"{self.code}: {self.details}"


class BufferFullError(NotifierError):
    """As many notifications as the buffer holds wait for the bridge's answer already. Nothing was sent."""


class ClosedError(NotifierError):
    """The notifier was closed before the bridge answered, or before the notification was given to it.

    In the first case it may have been delivered nevertheless.
    """
