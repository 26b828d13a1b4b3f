"""Who sends a transaction: organisation and roles as the certificate says, never as an argument says."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from consilium_chaincode.federation.errors import Refused
from consilium_proto.access_roles import ROLE_ATTRIBUTE, AccessRole
from consilium_proto.refusals import RefusalCode

ADMIN = "admin"
CLIENT = "client"

READERS = tuple(AccessRole)
EXPORTERS = (AccessRole.COMPLIANCE, AccessRole.ADMIN)
WRITERS = (AccessRole.ADMIN,)


@dataclass(frozen=True, slots=True)
class Caller:
    """An organisation's MSP id, and what the certificate that signed the proposal says of its holder.

    `role` is the organisational unit. `access` is the attribute `consilium.role`; most certificates have none, and
    then nothing is taken away from what the organisational unit allows.
    """

    organization: str
    role: str
    access: str | None = None

    def require_role(self, *roles: str) -> None:
        """Refuse a caller whose certificate has none of the roles."""
        if self.role not in roles:
            raise Refused(
                RefusalCode.FORBIDDEN,
                f"this takes a certificate of role {' or '.join(roles)}, and the caller's role is {self.role!r}",
            )

    def require_access(self, roles: Collection[AccessRole]) -> None:
        """Refuse a caller whose certificate has an attribute that is none of `roles`."""
        if self.access is not None and self.access not in roles:
            raise Refused(
                RefusalCode.FORBIDDEN,
                f"a certificate whose {ROLE_ATTRIBUTE} is {self.access!r} may not call this; "
                f"{' or '.join(roles)} may, or a program's certificate, which has none",
            )

    def require_known(self, roles: Collection[AccessRole], known: Collection[str]) -> None:
        """Refuse a caller that has neither one of the attribute's `roles` nor an organisation among `known`."""
        self.require_access(roles)
        if self.access is None and self.organization not in known:
            raise Refused(
                RefusalCode.FORBIDDEN,
                f"{self.organization} is neither hospital nor aggregator here, so this takes a certificate whose "
                f"{ROLE_ATTRIBUTE} is {' or '.join(roles)}",
            )

    def require_among(self, organizations: Collection[str], what: str) -> None:
        """Refuse a caller whose organisation isn't listed; `what` says what the listed ones are, in the singular."""
        if self.organization not in organizations:
            raise Refused(RefusalCode.FORBIDDEN, f"{self.organization} is not {what}")
