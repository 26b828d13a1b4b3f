"""What can go wrong at an aggregator. Every message names the value and what to do about it."""

from __future__ import annotations


class AggregatorError(Exception):
    """The base of the aggregator's expected errors; the command line prints its message and exits."""


class SummationError(AggregatorError):
    """Chunks that can't be added: none, too many for an exact sum, or malformed."""


class StoreError(AggregatorError):
    """The store can't do what is asked of it."""


class ContentMissingError(StoreError):
    """The store doesn't hold a content."""


class RefusedError(AggregatorError):
    """A caller asks for what it may not have, or sends what doesn't belong to an anchored vector."""


class StrangerError(RefusedError):
    """A caller whose certificate no organisation of the consortium has issued."""


class ServerError(AggregatorError):
    """The aggregator can't be started as asked."""
