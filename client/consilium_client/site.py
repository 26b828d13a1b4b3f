"""Everything one hospital brings to one study: table, task, policy, journal, ways to ledger and aggregators."""

from __future__ import annotations

from dataclasses import dataclass

from consilium_client.journal import StudyJournal
from consilium_client.keystore import Keystore
from consilium_client.policy import StudyRule
from consilium_client.study_file import StudyFile
from consilium_client.training_site import TrainingSite
from consilium_client.upload import AggregatorClient
from consilium_peers.federation import Federation
from consilium_proto.cipher_path import CipherPath
from consilium_proto.parameter_sets import ParameterSet, parameter_set
from consilium_proto.records import StudyTerms


@dataclass(frozen=True)
class Site:
    """One hospital in one study; what the agent's actions work with."""

    hospital: str
    channel: str
    federation: Federation
    aggregators: AggregatorClient
    journal: StudyJournal
    keystore: Keystore
    rule: StudyRule
    study: StudyFile
    training: TrainingSite
    cipher_path: CipherPath = CipherPath.INTERFACE

    @property
    def terms(self) -> StudyTerms:
        """The terms as this hospital's copy of the study file gives them; equal to the ledger's."""
        return self.study.terms

    @property
    def parameter_set(self) -> ParameterSet:
        """The study's encryption parameters."""
        return parameter_set(self.terms.parameter_set)
