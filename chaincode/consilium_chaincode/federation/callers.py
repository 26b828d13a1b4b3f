"""Who sends a transaction: organisation and role as the certificate says, never as an argument says."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from consilium_chaincode.federation.errors import Refused
from consilium_proto.refusals import RefusalCode

ADMIN = "admin"
CLIENT = "client"


@dataclass(frozen=True, slots=True)
class Caller:
    """An organisation's MSP id and the role (organisational unit) in the certificate that signed the proposal."""

    organization: str
    role: str

    def require_role(self, *roles: str) -> None:
        """Refuse a caller whose certificate has none of the roles."""
        if self.role not in roles:
            raise Refused(
                RefusalCode.FORBIDDEN,
                f"this takes a certificate of role {' or '.join(roles)}, and the caller's role is {self.role!r}",
            )

    def require_among(self, organizations: Collection[str], what: str) -> None:
        """Refuse a caller whose organisation isn't listed; `what` says what the listed ones are, in the singular."""
        if self.organization not in organizations:
            raise Refused(RefusalCode.FORBIDDEN, f"{self.organization} is not {what}")
