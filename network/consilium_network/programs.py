"""Fabric's programs: found, or built once per user with Go's own tool mechanism.

Fabric's release tags are no Go versions, so fabric/go.mod requires a release by its pseudo-version and fabric/go.sum
pins every source. What is built is kept per user under a hash of both files: a second clone doesn't build again.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from consilium_network.errors import ProgramsError

SUPPORTED_RELEASE = "3.1"
BUILT_RELEASE = "v3.1.1"  # the release that fabric/go.mod requires
PROGRAM_NAMES = ("peer", "orderer", "configtxgen", "osnadmin")
FOLDER_VARIABLE = "CONSILIUM_FABRIC_BIN"

_MINIMUM_GO = (1, 24)
_BUILD_TIMEOUT_SECONDS = 1200
_VERSION_TIMEOUT_SECONDS = 20
_LINKER_FLAGS = f"-s -w -X github.com/hyperledger/fabric/common/metadata.Version={BUILT_RELEASE}"
# osnadmin tells no version; it comes from the same release as the others in its folder.
_VERSION_COMMANDS = {"peer": "version", "orderer": "version", "configtxgen": "-version"}
_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR")

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Programs:
    """Where Fabric's programs are, of which release, and whence."""

    peer: Path
    orderer: Path
    configtxgen: Path
    osnadmin: Path
    release: str
    origin: str


def program_environment(extra: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a process of the network: a few harmless variables of ours, and `extra`.

    Nothing else is passed on, so that a node neither sees what belongs to another organisation nor is configured by
    accident (Fabric reads every CORE_ and ORDERER_ variable). Proxies never stand between processes of one network.
    """
    inherited = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return {**inherited, "NO_PROXY": "*", **extra}


def cache_folder() -> Path:
    """Return the folder, one per user and set of sources, where built programs are kept."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "consilium" / "fabric" / _source_hash()


async def find_or_build(progress: Progress = lambda _: None) -> Programs:
    """Return Fabric's programs: from CONSILIUM_FABRIC_BIN, from PATH, as built before, or built now.

    Raises:
        ProgramsError: what is there is of another release, or nothing is there and building isn't possible.
    """
    named = os.environ.get(FOLDER_VARIABLE)
    if named:
        return await _from_folder(Path(named), f"{FOLDER_VARIABLE}={named}")
    on_path = {name: shutil.which(name) for name in PROGRAM_NAMES}
    for name, found in on_path.items():
        if found:
            await _checked_release(name, Path(found), "PATH")
    if all(on_path.values()):
        return await _programs({name: Path(str(found)) for name, found in on_path.items()}, "PATH")
    cache = cache_folder()
    if not (cache / "bin").is_dir():
        await _build(cache, progress)
    return await _from_folder(cache / "bin", f"built from source, kept in {cache}")


async def _from_folder(folder: Path, origin: str) -> Programs:
    paths = {name: folder / name for name in PROGRAM_NAMES}
    missing = [name for name, path in paths.items() if not os.access(path, os.X_OK)]
    if missing:
        raise ProgramsError(
            f"{origin} holds no {', '.join(missing)}: it must be a folder with {', '.join(PROGRAM_NAMES)} of Fabric "
            f"{SUPPORTED_RELEASE}.x, or remove it and let Consilium build them"
        )
    for name, path in paths.items():
        await _checked_release(name, path, origin)
    return await _programs(paths, origin)


async def _programs(paths: Mapping[str, Path], origin: str) -> Programs:
    release = await _release(paths["peer"], "version")
    return Programs(
        peer=paths["peer"],
        orderer=paths["orderer"],
        configtxgen=paths["configtxgen"],
        osnadmin=paths["osnadmin"],
        release=release,
        origin=origin,
    )


async def _checked_release(name: str, path: Path, origin: str) -> None:
    if name not in _VERSION_COMMANDS:
        return
    release = await _release(path, _VERSION_COMMANDS[name])
    if not re.match(rf"v?{re.escape(SUPPORTED_RELEASE)}\.\d+", release):
        raise ProgramsError(
            f"{path} (from {origin}) is Fabric {release}, but Consilium needs {SUPPORTED_RELEASE}.x: put a folder with "
            f"{', '.join(PROGRAM_NAMES)} of {SUPPORTED_RELEASE}.x into {FOLDER_VARIABLE}, or take {name} off PATH and "
            "Consilium builds its own"
        )


async def _release(path: Path, command: str) -> str:
    code, output = await _run([str(path), command], program_environment({}), _VERSION_TIMEOUT_SECONDS)
    found = re.search(r"^\s*Version:\s*(\S+)", output, re.MULTILINE)
    if code or not found:
        raise ProgramsError(f"{path} doesn't tell its version: `{path.name} {command}` ended with code {code}")
    return found[1]


# ---- building


def _source_hash() -> str:
    digest = hashlib.sha256()
    for name in ("go.mod", "go.sum"):
        digest.update((files("consilium_network") / "fabric" / name).read_bytes())
    digest.update(_LINKER_FLAGS.encode())
    return digest.hexdigest()[:20]


async def _build(cache: Path, progress: Progress) -> None:
    go = await _usable_go()
    cache.parent.mkdir(parents=True, exist_ok=True)
    async with _only_builder(cache.parent / f"{cache.name}.lock", progress):
        if (cache / "bin").is_dir():  # another process built it meanwhile
            return
        progress(f"building Fabric {BUILT_RELEASE} from source, once per user (one to two minutes)")
        work = Path(tempfile.mkdtemp(prefix=f"{cache.name}.", dir=cache.parent))
        try:
            await _install_tools(go, work)
            _put_in_place(work, cache)
        finally:
            shutil.rmtree(work, ignore_errors=True)


def _put_in_place(built: Path, cache: Path) -> None:
    built.rename(cache)  # at once and whole, or not at all


async def _install_tools(go: str, work: Path) -> None:
    source = work / "source"
    source.mkdir()
    for name in ("go.mod", "go.sum"):
        (source / name).write_bytes((files("consilium_network") / "fabric" / name).read_bytes())
    environment = {**os.environ, "GOBIN": str(work / "bin"), "GOFLAGS": "-mod=readonly", "GOWORK": "off"}
    command = [go, "install", "-trimpath", f"-ldflags={_LINKER_FLAGS}", "tool"]
    code, output = await _run(command, environment, _BUILD_TIMEOUT_SECONDS, source)
    if code:
        lines = [line for line in output.strip().splitlines() if line.strip()]
        raise ProgramsError(
            f"building Fabric failed: {lines[-1] if lines else f'code {code}'}; Go needs its module proxy (GOPROXY) "
            f"and checksum database, or put Fabric {SUPPORTED_RELEASE}.x programs into {FOLDER_VARIABLE}"
        )


async def _usable_go() -> str:
    wanted = ".".join(map(str, _MINIMUM_GO))
    go = shutil.which("go")
    if go is None:
        raise ProgramsError(
            f"neither Fabric's programs nor Go were found: install Go {wanted} or newer, or put "
            f"{', '.join(PROGRAM_NAMES)} of Fabric {SUPPORTED_RELEASE}.x on PATH or into the folder {FOLDER_VARIABLE}"
        )
    code, output = await _run([go, "version"], {**os.environ, "GOTOOLCHAIN": "local"}, _VERSION_TIMEOUT_SECONDS)
    found = re.search(r"go(\d+)\.(\d+)", output)
    if code or not found or (int(found[1]), int(found[2])) < _MINIMUM_GO:
        raise ProgramsError(
            f"{go} is {found[0] if found else 'of an unknown version'}, but building Fabric needs Go {wanted} or newer"
        )
    return go


@contextlib.asynccontextmanager
async def _only_builder(lock: Path, progress: Progress) -> AsyncIterator[None]:
    """Hold the lock of all builders; the kernel releases it when its holder dies."""
    with lock.open("w") as stream:
        waited = 0.0
        while not _try_lock(stream.fileno()):
            if waited == 0:
                progress("waiting for another process that is building Fabric")
            if waited > _BUILD_TIMEOUT_SECONDS:
                raise ProgramsError(
                    f"another process has held {lock} for {_BUILD_TIMEOUT_SECONDS} seconds: end it first"
                )
            await asyncio.sleep(0.5)
            waited += 0.5
        yield


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


async def _run(
    command: list[str], environment: Mapping[str, str], timeout_seconds: float, folder: Path | None = None
) -> tuple[int, str]:
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            env=dict(environment),
            cwd=folder,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
    except OSError as error:
        raise ProgramsError(f"{command[0]} can't be run: {error.strerror}") from None
    try:
        output, _ = await asyncio.wait_for(process.communicate(), timeout_seconds)
    except BaseException as error:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        if isinstance(error, TimeoutError):
            raise ProgramsError(f"`{' '.join(command[:3])}` did not finish within {timeout_seconds} seconds") from None
        raise
    return process.returncode or 0, output.decode(errors="replace")
