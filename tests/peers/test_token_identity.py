"""A signing key in a PKCS#11 token: it signs there, it can't be read, and each mistake is one line that helps."""

from __future__ import annotations

import dataclasses
import logging
import sys
from pathlib import Path
from typing import Any

import pkcs11
import pytest
import yaml
from client_credentials import MSP_ID, Credentials
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from soft_token import PIN, SoftToken

from consilium_peers import pkcs11_token
from consilium_peers.errors import IdentityError, ProfileError, TokenError
from consilium_peers.identity import Identity
from consilium_peers.pkcs11_token import PIN_VARIABLE, TokenKey
from consilium_peers.profile import Profile
from consilium_peers.token_keys import TokenSigningKey

HALF_OF_THE_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551 // 2


@pytest.fixture
def key(credentials: Credentials, soft_token: SoftToken) -> TokenKey:
    return soft_token.import_signing_key(credentials.pair("identity").private_key, "msp")


def load(credentials: Credentials, key: TokenKey) -> Identity:
    return Identity.load_with_token(MSP_ID, credentials.pair("identity").certificate, key)


def verify(identity: Identity, message: bytes) -> None:
    public_key = identity.certificate.public_key()
    assert isinstance(public_key, ec.EllipticCurvePublicKey)
    signature = identity.sign(message)
    public_key.verify(signature, message, ec.ECDSA(hashes.SHA256()))
    assert decode_dss_signature(signature)[1] <= HALF_OF_THE_ORDER


def write_profile(credentials: Credentials, path: Path, identity: dict[str, Any]) -> Path:
    document = credentials.document("127.0.0.1:7051")
    roots = str(credentials.root / "roots.pem")
    certificate = str(credentials.pair("identity").certificate)
    document["identity"] = {"certificate": certificate, "roots": roots, **identity}
    path.write_text(yaml.safe_dump(document))
    return path


def test_a_profile_leads_to_the_key_in_the_token(
    credentials: Credentials, soft_token: SoftToken, key: TokenKey, tmp_path: Path
) -> None:
    path = write_profile(credentials, tmp_path / "client.yaml", {"pkcs11": soft_token.fields("msp")})
    identity = Profile.load(path).load_identity()
    for number in range(24):  # half of all raw signatures have a high s
        verify(identity, f"message {number}".encode())


def test_the_key_cant_be_read_out_of_the_token(soft_token: SoftToken, key: TokenKey) -> None:
    with soft_token.session() as session:
        found = session.get_key(object_class=pkcs11.ObjectClass.PRIVATE_KEY, label="msp")
        assert found[pkcs11.Attribute.SENSITIVE]
        assert not found[pkcs11.Attribute.EXTRACTABLE]
        with pytest.raises(pkcs11.AttributeSensitive):
            found[pkcs11.Attribute.VALUE]
        with pytest.raises(pkcs11.PKCS11Error):
            found[pkcs11.Attribute.EXTRACTABLE] = True


def test_a_key_that_could_be_read_out_is_refused(soft_token: SoftToken) -> None:
    with soft_token.session() as session:
        curve = pkcs11.util.ec.encode_named_curve_parameters("secp256r1")
        parameters = session.create_domain_parameters(
            pkcs11.KeyType.EC, {pkcs11.Attribute.EC_PARAMS: curve}, local=True
        )
        readable = {pkcs11.Attribute.EXTRACTABLE: True, pkcs11.Attribute.SENSITIVE: False}
        parameters.generate_keypair(store=True, label="loose", private_template=readable)
    with pytest.raises(TokenError, match=r"key 'loose' in token .* can be read out .* CKA_EXTRACTABLE false"):
        TokenSigningKey(soft_token.key("loose"))


def test_a_lost_session_is_opened_anew(credentials: Credentials, soft_token: SoftToken, key: TokenKey) -> None:
    identity = load(credentials, key)
    soft_token.reconnect()
    verify(identity, b"after the token was away")


def test_two_identities_of_one_process_share_a_login(credentials: Credentials, key: TokenKey) -> None:
    first, second = load(credentials, key), load(credentials, key)
    verify(first, b"one")
    verify(second, b"two")


def test_the_pin_may_come_from_the_environment(
    credentials: Credentials, key: TokenKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PIN_VARIABLE, PIN)
    verify(load(credentials, dataclasses.replace(key, pin_file=None)), b"message")


def test_another_keys_certificate_is_refused(credentials: Credentials, soft_token: SoftToken) -> None:
    other = soft_token.import_signing_key(credentials.pair("tls").private_key, "tls")
    with pytest.raises(IdentityError, match=f"the key of {MSP_ID} doesn't belong to the certificate"):
        load(credentials, other)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"module": Path("/absent/module.so")}, "no PKCS#11 module at /absent/module.so; the token's maker says where"),
        ({"module": Path(__file__)}, "test_token_identity.py doesn't work as a PKCS#11 module"),
        ({"token": "elsewhere"}, "has no token labelled 'elsewhere'; it has 't-"),
        ({"label": "absent"}, "has no private key labelled 'absent'; import the key, or correct the label"),
        ({"pin_file": Path("/absent/pin")}, "can't be read from /absent/pin (No such file or directory); create the"),
        ({"pin_file": None}, f"there is no PIN for token 't-{{}}' in {PIN_VARIABLE}; set {PIN_VARIABLE} or pin_file"),
    ],
)
def test_what_is_missing_is_named(
    soft_token: SoftToken, key: TokenKey, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], said: str
) -> None:
    monkeypatch.delenv(PIN_VARIABLE, raising=False)
    with pytest.raises(TokenError) as caught:
        TokenSigningKey(dataclasses.replace(key, **change))
    assert said.format(soft_token.label[2:]) in str(caught.value)


def test_without_the_binding_it_says_what_to_install(key: TokenKey, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pkcs11", None)
    with pytest.raises(TokenError, match=r"pip install 'consilium\[pkcs11\]'"):
        TokenSigningKey(key)


def test_a_key_that_may_not_sign_is_refused(soft_token: SoftToken) -> None:
    with soft_token.session() as session:
        curve = pkcs11.util.ec.encode_named_curve_parameters("secp256r1")
        parameters = session.create_domain_parameters(
            pkcs11.KeyType.EC, {pkcs11.Attribute.EC_PARAMS: curve}, local=True
        )
        parameters.generate_keypair(store=True, label="mute", capabilities=pkcs11.MechanismFlag.DERIVE)
    with pytest.raises(TokenError, match=r"may not sign; make or import it anew with CKA_SIGN true"):
        TokenSigningKey(soft_token.key("mute"))


def test_two_keys_of_one_label_are_refused(credentials: Credentials, soft_token: SoftToken, key: TokenKey) -> None:
    again = soft_token.import_signing_key(credentials.pair("tls").private_key, "msp")
    with pytest.raises(TokenError, match="has several private keys labelled 'msp'; delete or rename all but one"):
        TokenSigningKey(again)


def test_a_wrong_pin_is_named_by_its_file_only(
    credentials: Credentials, key: TokenKey, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    wrong = tmp_path / "wrong-pin"
    wrong.write_text("123456789")
    with pytest.raises(TokenError, match=r"refuses the PIN from .*wrong-pin; correct it") as caught:
        load(credentials, dataclasses.replace(key, pin_file=wrong))
    assert "123456789" not in str(caught.value) + caplog.text
    verify(load(credentials, key), b"the right one works still")
    with pytest.raises(TokenError, match=r"wrong-pin has another one; correct it"):
        load(credentials, dataclasses.replace(key, pin_file=wrong))


def test_a_refused_pin_is_never_sent_again(
    credentials: Credentials, soft_token: SoftToken, key: TokenKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The PIN was changed while the agent ran: a token locks after a few wrong ones, and the agent tries on and on."""
    identity = load(credentials, key)
    with soft_token.session() as session:
        session.set_pin(PIN, "another pin")
    soft_token.reconnect()
    with pytest.raises(TokenError, match="refuses the PIN"):
        identity.sign(b"message")
    asked: list[object] = []
    monkeypatch.setattr(pkcs11_token, "_find", lambda *place: asked.append(place))
    with pytest.raises(TokenError, match="refuses the PIN"):
        identity.sign(b"message")
    assert not asked


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"token": None}, "identity.pkcs11.token is None; expected a text"),
        ({"label": 7}, "identity.pkcs11.label is 7; expected a text"),
        ({"pin": "1234"}, "identity.pkcs11 has an unknown field 'pin'"),
    ],
)
def test_a_mistake_in_a_profile_names_the_field(
    credentials: Credentials, soft_token: SoftToken, tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    fields = {**soft_token.fields("msp"), **change}
    path = write_profile(credentials, tmp_path / "client.yaml", {"pkcs11": fields})
    with pytest.raises(ProfileError) as caught:
        Profile.load(path)
    assert said in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_profile_names_a_file_or_a_token(credentials: Credentials, soft_token: SoftToken, tmp_path: Path) -> None:
    both = {"pkcs11": soft_token.fields("msp"), "private_key": str(credentials.pair("identity").private_key)}
    with pytest.raises(ProfileError, match="exclude each other"):
        Profile.load(write_profile(credentials, tmp_path / "client.yaml", both))


def test_a_certificate_of_another_kind_is_refused(credentials: Credentials, key: TokenKey) -> None:
    """The signature is checked against the certificate, so one for another curve can't be taken for the key's."""
    from test_profile_and_identity import P384, self_signed

    with pytest.raises(IdentityError, match="isn't P-256"):
        Identity(MSP_ID, self_signed(P384), TokenSigningKey(key))
    assert isinstance(x509.load_pem_x509_certificate(self_signed(P384)).public_key(), ec.EllipticCurvePublicKey)
