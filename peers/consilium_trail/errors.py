"""What can be wrong with a trail: it can't be read, or what it says doesn't hold."""

from __future__ import annotations


class TrailError(Exception):
    """The base of this package's expected errors."""


class UnreadableError(TrailError):
    """Bytes that aren't what they are said to be; nothing can be proved or disproved with them."""


class MalformedBlockError(UnreadableError):
    """Bytes that aren't a block of Fabric, or a part of one."""


class MalformedConfigurationError(UnreadableError):
    """A channel's configuration that can't be used: not one, or its parts contradict each other."""


class MalformedTransactionError(UnreadableError):
    """A transaction that can't be decoded. Clients can get such a one ordered; then peers flag it with `code`.

    Attributes:
        code: the name of Fabric's validation code for it, such as BAD_PAYLOAD.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class ArchiveError(UnreadableError):
    """A file that isn't a trail's archive: truncated, unsafe names, what isn't declared, another format."""


class RootsError(UnreadableError):
    """The file of root certificates can't be used."""


class ExportError(TrailError):
    """A trail that can't be written: what it is to prove isn't in the blocks."""


class MissingPackagesError(TrailError):
    """What this machine lacks to verify a trail; it says nothing about the trail."""
