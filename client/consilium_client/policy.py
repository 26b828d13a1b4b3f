"""A hospital's own policy: what it takes part in, signed with its own key and enforced at its own site.

No policy, an unsigned one or one signed by anybody else means no: every function here refuses by raising
`PolicyRefusalError` and returns only when the answer is yes. The signature covers the file's exact bytes, so that what
was read aloud in the committee is what runs.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import yaml
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from consilium_client.errors import PolicyRefusalError
from consilium_peers.identity import Identity
from consilium_proto.records import StudyTerms

RELEASABLE = ("metrics", "held-out-scores")
SIGNATURE_SUFFIX = ".signature.json"
_DOMAIN = b"consilium policy v1\0"


@dataclass(frozen=True)
class StudyRule:
    """What the hospital allows in one study. `epsilon_budget_micro` is None where training without noise is allowed."""

    study: str
    purpose: str
    code: frozenset[str]
    epsilon_budget_micro: int | None
    required_partners: frozenset[str]
    minimum_hospitals: int
    release: frozenset[str]


@dataclass(frozen=True)
class Policy:
    """A verified policy: whose it is and one rule per study."""

    hospital: str
    rules: dict[str, StudyRule]

    def rule(self, terms: StudyTerms) -> StudyRule:
        """Return the rule that allows these terms.

        Raises:
            PolicyRefusalError: the policy doesn't name the study, its purpose or its code, or the study's privacy
                budget exceeds the hospital's.
        """
        rule = self.rules.get(terms.study)
        if rule is None:
            raise PolicyRefusalError(f"the policy of {self.hospital} doesn't name study {terms.study!r}")
        if rule.purpose != terms.purpose:
            raise PolicyRefusalError(
                f"study {terms.study} is for {terms.purpose!r}; the policy allows {rule.purpose!r}"
            )
        if terms.code not in rule.code:
            raise PolicyRefusalError(f"study {terms.study} runs code {terms.code}, which the policy doesn't name")
        _check_privacy(rule, terms)
        return rule


def check_cohort(rule: StudyRule, hospitals: tuple[str, ...]) -> None:
    """Refuse a set of hospitals that is too small or lacks a required partner: before each anchor."""
    if len(hospitals) < rule.minimum_hospitals:
        raise PolicyRefusalError(f"{len(hospitals)} hospitals take part; the policy asks for {rule.minimum_hospitals}")
    absent = sorted(rule.required_partners - set(hospitals))
    if absent:
        raise PolicyRefusalError(f"required partners are absent: {', '.join(absent)}")


def check_budget(rule: StudyRule, epsilon_after_micro: int) -> None:
    """Refuse a round after which the data set's epsilon would exceed the policy's budget."""
    if rule.epsilon_budget_micro is not None and epsilon_after_micro > rule.epsilon_budget_micro:
        raise PolicyRefusalError(
            f"the round would raise epsilon to {epsilon_after_micro / 1e6:.6f}; "
            f"the policy's budget is {rule.epsilon_budget_micro / 1e6:.6f}"
        )


def _check_privacy(rule: StudyRule, terms: StudyTerms) -> None:
    if rule.epsilon_budget_micro is None:
        return
    if terms.privacy is None:
        raise PolicyRefusalError(f"study {terms.study} trains without privacy noise; the policy sets an epsilon budget")
    if terms.privacy.epsilon_budget_micro > rule.epsilon_budget_micro:
        raise PolicyRefusalError(
            f"study {terms.study} may spend epsilon {terms.privacy.epsilon_budget_micro / 1e6:g}; "
            f"the policy allows {rule.epsilon_budget_micro / 1e6:g}"
        )


# ---- the file and its signature


def sign_policy(path: Path, identity: Identity) -> Path:
    """Check the policy file, sign its bytes with the identity's key and write the signature beside it."""
    _parse(path, identity.msp_id)
    signature = {
        "certificate": identity.certificate_pem.decode(),
        "signature": base64.b64encode(identity.sign(_DOMAIN + path.read_bytes())).decode(),
    }
    target = signature_path(path)
    target.write_text(json.dumps(signature, indent=2) + "\n")
    return target


def signature_path(path: Path) -> Path:
    """Where a policy's signature lies: beside it."""
    return path.with_name(path.name + SIGNATURE_SUFFIX)


def load_policy(path: Path, hospital: str, roots: list[x509.Certificate]) -> Policy:
    """Read a policy whose signature was made by an administrator or client of `hospital`.

    Args:
        path: the policy's YAML file; its signature lies beside it.
        hospital: the MSP id whose policy it must be.
        roots: the hospital's own root certificates.

    Raises:
        PolicyRefusalError: missing, unsigned, changed after signing, signed by another organisation, or malformed.
    """
    if not path.is_file():
        raise PolicyRefusalError(f"no policy at {path}; write one and sign it: consilium client sign-policy {path}")
    if not signature_path(path).is_file():
        raise PolicyRefusalError(f"policy {path} is unsigned; sign it: consilium client sign-policy {path}")
    _verify(path, roots)
    return _parse(path, hospital)


def _verify(path: Path, roots: list[x509.Certificate]) -> None:
    try:
        document = json.loads(signature_path(path).read_text())
        certificate = x509.load_pem_x509_certificate(document["certificate"].encode())
        signature = base64.b64decode(document["signature"], validate=True)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise PolicyRefusalError(f"{signature_path(path)} isn't a policy signature; sign the policy again") from None
    if not any(_issued_by(certificate, root) for root in roots):
        raise PolicyRefusalError(f"policy {path} was signed with a certificate that this hospital's CA didn't issue")
    key = certificate.public_key()
    try:
        if not isinstance(key, ec.EllipticCurvePublicKey):
            raise InvalidSignature
        key.verify(signature, _DOMAIN + path.read_bytes(), ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        raise PolicyRefusalError(f"policy {path} was changed after it was signed; sign it again") from None


def _issued_by(certificate: x509.Certificate, root: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(root)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _parse(path: Path, hospital: str) -> Policy:
    try:
        document = yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise PolicyRefusalError(f"policy {path} isn't YAML: {error}") from None
    if not isinstance(document, dict) or document.get("hospital") != hospital:
        found = document.get("hospital") if isinstance(document, dict) else document
        raise PolicyRefusalError(f"policy {path} is for hospital {found!r}, not {hospital}")
    studies = document.get("studies")
    if not isinstance(studies, list) or not all(isinstance(entry, dict) for entry in studies):
        raise PolicyRefusalError(f"policy {path} needs a list 'studies'; it has {studies!r}")
    rules = [_rule(path, entry) for entry in studies]
    return Policy(hospital, {rule.study: rule for rule in rules})


def _rule(path: Path, entry: dict[str, Any]) -> StudyRule:
    def refuse(field: str, expected: str) -> PolicyRefusalError:
        return PolicyRefusalError(f"policy {path}: {field} is {entry.get(field)!r}; expected {expected}")

    allowed = {"study", "purpose", "code", "epsilon_budget", "required_partners", "minimum_hospitals", "release"}
    if unknown := sorted(set(entry) - allowed):
        raise PolicyRefusalError(f"policy {path}: unknown field {unknown[0]!r}; known are {', '.join(sorted(allowed))}")
    for field in ("study", "purpose"):
        if not isinstance(entry.get(field), str):
            raise refuse(field, "a name")
    code = entry.get("code")
    if not isinstance(code, list) or not code or not all(isinstance(digest, str) for digest in code):
        raise refuse("code", "a list of code digests (consilium study digest study.yaml prints them)")
    partners = entry.get("required_partners", [])
    if not isinstance(partners, list) or not all(isinstance(partner, str) for partner in partners):
        raise refuse("required_partners", "a list of MSP ids")
    minimum = entry.get("minimum_hospitals", 3)
    if not isinstance(minimum, int) or isinstance(minimum, bool) or minimum < 3:
        raise refuse("minimum_hospitals", "a whole number of at least 3")
    release = entry.get("release", [])
    if not isinstance(release, list) or not set(release) <= set(RELEASABLE):
        raise refuse("release", f"a list out of {', '.join(RELEASABLE)}")
    if "epsilon_budget" not in entry:
        raise refuse("epsilon_budget", "a number, or the word 'none' where training without noise is allowed")
    return StudyRule(
        study=entry["study"],
        purpose=entry["purpose"],
        code=frozenset(code),
        epsilon_budget_micro=_budget(entry["epsilon_budget"], refuse("epsilon_budget", "a positive number or 'none'")),
        required_partners=frozenset(partners),
        minimum_hospitals=minimum,
        release=frozenset(release),
    )


def _budget(value: object, refusal: PolicyRefusalError) -> int | None:
    if value == "none":
        return None
    try:
        budget = Decimal(str(value))
    except InvalidOperation:
        raise refusal from None
    if not budget.is_finite() or budget <= 0:
        raise refusal
    return int(budget * 1_000_000)
