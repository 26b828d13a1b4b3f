"""What `consilium client check` answers before a hospital joins: is everything fit, and if not, what to do."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from typing import Any

from consilium_client.configuration import HospitalConfiguration
from consilium_client.errors import ClientError
from consilium_client.keystore import read_passphrase
from consilium_client.policy import check_budget, load_policy
from consilium_client.schema import NumericColumn, Schema
from consilium_client.study_file import StudyFile, load_study_file
from consilium_client.training_site import TrainingSite, open_accountant
from consilium_peers.errors import GatewayError, PeersError
from consilium_peers.federation import Federation
from consilium_peers.gateway import Gateway
from consilium_peers.profile import Profile
from consilium_peers.token_keys import TokenSealingKey
from consilium_proto.parameter_sets import parameter_set
from consilium_proto.refusals import RefusalCode

# A round keeps its update and ciphertexts until it is decided; ten rounds' worth is a comfortable margin.
_ROUNDS_ON_DISK = 10
_CHUNK_BYTES = 64 * 1024


@dataclass(frozen=True)
class Finding:
    """One answer."""

    subject: str
    passed: bool
    detail: str

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON types."""
        return asdict(self)


async def check_readiness(configuration: HospitalConfiguration) -> list[Finding]:
    """Check everything that can be checked without writing to the ledger; every check answers, whatever fails."""
    findings = [_checked("keys", lambda: _keys(configuration))]
    try:
        profile = Profile.load(configuration.profile)
        identity = profile.load_identity()
    except PeersError as error:
        return [*findings, Finding("identity", False, str(error))]
    until = f"{identity.certificate.not_valid_after_utc:%Y-%m-%d}"
    findings.append(Finding("identity", True, f"{profile.organization}, certificate until {until}"))
    for path in configuration.studies:
        try:
            study = await asyncio.to_thread(load_study_file, path)
        except ClientError as error:
            findings.append(Finding("study file", False, str(error)))
            continue
        findings += await _study_findings(configuration, profile, study)
    return findings


async def _study_findings(configuration: HospitalConfiguration, profile: Profile, study: StudyFile) -> list[Finding]:
    findings = [
        Finding("columns and units", True, _columns(study.table)),
        _checked("table", lambda: _table(configuration, study, profile.organization)),
        _checked("policy and code", lambda: _policy(configuration, profile, study)),
        _checked("privacy", lambda: _privacy(configuration, profile, study)),
        _checked("disk", lambda: _disk(configuration, study)),
    ]
    async with Gateway.connect(profile) as gateway:
        federation = Federation(gateway.network().contract())
        findings.append(await _asked("ledger and clock", lambda: _clock(gateway, federation, profile)))
        findings.append(await _asked("study on ledger", lambda: _terms(federation, study)))
    return findings


class _UnfitError(ClientError):
    """A check that fails with a sentence of its own."""


def _checked(subject: str, check: Callable[[], str]) -> Finding:
    try:
        return Finding(subject, True, check())
    except (ClientError, PeersError) as error:
        return Finding(subject, False, str(error))


async def _asked(subject: str, check: Callable[[], Awaitable[str]]) -> Finding:
    try:
        return Finding(subject, True, await check())
    except (ClientError, PeersError) as error:
        return Finding(subject, False, str(error))


def _keys(configuration: HospitalConfiguration) -> str:
    place = configuration.state / "keys"
    key = configuration.sealing_key
    if key is None:
        read_passphrase(configuration.passphrase_file)
        return f"kept encrypted in {place}"
    sealing_key, nonce = TokenSealingKey(key), os.urandom(12)
    if sealing_key.decrypt(nonce, sealing_key.encrypt(nonce, b"check", b"check"), b"check") != b"check":
        raise _UnfitError(f"{key} doesn't open what it sealed; ask the token's maker")
    return f"kept encrypted in {place} by {key}"


def _columns(schema: Schema) -> str:
    numeric = [f"{column.name} [{column.unit}]" for column in schema.columns if isinstance(column, NumericColumn)]
    categories = [column.name for column in schema.columns if not isinstance(column, NumericColumn)]
    return f"{', '.join(numeric)}; categories {', '.join(categories) or 'none'}; label {schema.label.name}"


def _site(configuration: HospitalConfiguration, study: StudyFile, hospital: str) -> TrainingSite:
    return TrainingSite.open(configuration, study, hospital, open_accountant(configuration, hospital))


def _table(configuration: HospitalConfiguration, study: StudyFile, hospital: str) -> str:
    rows = _site(configuration, study, hospital).rows
    training, held_out = rows.training, rows.held_out
    text = (
        f"{len(training)} training rows ({training.positives} positive), "
        f"{len(held_out)} held out ({held_out.positives} positive)"
    )
    if training.positives in (0, len(training)):
        text += "; one class is missing: training works, AUC of one's own model is n/a"
    return text


def _policy(configuration: HospitalConfiguration, profile: Profile, study: StudyFile) -> str:
    policy = load_policy(configuration.policy, profile.organization, profile.load_roots())
    rule = policy.rule(study.terms)
    return f"allows study {rule.study} with code {study.terms.code[:16]}, at least {rule.minimum_hospitals} hospitals"


def _privacy(configuration: HospitalConfiguration, profile: Profile, study: StudyFile) -> str:
    site = _site(configuration, study, profile.organization)
    projected = site.projected_epsilon_micro(study.terms.rounds)
    if projected is None or study.terms.privacy is None:
        return "the study trains without privacy noise"
    policy = load_policy(configuration.policy, profile.organization, profile.load_roots())
    check_budget(policy.rule(study.terms), projected)
    budget = study.terms.privacy.epsilon_budget_micro
    text = f"epsilon {projected / 1e6:.3f} after all {study.terms.rounds} rounds, budget {budget / 1e6:g}"
    if projected > budget:
        raise _UnfitError(f"{text}: the last rounds would be refused")
    return text


def _disk(configuration: HospitalConfiguration, study: StudyFile) -> str:
    chunks = parameter_set(study.terms.parameter_set).chunk_count(study.terms.parameters)
    needed = _ROUNDS_ON_DISK * chunks * _CHUNK_BYTES
    configuration.state.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(configuration.state).free
    if free < needed:
        raise _UnfitError(f"{free / 1e6:.0f} MB free at {configuration.state}, {needed / 1e6:.0f} MB needed; free some")
    return f"{free / 1e9:.1f} GB free, {needed / 1e6:.1f} MB needed"


async def _clock(gateway: Gateway, federation: Federation, profile: Profile) -> str:
    """Let a peer compare clocks: it refuses a proposal whose time is off. Evaluated, so nothing is written."""
    if profile.organization not in (await federation.read_consortium()).hospitals:
        raise _UnfitError(f"{profile.organization} isn't a hospital of the consortium")
    try:
        await federation.try_register_hospital_key("11" * 32)
    except GatewayError as error:
        if error.refusal is RefusalCode.CLOCK_SKEW:
            raise _UnfitError(f"this machine's clock is off: {error.reason}; set it by NTP") from None
        if error.refusal is None:
            raise
    return f"channel {gateway.profile.channel} answers, clocks agree"


async def _terms(federation: Federation, study: StudyFile) -> str:
    try:
        view = await federation.read_study(study.terms.study)
    except GatewayError as error:
        if error.refusal is RefusalCode.NOT_FOUND:
            return "not proposed yet"
        raise
    if view.study.terms != study.terms:
        raise _UnfitError(f"the terms on the ledger aren't those of {study.path}")
    return f"{view.study.phase.value}, {len(view.approvals)} approvals, the same as in {study.path.name}"
