"""What a certificate may be used for, as its attribute `consilium.role` says: the contract decides by it.

Fabric's certificate authority writes attributes into an extension of its own
(https://hyperledger-fabric-ca.readthedocs.io/en/latest/users-guide.html#attribute-based-access-control): an object
identifier of no registered arc, and JSON of the form `{"attrs": {"consilium.role": "auditor"}}`.
"""

from __future__ import annotations

from enum import StrEnum

ATTRIBUTES_OID = "1.2.3.4.5.6.7.8.1"
ROLE_ATTRIBUTE = "consilium.role"


class AccessRole(StrEnum):
    """The values of the attribute. A certificate with any other value may call nothing.

    A certificate without the attribute is one of a hospital's or aggregator's programs and administrators: its
    organisational unit decides, and its organisation has to be named by the consortium or by the study it asks about.
    """

    AUDITOR = "auditor"
    """Reads everything, writes nothing."""
    COMPLIANCE = "compliance"
    """Reads everything, and exports trails in its organisation's name; writes nothing."""
    ADMIN = "admin"
    """Reads and exports; writes what an administrator of its organisation may."""
