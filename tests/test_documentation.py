"""What the pages say is there: links lead somewhere, commands exist, named tests are tests."""

from __future__ import annotations

import functools
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)\)", page.read_text())
    missing = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert not missing


def shell_lines() -> list[list[str]]:
    """Return the words of every `consilium` command that a page shows in a block of shell commands."""
    blocks = [block for page in PAGES for block in re.findall(r"```sh\n(.*?)```", page.read_text(), re.DOTALL)]
    lines = [shlex.split(line, comments=True) for block in blocks for line in block.splitlines()]
    return [words for words in lines if words[:1] == ["consilium"]]


def documented_commands() -> list[str]:
    return sorted({" ".join(words[1:3]) for words in shell_lines()})


def documented_options() -> list[tuple[str, str]]:
    return sorted({(" ".join(words[1:3]), word) for words in shell_lines() for word in words if word.startswith("--")})


def test_pages_show_commands() -> None:
    assert len(documented_commands()) >= 15


@functools.cache
def help_of(command: str) -> str:
    words = [sys.executable, "-m", "consilium_command", *command.split(), "--help"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("command", documented_commands())
def test_every_documented_command_exists(command: str) -> None:
    assert "usage: consilium" in help_of(command)


@pytest.mark.parametrize(("command", "option"), documented_options())
def test_every_documented_option_exists(command: str, option: str) -> None:
    assert option in help_of(command)


def all_tests() -> set[str]:
    return {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^(?:async )?def (test_\w+)", path.read_text(), re.MULTILINE)
    }


def named_tests() -> list[str]:
    """Return every test that a page or a docstring names."""
    sources = [*PAGES, *(path for room in ("chaincode", "client", "peers") for path in (ROOT / room).rglob("*.py"))]
    return sorted({name for path in sources for name in re.findall(r"`(test_\w+)`", path.read_text())})


def test_named_tests_are_tests() -> None:
    assert named_tests(), "the pages name tests"
    assert not set(named_tests()) - all_tests()


def test_named_tests_are_in_the_files_that_the_readme_links() -> None:
    linked = re.findall(r"\[`(test_\w+)`\]\(([^)]+)\)", (ROOT / "README.md").read_text())
    assert len(linked) > 10
    assert not [name for name, file in linked if f"def {name}(" not in (ROOT / file).read_text()]


def test_every_yes_in_the_readme_has_a_proof() -> None:
    rows = [line.split(" | ") for line in (ROOT / "README.md").read_text().splitlines() if " | yes | " in line]
    assert rows
    assert not [row for row in rows if "](tests/" not in row[-1]]


def test_make_targets_in_the_readme_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:^|`)make ([a-z-]+)", (ROOT / "README.md").read_text(), re.MULTILINE)) <= targets
