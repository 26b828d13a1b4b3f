"""A public chain on this machine: Foundry's Anvil, from the npm packages that the contracts' folder locks."""

from __future__ import annotations

import functools
import platform
import queue
import re
import shutil
import subprocess
import threading
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType

from consilium_demo.processes import StepError
from consilium_peers.ethereum.bridge.chain_node import ChainNode

FOLDER = Path(__file__).parents[2] / "chaincode" / "contracts"
OLDEST_NODE = 20
_PLATFORMS = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
_START_SECONDS = 20
_STOP_SECONDS = 10
_INSTALL_SECONDS = 300
_VERSION_SECONDS = 20


@functools.cache
def missing_node() -> str:
    """Return what is missing of Node.js in words; empty if nothing is."""
    wanted = f"Node.js {OLDEST_NODE} or newer with npm"
    if shutil.which("npm") is None or shutil.which("node") is None:
        return f"{wanted} isn't installed"
    said = subprocess.run(
        ["node", "--version"], capture_output=True, text=True, check=False, timeout=_VERSION_SECONDS
    ).stdout.strip()
    major = re.match(r"v(\d+)", said)
    return "" if major and int(major[1]) >= OLDEST_NODE else f"{wanted} is needed, {said or 'an unknown one'} was found"


def install_node_packages() -> None:
    """Bring node_modules to what the lock says, unless it is that already.

    Raises:
        StepError: npm fails.
    """
    installed, lock = FOLDER / "node_modules" / ".package-lock.json", FOLDER / "package-lock.json"
    if installed.is_file() and installed.stat().st_mtime >= lock.stat().st_mtime:
        return
    try:
        done = subprocess.run(
            ["npm", "ci"], cwd=FOLDER, capture_output=True, text=True, check=False, timeout=_INSTALL_SECONDS
        )
    except subprocess.TimeoutExpired:
        raise StepError(f"npm ci isn't done after {_INSTALL_SECONDS} s") from None
    if done.returncode != 0:
        raise StepError(f"npm ci failed:\n{done.stderr[-2000:]}")


def anvil_program() -> Path:
    """Return where the program lies once the packages are installed."""
    machine = f"{platform.system().lower()}-{_PLATFORMS[platform.machine().lower()]}"
    return FOLDER / "node_modules" / "@foundry-rs" / f"anvil-{machine}" / "bin" / "anvil"


class Anvil(AbstractContextManager["Anvil"]):
    """A running chain, at a port of its own choice; it ends with the `with` block, or with `stop`.

    Attributes:
        url: its JSON-RPC endpoint.
        node: the same, to be asked.
    """

    def __init__(self, hardfork: str) -> None:
        """Start it under the rules of a fork, such as osaka.

        Raises:
            StepError: it doesn't start.
        """
        self._process = subprocess.Popen(
            [str(anvil_program()), "--host", "127.0.0.1", "--port", "0", "--hardfork", hardfork],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
        )
        self._lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        try:
            self.url = f"http://127.0.0.1:{self._port()}"
        except BaseException:
            self.stop()
            raise
        self.node = ChainNode(self.url)

    def pass_time(self, seconds: int) -> None:
        """Let the chain's clock go on by some seconds."""
        self.node.ask("evm_increaseTime", seconds)
        self.node.ask("evm_mine")

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            self._lines.put(line)

    def _port(self) -> int:
        said: list[str] = []
        while True:
            try:
                said.append(self._lines.get(timeout=_START_SECONDS))
            except queue.Empty:
                raise StepError(f"anvil didn't start: {''.join(said)}") from None
            if found := re.search(r"Listening on 127\.0\.0\.1:(\d+)", said[-1]):
                return int(found[1])
