"""Profiles and identities: every mistake in them is one error that names the file, the field and what to do."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from client_credentials import MSP_ID, Credentials
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from consilium_network.certificates import Authority, OrganizationalUnit
from consilium_peers.errors import IdentityError, ProfileError
from consilium_peers.identity import Identity
from consilium_peers.profile import Profile

ADDRESS = "127.0.0.1:7051"


def pem(key: Any, password: bytes | None = None) -> bytes:
    protection = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    raw: bytes = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection)
    return raw


def self_signed(key: Any, starts: int = -1, ends: int = 1) -> bytes:
    """Return a certificate that is valid from `starts` to `ends`, in days from now."""
    now = datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "somebody")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now + datetime.timedelta(days=starts))
    builder = builder.not_valid_after(now + datetime.timedelta(days=ends))
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


KEY = ec.generate_private_key(ec.SECP256R1())
OTHER_KEY = ec.generate_private_key(ec.SECP256R1())
P384 = ec.generate_private_key(ec.SECP384R1())
RSA = rsa.generate_private_key(65537, 2048)


@pytest.mark.parametrize(
    ("certificate", "private_key", "said"),
    [
        (self_signed(KEY, -2, -1), pem(KEY), "renew it"),
        (self_signed(KEY, 1, 2), pem(KEY), "is valid from"),
        (
            self_signed(KEY),
            pem(ec.generate_private_key(ec.SECP256R1())),
            "doesn't belong to the certificate CN=somebody",
        ),
        (self_signed(P384), pem(P384), "isn't P-256"),
        (self_signed(RSA), pem(RSA), "isn't P-256"),
        (self_signed(KEY), pem(KEY, b"password"), "can't be read"),
        (self_signed(KEY), b"", "can't be read"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", pem(KEY), "can't be read"),
        (b"", pem(KEY), "can't be read"),
    ],
)
def test_an_identity_that_cannot_sign_is_refused(certificate: bytes, private_key: bytes, said: str) -> None:
    with pytest.raises(IdentityError, match=MSP_ID) as caught:
        Identity(MSP_ID, certificate, private_key)
    assert said in str(caught.value)
    assert "PRIVATE KEY" not in str(caught.value)


def test_an_identity_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(IdentityError, match=r"cert\.pem"):
        Identity.load(MSP_ID, tmp_path / "cert.pem", tmp_path / "key.pem")


def write(tmp_path: Path, document: object) -> Path:
    path = tmp_path / "client.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


def test_a_profile_has_what_the_file_says(credentials: Credentials, tmp_path: Path) -> None:
    document = credentials.document(ADDRESS, "peer.example.org:443")
    document["server"] = {"address": "0.0.0.0:7901", "tls": document["tls"]}
    profile = Profile.load(write(tmp_path, document))
    assert (profile.organization, profile.role, profile.channel) == (MSP_ID, "hospital", "consilium")
    assert [each.address for each in profile.gateways] == [ADDRESS, "peer.example.org:443"]
    assert profile.server_address == "0.0.0.0:7901"
    assert profile.load_identity().msp_id == MSP_ID
    assert len(profile.load_roots()) == 1


def test_paths_are_relative_to_the_profile(credentials: Credentials, monkeypatch: pytest.MonkeyPatch) -> None:
    document = credentials.document(ADDRESS)
    document["tls"] = {"certificate": "tls/cert.pem", "private_key": "tls/key.pem"}
    pair = credentials.pair("tls")
    (credentials.root / "tls" / "cert.pem").write_bytes(pair.certificate.read_bytes())
    (credentials.root / "tls" / "key.pem").write_bytes(pair.private_key.read_bytes())
    path = write(credentials.root, document)
    monkeypatch.chdir("/")
    assert Profile.load(path).tls.certificate == (credentials.root / "tls" / "cert.pem").resolve()


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("organization", None, "organization is None; expected a text"),
        ("organization", 7, "organization is 7"),
        ("channel", "", "channel is ''"),
        ("role", "visitor", "role is 'visitor'; expected one of hospital, regulator, aggregator"),
        ("gateways", [], "name at least the organisation's own peer"),
        ("gateways", "peer", "gateways is 'peer'; expected a list of fields"),
        ("gateways", [{"address": ADDRESS}], "gateways[0].tls_roots is None"),
        ("identity", None, "identity is None; expected fields"),
        ("identity", {"certificate": "absent.pem"}, "identity.certificate names"),
        ("tls", {}, "tls.certificate is None"),
    ],
)
def test_a_mistake_in_a_profile_names_the_field(
    credentials: Credentials, tmp_path: Path, field: str, value: object, said: str
) -> None:
    path = write(tmp_path, {**credentials.document(ADDRESS), field: value})
    with pytest.raises(ProfileError) as caught:
        Profile.load(path)
    assert said in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("address", ["peer", "peer:", ":7051", "peer:port", "peer:0", "peer:70000"])
def test_an_address_is_a_host_and_a_port(credentials: Credentials, tmp_path: Path, address: str) -> None:
    path = write(tmp_path, credentials.document(address))
    with pytest.raises(ProfileError, match=r"gateways\[0\]\.address is .* expected host:port"):
        Profile.load(path)


@pytest.mark.parametrize("content", [b"a: [", b"- list", b"", b"\xff\xfe\x00"])
def test_a_file_that_is_no_profile(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "client.yaml"
    path.write_bytes(content)
    with pytest.raises(ProfileError, match="isn't"):
        Profile.load(path)


def test_a_profile_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match="no profile at"):
        Profile.load(tmp_path / "client.yaml")
    with pytest.raises(ProfileError, match="can't be read"):
        Profile.load(tmp_path)


def test_roots_that_are_none(credentials: Credentials, tmp_path: Path) -> None:
    (tmp_path / "roots.pem").write_text("nothing")
    document = credentials.document(ADDRESS)
    document["identity"] = {**document["identity"], "roots": str(tmp_path / "roots.pem")}  # type: ignore[dict-item]
    with pytest.raises(ProfileError, match="holds no certificates"):
        Profile.load(write(tmp_path, document)).load_roots()


def test_an_expired_identity_of_the_organisation_is_refused_before_anything_is_sent(
    credentials: Credentials, tmp_path: Path
) -> None:
    expired = Credentials(tmp_path, Authority.create("ca", MSP_ID))
    expired.authority.identity("client", OrganizationalUnit.CLIENT, -1).save(expired.pair("identity"))
    document = credentials.document(ADDRESS)
    pair = expired.pair("identity")
    document["identity"] = {
        "certificate": str(pair.certificate),
        "private_key": str(pair.private_key),
        "roots": str(credentials.root / "roots.pem"),
    }
    with pytest.raises(IdentityError, match="renew it"):
        Profile.load(write(tmp_path, document)).load_identity()
