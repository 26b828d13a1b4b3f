"""What an aggregator needs to know to run: who it is, where it listens, where it keeps ciphertexts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from consilium_aggregator.errors import ConfigurationError
from consilium_peers.profile import KeyPairFiles, Profile


@dataclass(frozen=True)
class AggregatorConfiguration:
    """One aggregator.

    Attributes:
        profile: who it is to the ledger, and the TLS roots of all organisations.
        address: `host:port` to listen at; port 0 lets the system choose.
        tls: the server's certificate and key.
        store: the folder for ciphertexts; one aggregator each.
        keep_final: how many final sums of a study stay in the store, newest first; None keeps all.
    """

    profile: Profile
    address: str
    tls: KeyPairFiles
    store: Path
    keep_final: int | None = None

    @classmethod
    def from_profile(
        cls, profile: Profile, *, store: Path, address: str | None = None, keep_final: int | None = None
    ) -> AggregatorConfiguration:
        """Take address and certificate from a profile with a `server` section.

        Raises:
            ConfigurationError: the profile is no aggregator's server's, or an option makes no sense.
        """
        if profile.role != "aggregator" or profile.server_tls is None or profile.server_address is None:
            raise ConfigurationError(
                f"the profile of {profile.organization} ({profile.role}) has no server section; use the aggregator "
                "organisation's profiles/aggregator.yaml"
            )
        if keep_final is not None and keep_final < 1:
            raise ConfigurationError(f"{keep_final} final sums to keep; keep at least 1, or all")
        chosen = address or profile.server_address
        host, _, port = chosen.rpartition(":")
        if not host or not port.isdecimal() or int(port) > 65535:
            raise ConfigurationError(f"address {chosen!r} isn't HOST:PORT")
        return cls(profile, chosen, profile.server_tls, store, keep_final)
