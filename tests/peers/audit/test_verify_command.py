"""`consilium audit verify` on a channel with the EVM: what it says, and that it says something while it works."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from federation_world import ALPHA, STUDY
from rewarded_chain import LOOPS, RewardedChain

from consilium_command import main
from consilium_peers.commands import audit_trail
from consilium_proto.ethereum.scalars import EVM_CHAINCODE


@pytest.fixture(scope="module")
def trail(attested: RewardedChain, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trail with a transaction that takes a while, and what is trusted beside it."""
    chain = attested.copied()
    chain.commit(chain.finalising())
    chain.commit(chain.execution(chain.create(LOOPS), gas=8_000_000))
    chain.ask()
    folder = tmp_path_factory.mktemp("trail")
    (folder / "roots.pem").write_bytes(chain.roots_file())
    return chain.write(folder / "trail.zip")


def test_progress_is_told_while_one_transaction_runs(
    trail: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_trail, "_SAY_EVERY_SECONDS", 0.02)
    assert main(["audit", "verify", str(trail), "--roots", str(trail.parent / "roots.pem"), "--json"]) == 0
    told = Counter(line for line in capsys.readouterr().err.splitlines() if line.startswith("verified "))
    assert max(told.values()) > 2, "one block took longer than the others, and was told of again and again"


def test_the_answer_counts_the_evm_among_what_was_run_again(trail: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", "verify", str(trail), "--roots", str(trail.parent / "roots.pem"), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["verdict"], answer["study"]) == ("sound", STUDY)
    assert EVM_CHAINCODE not in answer["verified"]["not_replayed"]
    (first,) = answer["rounds"]
    assert ALPHA in first["attested_by"]
