"""Asking one peer for something as its own organisation's admin: joining a channel, installing chaincode."""

from __future__ import annotations

from pathlib import Path

from consilium_network.errors import NetworkError
from consilium_peers.endorser import process_proposal
from consilium_peers.errors import PeersError
from consilium_peers.profile import Profile

_TIMEOUT_SECONDS = 60.0


async def call_own_peer(
    admin: Path, chaincode: str, function: str, argument: bytes, *, error: type[NetworkError], in_channel: bool = False
) -> bytes:
    """Call a system chaincode, by an admin's profile, at the admin's own peer and return its payload.

    With `in_channel` it answers from what this very peer knows of the profile's channel.

    Raises:
        error: the peer doesn't answer within a minute, or refuses. The message has the peer's words.
    """
    try:
        profile = Profile.load(admin)
        return await process_proposal(
            profile.load_identity(),
            profile.gateways[0],
            profile.tls,
            chaincode,
            [function.encode(), argument],
            channel=profile.channel if in_channel else "",
            timeout=_TIMEOUT_SECONDS,
        )
    except PeersError as failure:
        raise error(f"{function} at the own peer of {admin.parent.parent.name}: {failure}") from None
