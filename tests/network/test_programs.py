"""Finding and building Fabric's programs: with stand-ins for the programs and for Go, so that no minute is spent."""

import asyncio
import os
import stat
from pathlib import Path

import pytest

from consilium_network import programs
from consilium_network.errors import ProgramsError
from consilium_network.programs import PROGRAM_NAMES, find_or_build

GO = """#!/bin/sh
if [ "$1" = version ]; then echo "go version go{version} linux/amd64"; exit 0; fi
echo building >> {record}
sleep 0.3
{build}
"""
BUILD = """mkdir -p "$GOBIN"
for name in peer orderer configtxgen osnadmin; do
  printf '#!/bin/sh\\necho " Version: v3.1.1"\\n' > "$GOBIN/$name"; chmod +x "$GOBIN/$name"
done"""


def executable(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def fabric(folder: Path, release: str, names: tuple[str, ...] = PROGRAM_NAMES) -> Path:
    for name in names:
        executable(folder / name, f'#!/bin/sh\necho "{name}:"\necho " Version: {release}"\n')
    return folder


def go(folder: Path, record: Path, version: str = "1.24.2", build: str = BUILD) -> None:
    executable(folder / "go", GO.format(version=version, record=record, build=build))


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with nothing on PATH but the shell's own programs, and an empty cache."""
    empty = tmp_path / "on-path"
    empty.mkdir()
    for tool in ("sh", "mkdir", "chmod", "sleep", "printf", "echo"):
        (empty / tool).symlink_to(f"/bin/{tool}")
    monkeypatch.setenv("PATH", str(empty))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv(programs.FOLDER_VARIABLE, raising=False)
    return empty


@pytest.mark.parametrize("release", ["v3.1.1", "3.1.5", "v3.1.12"])
async def test_a_named_folder_with_the_right_release_is_used(
    release: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(programs.FOLDER_VARIABLE, str(fabric(tmp_path / "bin", release)))
    found = await find_or_build()
    assert (found.peer, found.release) == (tmp_path / "bin" / "peer", release)


@pytest.mark.parametrize("release", ["v2.5.12", "v3.0.0", "v3.10.0", "latest", "v13.1.1"])
async def test_another_release_is_refused_by_name(
    release: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(programs.FOLDER_VARIABLE, str(fabric(tmp_path / "bin", release)))
    with pytest.raises(ProgramsError, match=rf"bin/peer .* is Fabric {release}, but Consilium needs 3\.1\.x"):
        await find_or_build()


async def test_a_named_folder_that_lacks_a_program_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = fabric(tmp_path / "bin", "v3.1.1", ("peer", "orderer"))
    monkeypatch.setenv(programs.FOLDER_VARIABLE, str(folder))
    with pytest.raises(ProgramsError, match="holds no configtxgen, osnadmin"):
        await find_or_build()


async def test_programs_on_path_are_used_and_nothing_is_built(machine: Path) -> None:
    fabric(machine, "v3.1.4")
    found = await find_or_build()
    assert (found.origin, found.release) == ("PATH", "v3.1.4")


async def test_one_program_of_another_release_on_path_is_refused(machine: Path) -> None:
    fabric(machine, "v3.1.4")
    fabric(machine, "v2.5.0", ("configtxgen",))
    with pytest.raises(ProgramsError, match=r"configtxgen .*PATH.* is Fabric v2\.5\.0"):
        await find_or_build()


async def test_without_programs_and_go_the_error_says_what_to_install() -> None:
    with pytest.raises(ProgramsError, match=r"neither Fabric's programs nor Go were found: install Go 1\.24"):
        await find_or_build()


async def test_an_old_go_is_refused_by_version(machine: Path, tmp_path: Path) -> None:
    go(machine, tmp_path / "record", version="1.22.7")
    with pytest.raises(ProgramsError, match=r"go1\.22, but building Fabric needs Go 1\.24"):
        await find_or_build()


async def test_it_is_built_once_and_kept(machine: Path, tmp_path: Path) -> None:
    record = tmp_path / "record"
    go(machine, record)
    first = await find_or_build()
    second = await find_or_build()
    assert first == second
    assert first.release == "v3.1.1"
    assert record.read_text().splitlines() == ["building"]


async def test_two_builders_at_once_build_once(machine: Path, tmp_path: Path) -> None:
    record = tmp_path / "record"
    go(machine, record)
    steps: list[str] = []
    found = await asyncio.gather(find_or_build(steps.append), find_or_build(steps.append))
    assert found[0] == found[1]
    assert record.read_text().splitlines() == ["building"]
    assert "waiting for another process that is building Fabric" in steps


async def test_a_build_that_fails_leaves_nothing_and_says_why(machine: Path, tmp_path: Path) -> None:
    go(machine, tmp_path / "record", build='echo "go: proxy says 403" >&2; exit 1')
    with pytest.raises(ProgramsError, match="building Fabric failed: go: proxy says 403"):
        await find_or_build()
    kept = [path for path in programs.cache_folder().parent.iterdir() if path.suffix != ".lock"]
    assert kept == []
    go(machine, tmp_path / "record")
    assert (await find_or_build()).release == "v3.1.1"


def test_a_node_sees_none_of_our_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORE_PEER_LOCALMSPID", "WrongMSP")
    monkeypatch.setenv("SECRET_TOKEN", "x")
    environment = programs.program_environment({"A": "b"})
    assert environment["A"] == "b"
    assert environment["PATH"] == os.environ["PATH"]
    assert not {"CORE_PEER_LOCALMSPID", "SECRET_TOKEN"} & set(environment)
