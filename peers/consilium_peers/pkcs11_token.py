"""PKCS#11 tokens: where a key rests that no file holds, and the one logged-in session per token of this process.

A program that reads the hospital's disk finds no key there, and one that takes over the agent can use the key only
while it runs: it can't carry it away. The PIN comes from a file or the environment and is in no message of ours.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from consilium_peers.errors import TokenError

if TYPE_CHECKING:
    from pkcs11 import Session
    from pkcs11 import Token as Slot

PIN_VARIABLE = "CONSILIUM_TOKEN_PIN"
_FIELDS = ("module", "token", "label", "pin_file")
_Result = TypeVar("_Result")
Kind = Literal["PRIVATE_KEY", "SECRET_KEY"]

# The binding initialises modules without locking, so PKCS#11 v2.40 (5.4) leaves it to us that no two threads call one
# at the same time. Sessions are shared: the login belongs to the process, not to the session.
_ONE_CALL = threading.RLock()
_OPEN: dict[tuple[Path, str], Token] = {}


@dataclass(frozen=True)
class TokenKey:
    """Where a key rests: the PKCS#11 module (a shared library), the token's label, the key's label, the PIN's file.

    Without `pin_file` the PIN comes from the environment variable CONSILIUM_TOKEN_PIN.
    """

    module: Path
    token: str
    label: str
    pin_file: Path | None = None

    @classmethod
    def read(cls, fields: object, base: Path) -> TokenKey:
        """Read the fields of a configuration file's `pkcs11`; paths are relative to `base`.

        Raises:
            TokenError: a field is missing, unknown or not a text; the message names it.
        """
        if not isinstance(fields, Mapping):
            raise TokenError(f"pkcs11 is {fields!r}; expected the fields {', '.join(_FIELDS)}")
        if unknown := sorted(set(map(str, fields)) - set(_FIELDS)):
            raise TokenError(f"pkcs11 has an unknown field {unknown[0]!r}; known are {', '.join(_FIELDS)}")
        for field in _FIELDS:
            value = fields.get(field)
            if not (isinstance(value, str) and value) and not (field == "pin_file" and value is None):
                raise TokenError(f"pkcs11.{field} is {value!r}; expected a text")
        pin_file = fields.get("pin_file")
        return cls(
            module=base / fields["module"],
            token=fields["token"],
            label=fields["label"],
            pin_file=None if pin_file is None else base / pin_file,
        )

    def __str__(self) -> str:
        return f"key {self.label!r} in token {self.token!r}"


class Token:
    """A token that this process is logged in to."""

    def __init__(self, module: Path, label: str, pin: str, origin: str) -> None:
        """Log in. `origin` says in messages where the PIN came from.

        Raises:
            TokenError: no such module or token, or the token refuses the PIN.
        """
        self._module = module
        self._label = label
        self._pin = pin
        self._origin = origin
        self._keys: dict[tuple[Kind, str], Any] = {}
        # A token locks after a few wrong PINs; one that was refused is never sent again.
        self._refused: str | None = None
        self._session: Session | None = self._log_in()

    @classmethod
    def of(cls, key: TokenKey) -> Token:
        """Return the open token in which a key rests, opened at the first call of this process.

        Raises:
            TokenError: as the constructor, or python-pkcs11 isn't installed, or there is no PIN, or the token is open
                already with another one.
        """
        _check_binding()
        pin, origin = _read_pin(key)
        with _ONE_CALL:
            place = (key.module.resolve(), key.token)
            token = _OPEN.get(place)
            if token is None:
                token = _OPEN[place] = cls(key.module, key.token, pin, origin)
            elif token._pin != pin:
                raise TokenError(
                    f"token {key.token!r} is open with the PIN from {token._origin}, and {origin} has another one; "
                    "correct it"
                )
            return token

    def use(self, kind: Kind, label: str, operation: Callable[[Any], _Result], absent: str) -> _Result:
        """Let `operation` use a key of the token; a lost session is opened anew, once.

        An operation may so be done twice, which is why only those belong here that may be: signing, sealing, opening.

        Raises:
            TokenError: the token is gone, or has not exactly one such key (`absent` says what to do about none).
            pkcs11.PKCS11Error: what the operation itself raises.
        """
        import pkcs11

        lost = (
            pkcs11.SessionHandleInvalid,
            pkcs11.SessionClosed,
            pkcs11.UserNotLoggedIn,
            pkcs11.KeyHandleInvalid,
            pkcs11.ObjectHandleInvalid,
            pkcs11.DeviceError,
            pkcs11.DeviceRemoved,
            pkcs11.TokenNotPresent,
        )
        with _ONE_CALL:
            try:
                return operation(self._key(kind, label, absent))
            except lost:
                self._open_anew()
                return operation(self._key(kind, label, absent))

    def write(self, operation: Callable[[Session], None]) -> None:
        """Let `operation` make a key, in a session that may write; the process is logged in already.

        Raises:
            pkcs11.PKCS11Error: what the operation itself raises, or the token may not be written to.
        """
        with _ONE_CALL, self._live().token.open(rw=True) as session:
            operation(session)

    def _key(self, kind: Kind, label: str, absent: str) -> Any:
        import pkcs11

        if (kind, label) not in self._keys:
            noun = kind.lower().replace("_", " ")
            try:
                self._keys[kind, label] = self._live().get_key(pkcs11.ObjectClass[kind], label=label)
            except pkcs11.NoSuchKey:
                raise TokenError(f"token {self._label!r} has no {noun} labelled {label!r}; {absent}") from None
            except pkcs11.MultipleObjectsReturned:
                raise TokenError(
                    f"token {self._label!r} has several {noun}s labelled {label!r}; delete or rename all but one"
                ) from None
        return self._keys[kind, label]

    def _live(self) -> Session:
        if self._session is None:
            self._session = self._log_in()
        return self._session

    def _open_anew(self) -> None:
        import pkcs11

        self._keys.clear()
        lost, self._session = self._session, None
        if lost is not None:
            with contextlib.suppress(pkcs11.PKCS11Error):
                lost.close()
        self._session = self._log_in()

    def _log_in(self) -> Session:
        import pkcs11

        if self._refused:
            raise TokenError(self._refused)
        slot = _find(self._module, self._label)
        named = f"token {self._label!r}"
        try:
            try:
                return slot.open(user_pin=self._pin)
            except pkcs11.UserAlreadyLoggedIn:
                return slot.open()
        except (pkcs11.PinIncorrect, pkcs11.PinInvalid, pkcs11.PinLenRange):
            self._refused = (
                f"{named} refuses the PIN from {self._origin}; correct it before you start again: "
                "a token locks after a few wrong ones"
            )
            raise TokenError(self._refused) from None
        except (pkcs11.PinLocked, pkcs11.PinExpired, pkcs11.UserPinNotInitialized) as error:
            raise TokenError(
                f"{named} takes no PIN ({type(error).__name__}); its security officer has to set a new one"
            ) from None
        except pkcs11.PKCS11Error as error:
            raise TokenError(f"{named} can't be opened: {described(error)}; is it connected?") from None


def described(error: Exception) -> str:
    """Return what a PKCS#11 error says; most say their type only."""
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _check_binding() -> None:
    try:
        import pkcs11  # noqa: F401 - whoever keeps keys in files needs no binding
    except ImportError:
        raise TokenError("keys in tokens need python-pkcs11: pip install 'consilium[pkcs11]'") from None


def _read_pin(key: TokenKey) -> tuple[str, str]:
    if key.pin_file is None:
        pin, origin = os.environ.get(PIN_VARIABLE, ""), PIN_VARIABLE
    else:
        origin = str(key.pin_file)
        try:
            pin = key.pin_file.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it isn't text"
            raise TokenError(
                f"the PIN of token {key.token!r} can't be read from {origin} ({reason}); create the file, readable by "
                "you alone"
            ) from None
    if not pin:
        raise TokenError(f"there is no PIN for token {key.token!r} in {origin}; set {PIN_VARIABLE} or pin_file")
    return pin, origin


def _find(module: Path, label: str) -> Slot:
    import pkcs11

    if not module.is_file():
        raise TokenError(
            f"no PKCS#11 module at {module}; the token's maker says where it is (SoftHSM on Debian: "
            "/usr/lib/softhsm/libsofthsm2.so)"
        )
    try:
        library = pkcs11.lib(str(module.resolve()))
        tokens = list(library.get_tokens())
    except pkcs11.PKCS11Error as error:
        raise TokenError(
            f"{module} doesn't work as a PKCS#11 module: {described(error)}; see to the module's own configuration "
            "(SoftHSM: the file that SOFTHSM2_CONF names)"
        ) from None
    found = [token for token in tokens if token.label == label]
    if len(found) != 1:
        labels = ", ".join(repr(token.label) for token in tokens if token.label) or "none"
        raise TokenError(
            f"{module} has {'several tokens' if found else 'no token'} labelled {label!r}; it has {labels}: "
            "correct the label, or initialise the token (SoftHSM: softhsm2-util --init-token --free --label …)"
        )
    return found[0]
