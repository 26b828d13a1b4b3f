"""Certificates: roles, subjects, chains, low S, validity; and what an organisation's folder holds."""

import datetime
import json
import ssl
import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509.oid import NameOID

from consilium_chaincode.shim.stub import Creator
from consilium_network.certificates import Authority, OrganizationalUnit, check_validity, expiry, read_certificate
from consilium_network.errors import CertificateError
from consilium_network.layout import KeyPair, NetworkFolder
from consilium_network.organizations import certificates_of, create_monitor, create_organization, exchange_public_parts
from consilium_network.topology import packaged_topology
from consilium_proto.access_roles import AccessRole

HALF_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551 // 2


@pytest.fixture
def authority() -> Authority:
    return Authority.create("test identities", "TestMSP")


def test_an_identity_names_its_organisation_and_role(authority: Authority) -> None:
    subject = authority.identity("client.test", OrganizationalUnit.CLIENT, 10).certificate.subject
    assert subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)[0].value == "TestMSP"
    assert subject.get_attributes_for_oid(NameOID.ORGANIZATIONAL_UNIT_NAME)[0].value == "client"


def test_a_role_is_an_attribute_as_fabrics_authority_writes_it(authority: Authority) -> None:
    issued = authority.identity("auditor.test", OrganizationalUnit.CLIENT, 10, AccessRole.AUDITOR)
    extension = issued.certificate.extensions.get_extension_for_oid(x509.ObjectIdentifier("1.2.3.4.5.6.7.8.1"))
    assert isinstance(extension.value, x509.UnrecognizedExtension)
    assert json.loads(extension.value.value) == {"attrs": {"consilium.role": "auditor"}}
    assert not extension.critical  # a program that doesn't know it must not refuse the certificate


def test_a_regulators_certificates_all_say_what_they_are_for(folder: NetworkFolder) -> None:
    own = folder.organization("regulator")
    found = {}
    for place in sorted((own.root / "users").iterdir()):
        certificate = own.user(place.name).identity.certificate.read_bytes()
        found[place.name] = Creator.from_certificate("RegulatorMSP", certificate).attributes
    assert found == {name: {"consilium.role": name} for name in ("admin", "auditor", "compliance")}


def test_every_signature_has_a_low_s_and_verifies(authority: Authority) -> None:
    for number in range(12):
        issued = authority.identity(f"user{number}", OrganizationalUnit.PEER, 10).certificate
        issued.verify_directly_issued_by(authority.issued.certificate)
        assert decode_dss_signature(issued.signature)[1] <= HALF_ORDER


def test_a_tls_certificate_names_its_hosts(authority: Authority) -> None:
    issued = authority.tls("peer.test", ("127.0.0.1", "localhost", "127.0.0.1"), 10).certificate
    names = issued.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(each) for each in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    assert issued.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)[0].value == "TestMSP"


def test_an_authority_reads_back_and_goes_on_issuing(authority: Authority, tmp_path: Path) -> None:
    authority.save(tmp_path)
    again = Authority.load(tmp_path)
    again.tls("later", (), 1).certificate.verify_directly_issued_by(authority.issued.certificate)


def test_an_expired_certificate_is_named_with_its_date(authority: Authority, tmp_path: Path) -> None:
    pair = KeyPair.within(tmp_path)
    authority.identity("old", OrganizationalUnit.PEER, -1).save(pair)
    with pytest.raises(CertificateError, match=r"peer\.x expired on 20\d\d-\d\d-\d\d .*network down") as caught:
        check_validity(pair.certificate, "peer.x")
    assert str(pair.certificate) in str(caught.value)


def test_a_clock_that_is_behind_is_told_apart(authority: Authority, tmp_path: Path) -> None:
    pair = KeyPair.within(tmp_path)
    authority.identity("new", OrganizationalUnit.PEER, 10).save(pair)
    check_validity(pair.certificate, "peer.x")
    past = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=2)
    with pytest.raises(CertificateError, match="check this machine's clock"):
        check_validity(pair.certificate, "peer.x", past)


@pytest.mark.parametrize("content", [None, b"", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_a_broken_certificate_is_one_clear_error(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "cert.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CertificateError, match=r"can't read the certificate .*cert\.pem"):
        read_certificate(path)


@pytest.fixture
def folder(tmp_path: Path) -> NetworkFolder:
    topology, folder = packaged_topology(), NetworkFolder(tmp_path)
    for organization in topology.organizations:
        create_organization(organization, folder, topology.certificate_days)
    create_monitor(folder)
    exchange_public_parts(topology, folder)
    return folder


def test_keys_are_private_and_nothing_private_is_public(folder: NetworkFolder) -> None:
    keys = [path for path in folder.root.rglob("*") if path.name in ("key.pem", "priv_sk")]
    assert len(keys) > 40
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in keys)
    assert not [path for path in keys if "public" in path.relative_to(folder.root).parts]
    for organization in packaged_topology().organizations:
        assert stat.S_IMODE(folder.organization(organization.name).root.stat().st_mode) == 0o700
    for path in (folder.root / "public").rglob("*"):
        assert path.is_dir() or b"PRIVATE" not in path.read_bytes()


def test_every_organisation_has_its_own_copies_of_the_others_roots(folder: NetworkFolder) -> None:
    organizations = packaged_topology().organizations
    for own in organizations:
        for other in organizations:
            copy = folder.organization(own.name).partner_tls_root(other.name)
            assert copy.read_bytes() == folder.public(other.name).tls_root.read_bytes()
            assert not copy.is_symlink()


def test_every_tls_pair_loads_and_chains_to_its_organisations_root(folder: NetworkFolder) -> None:
    for organization in packaged_topology().organizations:
        own = folder.organization(organization.name)
        root = read_certificate(own.tls_root)
        for certificate in own.root.rglob("tls/cert.pem"):
            read_certificate(certificate).verify_directly_issued_by(root)
            ssl.create_default_context().load_cert_chain(certificate, certificate.with_name("key.pem"))


def test_status_knows_the_certificates_of_every_node_and_user(folder: NetworkFolder) -> None:
    cleveland = packaged_topology().organization("cleveland")
    found = certificates_of(cleveland, folder.organization("cleveland"))
    kinds = {"peer", "orderer", "admin", "client", "auditor", "compliance"}
    assert set(found) == {f"{kind}.cleveland" for kind in kinds}
    soonest = min(expiry(path) for paths in found.values() for path in paths)
    assert soonest > datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=800)
