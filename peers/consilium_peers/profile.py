"""A profile: who one is and where one's peers and aggregators are, in one YAML file. Paths are relative to the file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from cryptography import x509

from consilium_peers.errors import ProfileError, TokenError
from consilium_peers.identity import Identity
from consilium_peers.pkcs11_token import TokenKey

_ROLES = ("hospital", "regulator", "aggregator")


@dataclass(frozen=True)
class KeyPairFiles:
    """A certificate and its private key, PEM files."""

    certificate: Path
    private_key: Path


@dataclass(frozen=True)
class CertificateAndToken:
    """A certificate, a PEM file, whose private key rests in a PKCS#11 token."""

    certificate: Path
    key: TokenKey


@dataclass(frozen=True)
class Endpoint:
    """A server: `host:port`, the file of the TLS roots that vouch for it, the organisation that runs it."""

    address: str
    tls_roots: Path
    organization: str


@dataclass(frozen=True)
class OrganizationRoots:
    """The TLS roots by which an organisation's callers are recognised."""

    organization: str
    tls_roots: Path


@dataclass(frozen=True)
class Profile:
    """One user of one organisation. `gateways` starts with the organisation's own peer; the others are for failover."""

    organization: str
    role: str
    channel: str
    chaincode: str
    identity: KeyPairFiles | CertificateAndToken
    roots: Path
    tls: KeyPairFiles
    gateways: tuple[Endpoint, ...]
    aggregators: tuple[Endpoint, ...]
    organizations: tuple[OrganizationRoots, ...]
    server_address: str | None = None
    server_tls: KeyPairFiles | None = None

    @classmethod
    def load(cls, path: Path) -> Profile:
        """Read a profile.

        Raises:
            ProfileError: missing, malformed, or naming a file that isn't there; the message names the field.
        """
        reader = _Reader(path, _read(path))
        server = reader.section("server") if "server" in reader.document else None
        gateways = tuple(reader.endpoint(entry) for entry in reader.entries("gateways"))
        if not gateways:
            raise ProfileError(f"{path}: gateways is empty; name at least the organisation's own peer")
        role = reader.text("role")
        if role not in _ROLES:
            raise ProfileError(f"{path}: role is {role!r}; expected one of {', '.join(_ROLES)}")
        return cls(
            organization=reader.text("organization"),
            role=role,
            channel=reader.text("channel"),
            chaincode=reader.text("chaincode"),
            identity=reader.section("identity").signer(),
            roots=reader.section("identity").file("roots"),
            tls=reader.section("tls").pair(),
            gateways=gateways,
            aggregators=tuple(reader.endpoint(entry) for entry in reader.entries("aggregators")),
            organizations=tuple(
                OrganizationRoots(entry.text("organization"), entry.file("tls_roots"))
                for entry in reader.entries("organizations")
            ),
            server_address=None if server is None else server.address("address"),
            server_tls=None if server is None else server.section("tls").pair(),
        )

    def load_identity(self) -> Identity:
        """Read the identity that signs.

        Raises:
            IdentityError: certificate and key aren't a valid pair.
            TokenError: the key rests in a token that can't be opened or doesn't have it.
        """
        if isinstance(self.identity, CertificateAndToken):
            return Identity.load_with_token(self.organization, self.identity.certificate, self.identity.key)
        return Identity.load(self.organization, self.identity.certificate, self.identity.private_key)

    def load_roots(self) -> list[x509.Certificate]:
        """Read the root certificates that vouch for the organisation's own identities."""
        try:
            return x509.load_pem_x509_certificates(self.roots.read_bytes())
        except (OSError, ValueError) as error:
            raise ProfileError(f"{self.roots} holds no certificates: {error}") from None


def _read(path: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(path.read_text())
    except FileNotFoundError:
        raise ProfileError(f"no profile at {path}; the network writes them below organizations/NAME/profiles") from None
    except OSError as error:
        raise ProfileError(f"the profile {path} can't be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ProfileError(f"{path} isn't YAML: {error}") from None
    if not isinstance(document, dict):
        raise ProfileError(f"{path} isn't a profile: it holds {type(document).__name__}")
    return document


class _Reader:
    """Reads fields of one mapping of the profile; every error names the profile and the field."""

    def __init__(self, path: Path, document: dict[str, Any], prefix: str = "") -> None:
        self.path = path
        self.document = document
        self._prefix = prefix

    def text(self, field: str) -> str:
        value = self.document.get(field)
        if not isinstance(value, str) or not value:
            raise ProfileError(f"{self.path}: {self._prefix}{field} is {value!r}; expected a text")
        return value

    def address(self, field: str) -> str:
        value = self.text(field)
        host, _, port = value.rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 65536:
            raise ProfileError(f"{self.path}: {self._prefix}{field} is {value!r}; expected host:port")
        return value

    def file(self, field: str) -> Path:
        found = (self.path.parent / self.text(field)).resolve()
        if not found.is_file():
            raise ProfileError(f"{self.path}: {self._prefix}{field} names {found}, which isn't there")
        return found

    def section(self, field: str) -> _Reader:
        value = self.document.get(field)
        if not isinstance(value, dict):
            raise ProfileError(f"{self.path}: {self._prefix}{field} is {value!r}; expected fields")
        return _Reader(self.path, value, f"{self._prefix}{field}.")

    def entries(self, field: str) -> list[_Reader]:
        value = self.document.get(field, [])
        if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
            raise ProfileError(f"{self.path}: {self._prefix}{field} is {value!r}; expected a list of fields")
        return [_Reader(self.path, entry, f"{field}[{n}].") for n, entry in enumerate(value)]

    def pair(self) -> KeyPairFiles:
        return KeyPairFiles(self.file("certificate"), self.file("private_key"))

    def signer(self) -> KeyPairFiles | CertificateAndToken:
        if "pkcs11" not in self.document:
            return self.pair()
        if "private_key" in self.document:
            raise ProfileError(f"{self.path}: {self._prefix}private_key and pkcs11 exclude each other; keep one")
        try:
            key = TokenKey.read(self.document["pkcs11"], self.path.parent)
        except TokenError as error:
            raise ProfileError(f"{self.path}: {self._prefix}{error}") from None
        return CertificateAndToken(self.file("certificate"), key)

    @staticmethod
    def endpoint(entry: _Reader) -> Endpoint:
        return Endpoint(entry.address("address"), entry.file("tls_roots"), entry.text("organization"))
