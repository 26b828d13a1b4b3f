"""Opens everything a hospital's configuration names and runs one agent per study."""

from __future__ import annotations

import asyncio
import fcntl
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path

from consilium_client.agent import Agent
from consilium_client.configuration import HospitalConfiguration
from consilium_client.data import data_set_digest
from consilium_client.errors import ClientError, JournalError, PolicyRefusalError
from consilium_client.journal import StudyJournal
from consilium_client.keystore import open_keystore
from consilium_client.policy import Policy, load_policy
from consilium_client.replayed_ledger import ReplayedLedger
from consilium_client.site import Site
from consilium_client.study_file import StudyFile, load_study_file
from consilium_client.training.accountant import Accountant
from consilium_client.training_site import TrainingSite, open_accountant, restore_account
from consilium_client.upload import AggregatorClient
from consilium_peers.federation import Federation
from consilium_peers.gateway import Gateway
from consilium_peers.profile import Profile

log = logging.getLogger("consilium.hospital")


async def run_hospital(configuration: HospitalConfiguration, *, until_finished: bool) -> None:
    """Run the agents of all studies that the hospital's policy allows.

    With `until_finished` it returns once every study is finished; otherwise it runs until it is cancelled.

    Raises:
        PolicyRefusalError: the policy is missing, unsigned, or allows none of the studies.
        JournalError: another agent runs on the same state.
    """
    with only_agent(configuration.state):
        await _run(configuration, until_finished=until_finished)


async def _run(configuration: HospitalConfiguration, *, until_finished: bool) -> None:
    profile = Profile.load(configuration.profile)
    policy = load_policy(configuration.policy, profile.organization, profile.load_roots())
    studies = _allowed(policy, configuration)
    keystore = open_keystore(configuration)
    accountant = open_accountant(configuration, profile.organization)
    async with (
        Gateway.connect(profile) as gateway,
        AggregatorClient.connect(profile) as aggregators,
        _ledger(profile, gateway, configuration) as federation,
    ):
        network = gateway.network()
        if accountant.lost:
            await _rebuild(accountant, configuration, federation, profile.organization)
        agents = []
        for study in studies:
            training = TrainingSite.open(configuration, study, profile.organization, accountant)
            site = Site(
                hospital=profile.organization,
                channel=profile.channel,
                federation=federation,
                aggregators=aggregators,
                journal=StudyJournal(configuration.state, study.terms.study),
                keystore=keystore,
                rule=policy.rule(study.terms),
                study=study,
                training=training,
                cipher_path=configuration.cipher_path,
            )
            agents.append(_run_agent(study.terms.study, Agent(site, network)))
        log.info("running", extra={"hospital": profile.organization, "studies": [s.terms.study for s in studies]})
        errors = [error for error in await asyncio.gather(*agents) if error is not None]
        if errors and (until_finished or len(errors) == len(agents)):
            raise errors[0]
        if not until_finished:
            await asyncio.Event().wait()


@asynccontextmanager
async def _ledger(
    profile: Profile, gateway: Gateway, configuration: HospitalConfiguration
) -> AsyncIterator[Federation]:
    """Open the hospital's way to the contract: writes by any gateway, reads by what the own peer has."""
    own = profile.organization
    if not configuration.replay:
        # A lying peer of somebody else could name false mask keys, or draw out a value before a sum is published.
        yield Federation(gateway.network().contract(), readers=[own])
        return
    peers = tuple(endpoint for endpoint in profile.gateways if endpoint.organization == own)
    async with (
        Gateway.connect(replace(profile, gateways=peers)) as reading,
        ReplayedLedger.following(reading.network(), configuration.state / "replayed-ledger") as ledger,
    ):
        yield Federation(gateway.network().contract(), replayed=ledger)


async def _run_agent(study: str, agent: Agent) -> ClientError | None:
    """Run one study's agent to its end; what stops it is returned, since it mustn't stop the other studies."""
    try:
        await agent.run()
    except ClientError as error:
        log.error("this study stops here", extra={"study": study, "detail": str(error)})
        return error
    return None


async def _rebuild(
    accountant: Accountant, configuration: HospitalConfiguration, federation: Federation, hospital: str
) -> None:
    """Count again what the ledger knows of the hospital's data set, in whatever study."""
    data_set = data_set_digest(hospital, configuration.data_set)
    restored = 0
    for name in (await federation.list_studies()).studies:
        study = await federation.read_study(name)
        if study.study.terms.privacy is not None:
            numbers = range(1, study.head.round + 1)
            views = [await federation.read_round(name, number) for number in numbers]
            restored += restore_account(accountant, data_set, hospital, views)
    log.info("privacy account rebuilt from the ledger", extra={"rounds": restored})


@contextmanager
def only_agent(state: Path) -> Iterator[None]:
    """Hold the hospital's state for one agent: two would train and anchor the same round."""
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (state / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise JournalError(f"another agent is running on {state}; stop it first") from None
        yield


def _allowed(policy: Policy, configuration: HospitalConfiguration) -> list[StudyFile]:
    allowed = []
    reasons = []
    for path in configuration.studies:
        study = load_study_file(path)
        try:
            policy.rule(study.terms)
        except PolicyRefusalError as error:
            log.warning("not taking part", extra={"study": study.terms.study, "detail": str(error)})
            reasons.append(str(error))
        else:
            allowed.append(study)
    if not allowed:
        raise PolicyRefusalError(f"the policy allows none of the studies: {'; '.join(reasons)}")
    return allowed
