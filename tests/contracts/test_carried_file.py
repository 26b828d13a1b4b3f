"""Files that are carried to a bridge: read as they were written, refused once they were altered."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bridge_stage import BridgeStage
from carried_things import carried_epoch, carried_pause

from consilium_peers.ethereum.bridge.carried_file import Carried
from consilium_peers.ethereum.errors import BridgeFileError, BridgeProofError
from consilium_proto.ethereum.scalars import as_data

ANOTHER = as_data(bytes([7]) * 20)


@pytest.mark.parametrize(
    "alter",
    [
        lambda content: content["epoch"]["payouts"][0].update(account=ANOTHER),
        lambda content: content["epoch"]["payouts"][0].update(amount="0x1"),
        lambda content: content["epoch"].update(epoch=8),
        lambda content: content["bridge"].update(address=ANOTHER),
        lambda content: content["bridge"].update(chain_id=1),
        lambda content: content.update(channel="trial"),
        lambda content: content["endorsed"].update(payload=content["endorsed"]["payload"][:-2] + "00"),
        lambda content: content["endorsed"]["endorsements"][0].update(
            signature=content["endorsed"]["endorsements"][1]["signature"]
        ),
    ],
    ids=["account", "amount", "epoch", "bridge", "chain", "channel", "answer", "signature"],
)
def test_a_file_that_was_altered_is_refused(
    untouched: BridgeStage, tmp_path: Path, alter: Callable[[Any], None]
) -> None:
    path = tmp_path / "epoch.json"
    carried = carried_epoch(untouched)
    carried.write(path)
    assert Carried.read(path) == carried
    content = json.loads(path.read_text())
    alter(content)
    path.write_text(json.dumps(content))
    with pytest.raises(BridgeProofError):
        Carried.read(path)


def test_what_is_no_such_file_is_named(untouched: BridgeStage, tmp_path: Path) -> None:
    path = tmp_path / "epoch.json"
    carried_epoch(untouched).write(path)
    content = json.loads(path.read_text())
    for text in ("", "{}", "[1]", json.dumps({**content, "format": "consilium-bridge-2"}), "\xff"):
        path.write_bytes(text.encode("latin-1"))
        with pytest.raises(BridgeFileError, match="isn't a file of"):
            Carried.read(path)
    path.write_text(json.dumps({name: value for name, value in content.items() if name != "epoch"}))
    with pytest.raises(BridgeFileError, match="neither one epoch nor one decision"):
        Carried.read(path)
    with pytest.raises(BridgeFileError, match="can't be read"):
        Carried.read(tmp_path / "absent.json")


def test_decisions_go_into_files_as_well(stage: BridgeStage, tmp_path: Path) -> None:
    carried = carried_pause(stage)
    carried.write(tmp_path / "pause.json")
    assert Carried.read(tmp_path / "pause.json") == carried
