"""What can go wrong at an aggregator. Every message names the value and what to do about it."""

from __future__ import annotations


class AggregatorError(Exception):
    """The base of the aggregator's expected errors; the command line prints its message and exits."""


class SummationError(AggregatorError):
    """Chunks that can't be added: none, too many for an exact sum, or malformed."""
