"""What a hospital's own records must survive and refuse."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from consilium_client.errors import JournalError
from consilium_client.journal import StudyJournal, model_digest


@pytest.fixture
def journal(tmp_path: Path) -> StudyJournal:
    return StudyJournal(tmp_path, "heart")


def test_a_model_is_found_by_its_digest(journal: StudyJournal) -> None:
    parameters = np.linspace(-1, 1, 7)
    digest = journal.save_model(parameters)
    found = journal.load_model(digest)
    assert found is not None
    assert found.tobytes() == parameters.tobytes()
    assert journal.load_model("0" * 64) is None


def test_a_changed_model_is_refused(journal: StudyJournal) -> None:
    digest = journal.save_model(np.zeros(3))
    path = next((journal.directory / "models").iterdir())
    np.save(path, np.ones(3))
    with pytest.raises(JournalError, match=digest[:0] + "was changed"):
        journal.load_model(digest)


def test_model_digests_tell_shapes_and_single_bits_apart() -> None:
    base = np.zeros(4)
    assert model_digest(base) != model_digest(np.zeros(5))
    assert model_digest(base) != model_digest(-base)


def test_training_counts_only_when_both_files_are_there(journal: StudyJournal) -> None:
    entry = journal.round(1)
    entry.save_training(np.arange(5, dtype=np.uint32), {"privacy": None})
    assert entry.training() is not None
    (entry.directory / "trained.json").unlink()
    assert entry.training() is None, "killed between the two writes: the round isn't trained"


def test_chunks_count_only_when_complete(journal: StudyJournal) -> None:
    entry = journal.round(1)
    assert entry.chunk_paths(0) is None

    def cut_off() -> object:
        yield b"one"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        entry.save_chunks(0, cut_off())  # type: ignore[arg-type]
    assert entry.chunk_paths(0) is None
    assert entry.save_chunks(0, iter([b"one", b"two"])) == 2
    assert list(entry.chunks(0)) == [b"one", b"two"]


def test_nothing_is_encrypted_again_after_an_upload_began(journal: StudyJournal) -> None:
    entry = journal.round(1)
    entry.save_chunks(0, iter([b"one"]))
    entry.begin_upload(("A", "B", "C"), "base")
    with pytest.raises(JournalError, match="never encrypted again"):
        entry.save_chunks(1, iter([b"other"]))


def test_forgetting_an_update_keeps_what_it_cost(journal: StudyJournal) -> None:
    entry = journal.round(1)
    entry.save_training(np.arange(5, dtype=np.uint32), {"privacy": "entry"})
    entry.save_chunks(0, iter([b"one"]))
    entry.note(training_seconds=1.5)
    entry.forget_update()
    assert not list(entry.directory.rglob("*.bin"))
    assert not (entry.directory / "update.npy").exists()
    assert entry.figures() == {"training_seconds": 1.5}


def test_lists_of_figures_grow(journal: StudyJournal) -> None:
    entry = journal.round(1)
    entry.note(transactions=[{"function": "Join"}])
    entry.note(transactions=[{"function": "Anchor"}], bytes_up=3)
    assert [transaction["function"] for transaction in entry.figures()["transactions"]] == ["Join", "Anchor"]
