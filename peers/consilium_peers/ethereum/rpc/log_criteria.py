"""Which logs somebody wants: addresses, and topics by position (the filter options of `eth_getLogs`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from consilium_peers.ethereum.rpc import values
from consilium_peers.ethereum.rpc.errors import InvalidParametersError
from consilium_proto.ethereum.transactions import LogRecord

MOST_ALTERNATIVES = 500
MOST_TOPICS = 4


@dataclass(frozen=True, slots=True)
class LogCriteria:
    """No address stands for any; a position of `topics` without alternatives matches any topic that is there."""

    addresses: tuple[str, ...] = ()
    topics: tuple[tuple[str, ...], ...] = ()

    def match(self, log: LogRecord) -> bool:
        """Tell whether a log is wanted."""
        if self.addresses and log.address not in self.addresses:
            return False
        if len(self.topics) > len(log.topics):
            return False
        return all(not wanted or topic in wanted for wanted, topic in zip(self.topics, log.topics, strict=False))


def log_criteria(options: dict[str, object]) -> LogCriteria:
    """Read `address` and `topics` of a filter's options."""
    given = options.get("address")
    addresses = () if given is None else _alternatives(given, "address", values.address)
    topics = [] if options.get("topics") is None else values.sequence(options["topics"], "topics")
    if len(topics) > MOST_TOPICS:
        raise InvalidParametersError(f"topics has {len(topics)} positions; a log has at most {MOST_TOPICS} topics")
    return LogCriteria(
        addresses,
        tuple(() if each is None else _alternatives(each, "a topic", values.hash_of) for each in topics),
    )


def _alternatives(given: object, what: str, read: Callable[[object, str], str]) -> tuple[str, ...]:
    listed = given if isinstance(given, list) else [given]
    if len(listed) > MOST_ALTERNATIVES:
        raise InvalidParametersError(f"{what} has {len(listed)} alternatives; at most {MOST_ALTERNATIVES} are taken")
    return tuple(dict.fromkeys(read(each, what) for each in listed))
