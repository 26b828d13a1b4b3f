"""The two kinds of keys we keep in a token: a P-256 key that signs and an AES-256 key that seals."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from consilium_peers.errors import TokenError
from consilium_peers.pkcs11_token import Kind, Token, TokenKey, described

if TYPE_CHECKING:
    from pkcs11 import Session

_SIGNATURE_BYTES = 64
_TAG_BITS = 128


class TokenSigningKey:
    """A P-256 private key that never leaves its token."""

    _ABSENT = "import the key, or correct the label (docs/hospitals.md shows how)"

    def __init__(self, key: TokenKey) -> None:
        """Find the key.

        Raises:
            TokenError: the token can't be opened, or has no such key, or would give the key away.
        """
        self._place = key
        self._token = Token.of(key)
        _check(self._token, "PRIVATE_KEY", key, "sign", self._ABSENT)

    def sign(self, message: bytes) -> tuple[int, int]:
        """Return r and s of the ECDSA signature over SHA-256 of `message`; s may lie in either half.

        Raises:
            TokenError: the token is gone, or can't sign with this key.
        """
        import pkcs11

        # CKM_ECDSA takes the digest, and every token has it; SoftHSM has no CKM_ECDSA_SHA256.
        digest = hashlib.sha256(message).digest()

        def signed(found: Any) -> bytes:
            return bytes(found.sign(digest, mechanism=pkcs11.Mechanism.ECDSA))

        try:
            signature = self._token.use("PRIVATE_KEY", self._place.label, signed, self._ABSENT)
        except pkcs11.PKCS11Error as error:
            raise TokenError(
                f"{self._place} doesn't sign: {described(error)}; is it a P-256 key for signing?"
            ) from None
        if len(signature) != _SIGNATURE_BYTES:
            raise TokenError(f"{self._place} isn't P-256: its signatures have {len(signature)} bytes, not 64")
        return int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")


class TokenSealingKey:
    """An AES-256 key that never leaves its token and seals with AES-GCM there."""

    _ABSENT = "make it: consilium client seal-with-token"

    def __init__(self, key: TokenKey) -> None:
        """Find the key.

        Raises:
            TokenError: the token can't be opened, or has no such key, or would give the key away.
        """
        self.place = key
        self._token = Token.of(key)
        _check(self._token, "SECRET_KEY", key, "encrypt", self._ABSENT)

    @classmethod
    def make(cls, key: TokenKey) -> TokenSealingKey:
        """Find the key, or make it in the token when there is none.

        Raises:
            TokenError: as the constructor, or the token makes no AES keys.
        """
        token = Token.of(key)
        import pkcs11

        try:
            token.write(lambda session: _make_sealing_key(session, key.label))
        except pkcs11.PKCS11Error as error:
            raise TokenError(f"{key} can't be made: {described(error)}; does the token make AES-256 keys?") from None
        return cls(key)

    def encrypt(self, nonce: bytes, secret: bytes, name: bytes) -> bytes:
        """Return `secret` under AES-256-GCM, its 16-byte tag at the end; `nonce` (12 bytes) must be new each time.

        Raises:
            TokenError: the token is gone, or can't encrypt so.
        """
        import pkcs11

        try:
            return self._token.use("SECRET_KEY", self.place.label, _gcm("encrypt", nonce, secret, name), self._ABSENT)
        except pkcs11.PKCS11Error as error:
            raise TokenError(f"{self.place} doesn't seal: {described(error)}; does it have CKM_AES_GCM?") from None

    def decrypt(self, nonce: bytes, sealed: bytes, name: bytes) -> bytes | None:
        """Return what was sealed under this nonce and name; None when that isn't so.

        Tokens don't agree on the error for a wrong tag, so a failed decryption counts as one, after the token was
        opened anew if it was lost.

        Raises:
            TokenError: the token is gone.
        """
        import pkcs11

        try:
            return self._token.use("SECRET_KEY", self.place.label, _gcm("decrypt", nonce, sealed, name), self._ABSENT)
        except (pkcs11.DeviceError, pkcs11.DeviceRemoved, pkcs11.TokenNotPresent, pkcs11.SessionHandleInvalid) as error:
            raise TokenError(f"{self.place} doesn't answer: {described(error)}; is the token connected?") from None
        except pkcs11.PKCS11Error:
            return None


def _make_sealing_key(session: Session, label: str) -> None:
    from pkcs11 import Attribute, KeyType, MechanismFlag, ObjectClass

    if list(session.get_objects({Attribute.CLASS: ObjectClass.SECRET_KEY, Attribute.LABEL: label})):
        return
    session.generate_key(
        KeyType.AES,
        256,
        label=label,
        store=True,
        capabilities=MechanismFlag.ENCRYPT | MechanismFlag.DECRYPT,
        template={Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False},
    )


def _gcm(direction: str, nonce: bytes, data: bytes, name: bytes) -> Callable[[Any], bytes]:
    from pkcs11 import GCMParams, Mechanism

    def operation(found: Any) -> bytes:
        parameters = GCMParams(nonce, name, _TAG_BITS)
        return bytes(getattr(found, direction)(data, mechanism=Mechanism.AES_GCM, mechanism_param=parameters))

    return operation


def _check(token: Token, kind: Kind, key: TokenKey, use: str, absent: str) -> None:
    """Refuse a key that its token would give away: it protects no better than a file, but looks as if it did."""
    import pkcs11

    def look(found: Any) -> tuple[bool, bool]:
        kept = found[pkcs11.Attribute.SENSITIVE] and not found[pkcs11.Attribute.EXTRACTABLE]
        return kept, hasattr(found, use)

    try:
        kept, usable = token.use(kind, key.label, look, absent)
    except pkcs11.PKCS11Error as error:
        raise TokenError(f"{key} doesn't say whether it can be read out: {described(error)}") from None
    if not usable:
        raise TokenError(f"{key} may not {use}; make or import it anew with CKA_{use.upper()} true")
    if not kept:
        raise TokenError(
            f"{key} can be read out of the token; make or import it anew with CKA_SENSITIVE true and "
            "CKA_EXTRACTABLE false"
        )
