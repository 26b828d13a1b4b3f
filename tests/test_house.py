"""Rules of the house that no linter knows."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

LONGEST_FILE = 500
EMPTY_NAMES = re.compile(r"(util|helper|manager|misc|common)")


@pytest.fixture(scope="module")
def tracked(repository: Path) -> list[Path]:
    listed = subprocess.run(["git", "ls-files"], cwd=repository, capture_output=True, text=True, check=True)
    return [repository / name for name in listed.stdout.splitlines() if (repository / name).is_file()]


def written_by_hand(paths: list[Path], suffix: str) -> list[Path]:
    return [path for path in paths if path.suffix == suffix and "generated" not in path.parts]


def test_no_file_is_longer_than_one_subject_needs(tracked: list[Path]) -> None:
    lengths = {path: len(path.read_text().splitlines()) for path in written_by_hand(tracked, ".py")}
    assert lengths, "no files found: is this a git checkout?"
    assert not {str(path): length for path, length in lengths.items() if length > LONGEST_FILE}


def test_no_file_has_a_name_that_says_nothing(tracked: list[Path]) -> None:
    assert not [str(path) for path in tracked if EMPTY_NAMES.search(path.stem)]


def test_no_test_is_skipped_and_no_code_is_left_open(tracked: list[Path]) -> None:
    open_ends = re.compile(
        r"\b(TO" + r"DO|FIX" + r"ME)\b|NotImplemented" + r"Error|mark\.(skip|xf" + r"ail)\b|pytest\.sk" + r"ip\("
    )
    assert not [str(path) for path in written_by_hand(tracked, ".py") if open_ends.search(path.read_text())]


def test_every_module_says_what_it_is_for(tracked: list[Path]) -> None:
    silent = [
        path
        for path in written_by_hand(tracked, ".py")
        if "tests" not in path.parts and not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert not [str(path) for path in silent]


def test_locks_pin_everything_by_hash_and_name_no_host(repository: Path) -> None:
    for lock in ("all.txt", "build.txt", "ethereum-execution.txt", "nvflare.txt"):
        text = (repository / "requirements" / lock).read_text()
        pins = re.findall(r"^[a-z0-9][\w.-]*==\S+", text, re.MULTILINE)
        assert len(pins) > 3
        assert text.count("--hash=sha256:") >= len(pins)
        assert "://" not in text


def test_the_lock_is_of_this_project_file(repository: Path) -> None:
    """Every pinned direct dependency stands in the lock with that version."""
    import tomllib

    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    direct = [
        *project["dependencies"],
        *(each for extra in project["optional-dependencies"].values() for each in extra),
    ]
    lock = (repository / "requirements" / "all.txt").read_text().lower()
    absent = [each for each in direct if "==" in each and each.lower() not in lock]
    assert not absent
    assert not [
        each for each in direct if not re.search(rf"^{re.split('[<>=]', each)[0].lower()}==", lock, re.MULTILINE)
    ]


def test_whoever_verifies_installs_what_the_evm_needs(repository: Path) -> None:
    """A trail may hold transactions of the EVM, which its verifier runs again."""
    import tomllib

    extras = tomllib.loads((repository / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for name in ("trail", "audit"):
        assert set(extras["evm"]) <= set(extras[name]), name
