"""What a transaction can fail with. Whatever is raised, the peer gets an answer."""

from __future__ import annotations

# Peers don't endorse an answer whose status is at or above this (Fabric's shim.ERRORTHRESHOLD).
ERROR_THRESHOLD = 400


class ChaincodeError(Exception):
    """Rejects the transaction; the message reaches the caller. `status` is from 400 to 599."""

    def __init__(self, message: str, status: int = ERROR_THRESHOLD) -> None:
        super().__init__(message)
        self.status = status


class StateError(ChaincodeError):
    """The peer refused a request for state, or the request itself is wrong."""

    def __init__(self, message: str) -> None:
        super().__init__(message, 500)


class StreamLostError(ChaincodeError):
    """The peer didn't answer in time; the transaction ends here."""

    def __init__(self, message: str) -> None:
        super().__init__(message, 503)
