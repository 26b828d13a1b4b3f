"""A hospital's policy decides at its own site; anything but a valid signature over it means no."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from consilium_client.errors import PolicyRefusalError
from consilium_client.policy import check_budget, check_cohort, load_policy, sign_policy, signature_path
from consilium_peers.identity import Identity
from consilium_proto.records import Deadlines, Participant, PrivacyTerms, StudyTerms

HOSPITAL = "ClevelandMSP"
CODE = "ab" * 32
RULE = {
    "study": "heart",
    "purpose": "research",
    "code": [CODE],
    "epsilon_budget": 3.0,
    "minimum_hospitals": 3,
    "required_partners": ["HungaryMSP"],
    "release": ["metrics"],
}


class Authority:
    """A certificate authority with one member."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.root = self._certificate("ca", self.key.public_key())
        member = ec.generate_private_key(ec.SECP256R1())
        pem = member.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        certificate = self._certificate("admin", member.public_key())
        self.identity = Identity(HOSPITAL, certificate.public_bytes(serialization.Encoding.PEM), pem)

    def _certificate(self, name: str, key: ec.EllipticCurvePublicKey) -> x509.Certificate:
        now = dt.datetime.now(dt.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ca")]))
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(minutes=1))
            .not_valid_after(now + dt.timedelta(days=1))
            .sign(self.key, hashes.SHA256())
        )


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


def write(path: Path, **changes: object) -> Path:
    rule = {key: value for key, value in {**RULE, **changes}.items() if value is not ...}
    path.write_text(yaml.safe_dump({"hospital": HOSPITAL, "studies": [rule]}))
    return path


def terms(**changes: object) -> StudyTerms:
    fields: dict[str, object] = {
        "study": "heart",
        "purpose": "research",
        "coordinator": HOSPITAL,
        "participants": tuple(Participant(hospital=name, sample_cap=10) for name in ("AMSP", "BMSP", HOSPITAL)),
        "max_colluding": 1,
        "rounds": 1,
        "attempts": 1,
        "deadlines": Deadlines(**dict.fromkeys(Deadlines.__struct_fields__, 1)),
        "clock_tolerance": 1,
        "code": CODE,
        "schema": "cd" * 32,
        "initial_model": "ef" * 32,
        "parameters": 1,
        "parameter_set": "bfv4096-q58-b20",
        "update_bound_micro": 1,
        "privacy": PrivacyTerms(
            noise_multiplier_milli=2000,
            clip_milli=1000,
            delta_numerator=1,
            delta_denominator=1000,
            epsilon_budget_micro=3_000_000,
        ),
    }
    return StudyTerms(**{**fields, **changes})  # type: ignore[arg-type]


def test_a_signed_policy_allows_what_it_names(tmp_path: Path, authority: Authority) -> None:
    path = write(tmp_path / "policy.yaml")
    sign_policy(path, authority.identity)
    rule = load_policy(path, HOSPITAL, [authority.root]).rule(terms())
    check_cohort(rule, ("HungaryMSP", "BMSP", HOSPITAL))
    check_budget(rule, 3_000_000)
    assert rule.release == {"metrics"}


def test_a_missing_or_unsigned_policy_means_no(tmp_path: Path, authority: Authority) -> None:
    with pytest.raises(PolicyRefusalError, match="no policy"):
        load_policy(tmp_path / "absent.yaml", HOSPITAL, [authority.root])
    path = write(tmp_path / "policy.yaml")
    with pytest.raises(PolicyRefusalError, match="unsigned"):
        load_policy(path, HOSPITAL, [authority.root])


def test_a_policy_changed_after_signing_means_no(tmp_path: Path, authority: Authority) -> None:
    path = write(tmp_path / "policy.yaml")
    sign_policy(path, authority.identity)
    path.write_text(path.read_text().replace("3.0", "9.0"))
    with pytest.raises(PolicyRefusalError, match="changed after it was signed"):
        load_policy(path, HOSPITAL, [authority.root])


def test_somebody_elses_signature_means_no(tmp_path: Path, authority: Authority) -> None:
    path = write(tmp_path / "policy.yaml")
    sign_policy(path, Authority().identity)
    with pytest.raises(PolicyRefusalError, match="CA didn't issue"):
        load_policy(path, HOSPITAL, [authority.root])


@pytest.mark.parametrize("garbage", ["", "[]", "{}", '{"certificate": "x", "signature": "y"}'])
def test_a_broken_signature_file_means_no(tmp_path: Path, authority: Authority, garbage: str) -> None:
    path = write(tmp_path / "policy.yaml")
    signature_path(path).write_text(garbage)
    with pytest.raises(PolicyRefusalError):
        load_policy(path, HOSPITAL, [authority.root])


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"study": "other"}, "doesn't name study"),
        ({"purpose": "marketing"}, "the policy allows 'research'"),
        ({"code": "00" * 32}, "which the policy doesn't name"),
        ({"privacy": None}, "without privacy noise"),
    ],
)
def test_what_the_policy_doesnt_name_is_refused(
    tmp_path: Path, authority: Authority, changes: dict[str, object], reason: str
) -> None:
    path = write(tmp_path / "policy.yaml")
    sign_policy(path, authority.identity)
    policy = load_policy(path, HOSPITAL, [authority.root])
    with pytest.raises(PolicyRefusalError, match=reason):
        policy.rule(terms(**changes))


def test_budget_and_cohort_are_enforced(tmp_path: Path, authority: Authority) -> None:
    path = write(tmp_path / "policy.yaml", epsilon_budget="2.5")
    sign_policy(path, authority.identity)
    policy = load_policy(path, HOSPITAL, [authority.root])
    with pytest.raises(PolicyRefusalError, match="may spend epsilon 3"):
        policy.rule(terms())
    rule = policy.rules["heart"]
    with pytest.raises(PolicyRefusalError, match=r"2\.500001"):
        check_budget(rule, 2_500_001)
    with pytest.raises(PolicyRefusalError, match="2 hospitals take part"):
        check_cohort(rule, (HOSPITAL, "HungaryMSP"))
    with pytest.raises(PolicyRefusalError, match="HungaryMSP"):
        check_cohort(rule, (HOSPITAL, "AMSP", "BMSP"))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"code": []}, "code"),
        ({"code": ...}, "code"),
        ({"purpose": 3}, "purpose"),
        ({"epsilon_budget": ...}, "epsilon_budget"),
        ({"epsilon_budget": -1}, "epsilon_budget"),
        ({"epsilon_budget": "much"}, "epsilon_budget"),
        ({"minimum_hospitals": 2}, "minimum_hospitals"),
        ({"required_partners": "HungaryMSP"}, "required_partners"),
        ({"release": ["rows"]}, "release"),
        ({"aproved": True}, "aproved"),
    ],
)
def test_a_malformed_policy_isnt_even_signed(
    tmp_path: Path, authority: Authority, changes: dict[str, object], named: str
) -> None:
    path = write(tmp_path / "policy.yaml", **changes)
    with pytest.raises(PolicyRefusalError, match=named):
        sign_policy(path, authority.identity)
    assert not signature_path(path).exists()


def test_another_hospitals_policy_is_refused(tmp_path: Path, authority: Authority) -> None:
    path = write(tmp_path / "policy.yaml")
    sign_policy(path, authority.identity)
    with pytest.raises(PolicyRefusalError, match="not HungaryMSP"):
        load_policy(path, "HungaryMSP", [authority.root])
