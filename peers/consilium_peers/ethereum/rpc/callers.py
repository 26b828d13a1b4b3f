"""Which programs may talk to the server. Web pages of others must not, whichever way they try.

A page reaches a server on its reader's own machine by that server's address, by a name that it lets point there (DNS
rebinding), or by a WebSocket, which browsers open to anywhere. Browsers say in `Host` which name was used and in
`Origin` whose page asks; what a form can send isn't JSON.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from consilium_peers.ethereum.rpc.errors import ServingError

ANY_ORIGIN = "*"


@dataclass(frozen=True, slots=True)
class Callers:
    """Names under which the server is called, besides localhost and addresses; origins of pages that may ask."""

    hosts: frozenset[str] = frozenset()
    origins: frozenset[str] = frozenset()

    def host_is_known(self, header: str | None) -> bool:
        """Tell whether a `Host` header has a known name, or an address: no name was rebound then."""
        name = _name_in(header or "")
        if name == "localhost" or name in self.hosts:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True

    def origin_is_allowed(self, header: str | None) -> bool:
        """Tell whether a request comes from no web page, or from one that may ask."""
        return header is None or header in self.origins or ANY_ORIGIN in self.origins


def is_loopback(host: str) -> bool:
    """Tell whether only this machine reaches a server that listens at an address or name."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def listening_address(text: str) -> tuple[str, int]:
    """Read HOST:PORT; an IPv6 address stands in brackets.

    Raises:
        ServingError: it isn't that.
    """
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isdecimal() or int(port) > 65_535:
        raise ServingError(f"can't listen at {text!r}; expected HOST:PORT, such as 127.0.0.1:8545")
    return host, int(port)


def _name_in(header: str) -> str:
    """Return the name in a `Host` header without its port."""
    if header.startswith("["):
        return header[1:].partition("]")[0]
    return header.rpartition(":")[0].lower() if header.count(":") == 1 else header.lower()
