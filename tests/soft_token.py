"""Tokens of SoftHSM, a real PKCS#11 module without hardware. `make softhsm` installs it where it is missing."""

from __future__ import annotations

import subprocess
import uuid
from dataclasses import dataclass
from pathlib import Path

import pkcs11

from consilium_peers.pkcs11_token import TokenKey

PIN = "pin-of-the-tests"
_PLACES = ("/usr/lib/softhsm", "/usr/lib64/softhsm", "/usr/lib64/pkcs11", "/usr/local/lib/softhsm")


def softhsm_module() -> Path:
    found = [path for place in _PLACES if (path := Path(place) / "libsofthsm2.so").is_file()]
    assert found, "these tests need SoftHSM: make softhsm"
    return found[0]


@dataclass(frozen=True)
class SoftToken:
    """An initialised token and the file with its PIN; SOFTHSM2_CONF leads to it."""

    module: Path
    label: str
    pin_file: Path

    @classmethod
    def initialise(cls, folder: Path) -> SoftToken:
        """Make a token where SOFTHSM2_CONF says, by the commands of docs/hospitals.md."""
        pin_file = folder / "pin"
        pin_file.write_text(f"{PIN}\n")
        made = cls(softhsm_module(), f"t-{uuid.uuid4().hex[:12]}", pin_file)
        made.softhsm("--init-token", "--free", "--label", made.label, "--so-pin", "so-pin-of-the-tests")
        return made

    def softhsm(self, *words: str) -> None:
        command = ["softhsm2-util", *words, "--pin", PIN]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr
        self.reconnect()

    def reconnect(self) -> None:
        """Let the module start anew: it sees what was made meanwhile, and every session is lost."""
        pkcs11.lib(str(self.module.resolve())).reinitialize()

    def import_signing_key(self, private_key: Path, label: str) -> TokenKey:
        self.softhsm("--import", str(private_key), "--token", self.label, "--label", label, "--id", uuid.uuid4().hex)
        return self.key(label)

    def key(self, label: str) -> TokenKey:
        return TokenKey(self.module, self.label, label, self.pin_file)

    def fields(self, label: str) -> dict[str, str]:
        """Return what a configuration file says of a key."""
        return {"module": str(self.module), "token": self.label, "label": label, "pin_file": str(self.pin_file)}

    def session(self) -> pkcs11.Session:
        """Return a writable session of this process beside the one under test; close it."""
        [token] = [t for t in pkcs11.lib(str(self.module.resolve())).get_tokens() if t.label == self.label]
        try:
            return token.open(rw=True, user_pin=PIN)
        except pkcs11.UserAlreadyLoggedIn:
            return token.open(rw=True)
