"""Opens everything a hospital's configuration names and runs one agent per study."""

from __future__ import annotations

import asyncio
import logging

from consilium_client.agent import Agent
from consilium_client.configuration import HospitalConfiguration
from consilium_client.errors import PolicyRefusalError
from consilium_client.journal import StudyJournal
from consilium_client.keystore import Keystore, read_passphrase
from consilium_client.policy import Policy, load_policy
from consilium_client.site import Site
from consilium_client.study_file import StudyFile, load_study_file
from consilium_client.training_site import TrainingSite
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
    """
    profile = Profile.load(configuration.profile)
    policy = load_policy(configuration.policy, profile.organization, profile.load_roots())
    studies = _allowed(policy, configuration)
    keystore = Keystore(configuration.state / "keys", read_passphrase(configuration.passphrase_file))
    async with Gateway.connect(profile) as gateway, AggregatorClient.connect(profile) as aggregators:
        network = gateway.network()
        federation = Federation(network.contract())
        agents = []
        for study in studies:
            site = Site(
                hospital=profile.organization,
                channel=profile.channel,
                federation=federation,
                aggregators=aggregators,
                journal=StudyJournal(configuration.state, study.terms.study),
                keystore=keystore,
                rule=policy.rule(study.terms),
                study=study,
                training=await asyncio.to_thread(TrainingSite.open, configuration, study, profile.organization),
            )
            agents.append(Agent(site, network).run())
        log.info("running", extra={"hospital": profile.organization, "studies": [s.terms.study for s in studies]})
        await asyncio.gather(*agents)
        if not until_finished:
            await asyncio.Event().wait()


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
