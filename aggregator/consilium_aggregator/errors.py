"""What can go wrong at an aggregator. Every message names the value and what to do about it."""

from __future__ import annotations


class AggregatorError(Exception):
    """The base of the aggregator's expected errors; the command line prints its message and exits."""


class ConfigurationError(AggregatorError):
    """A profile or option with which no aggregator can run."""


class ServerError(AggregatorError):
    """The server can't listen at its address, or with its certificate."""


class SummationError(AggregatorError):
    """Chunks that can't be added: none, too many for an exact sum, or malformed."""


# ---- the store


class StoreError(AggregatorError):
    """The store can't be read or written: no space, no permission, a folder that isn't one."""


class MissingContentError(StoreError):
    """Content that the store doesn't hold."""


class CorruptContentError(StoreError):
    """Content that no longer has the digest it is named by. The store has dropped it; it is to be sent again."""


# ---- what a caller asks for


class RequestError(AggregatorError):
    """The base of what an aggregator answers to a caller that asks for something it doesn't get."""


class StrangerError(RequestError):
    """A caller whose certificate no organisation of the consortium vouches for."""


class ForbiddenError(RequestError):
    """A known organisation that asks for what isn't its own."""


class UnknownVectorError(RequestError):
    """A vector, sum or position that isn't there."""


class TooEarlyError(RequestError):
    """An upload before the ledger has every anchor, or chunks before their manifest: to be tried again."""


class RoundOverError(RequestError):
    """An upload for a round that is decided."""


class RefusedContentError(RequestError):
    """A manifest that isn't under the anchored root, or a chunk that isn't what manifest and wire format say."""


class LedgerUnavailableError(RequestError):
    """The ledger can't be asked at the moment."""
