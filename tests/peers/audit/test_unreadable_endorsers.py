"""Any client may add endorsements to a transaction that peers pass over; auditors' questions pass over them, too."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from federation_world import ALPHA, HOSPITALS, STUDY
from played_chain import PlayedChain
from played_membership import PlayedConsortium

from consilium_peers.audit.certificates import certificates_at
from consilium_peers.audit.history import History
from consilium_proto.records import StudyReference


def add_what_is_none(action: Any) -> None:
    action.action.endorsements.add(endorser=b"\xff nobody", signature=b"none")


def test_an_endorser_that_can_not_be_read_is_nobody() -> None:
    chain = PlayedChain(PlayedConsortium())
    chain.begin_study()
    chain.seal(
        [chain.sign(chain.simulate("CloseStudy", StudyReference(study=STUDY), ALPHA, "admin"), add_what_is_none)]
    )
    history = History("federation")
    for raw in chain.raw:
        history.add(raw)
    found = certificates_at(history, datetime.now(UTC))
    assert set(HOSPITALS) <= {each.organization for each in found}
    assert "" not in {each.organization for each in found}
