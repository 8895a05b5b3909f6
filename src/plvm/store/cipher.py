"""Encryption of what a store keeps: AES-256 of the package `cryptography`, beneath the seals.

Tokens, keys, pictures, notes and display names: AES-GCM with a nonce of their own. Names: AES-SIV, which gives one name of one
namespace one text, so that a name stays unique; their lengths are rounded up. What is left to read is said in docs/privacy.md.
"""

from __future__ import annotations

import base64
import binascii
import os

from plvm.errors import RequestError, StoreError

SECRET = 32  # bytes
SIGN = "~"  # at the beginning of a hidden name; no name begins with it
_NONCE, _ROOM = 12, 32
_MARK = "plvm concepts"


class Plain:
    """How values get into the database and out again: here as they are. `place` says whose a value is and what: it is shown at
    its own place alone. `mark` is what a store keeps to know its key again, "" where there is none."""

    mark = ""

    def hide(self, data: bytes, place: str) -> bytes:
        """Bytes as they are kept."""
        return data

    def show(self, data: bytes, place: str) -> bytes:
        """The bytes that were hidden. Raises ValueError where nothing can be made of them."""
        return data

    def hide_name(self, name: str, namespace: str) -> str:
        """A name as it is kept: the same for the same name of the same namespace."""
        return name

    def show_name(self, text: str, namespace: str) -> str:
        """The name that was hidden. Raises ValueError where nothing can be made of it."""
        return text

    def fits(self, mark: str) -> bool:
        """Whether a store of this mark can be read so."""
        return mark == ""


class Cipher(Plain):
    """Encryption with a secret of 32 bytes. Raises StoreError where the package is not installed."""

    def __init__(self, secret: bytes) -> None:
        try:
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESSIV
            from cryptography.hazmat.primitives.hashes import SHA256
            from cryptography.hazmat.primitives.kdf.hkdf import HKDF
        except ModuleNotFoundError:
            raise StoreError(
                "An encrypted store needs the Python package cryptography.", 'Install it: `pip install "plvm[encrypted]"`.'
            ) from None

        def derived(what: bytes, size: int) -> bytes:
            return HKDF(SHA256(), size, None, b"plvm store: " + what).derive(secret)

        self._values, self._names = AESGCM(derived(b"values", 32)), AESSIV(derived(b"names", 64))
        self.mark = base64.b64encode(self.hide(_MARK.encode(), "mark")).decode()

    def hide(self, data: bytes, place: str) -> bytes:
        """Bytes encrypted, with a nonce of their own before them."""
        nonce = os.urandom(_NONCE)
        return nonce + self._values.encrypt(nonce, data, place.encode())

    def show(self, data: bytes, place: str) -> bytes:
        """The bytes that were encrypted. Raises ValueError for those of another secret or place."""
        from cryptography.exceptions import InvalidTag

        try:
            return self._values.decrypt(data[:_NONCE], data[_NONCE:], place.encode())
        except InvalidTag:
            raise ValueError("it cannot be decrypted") from None

    def hide_name(self, name: str, namespace: str) -> str:
        """A name encrypted, as text."""
        data = name.encode()
        data += bytes(-len(data) % _ROOM)  # no name has a zero byte
        return SIGN + base64.b64encode(self._names.encrypt(data, [namespace.encode()])).decode()

    def show_name(self, text: str, namespace: str) -> str:
        """The name that was encrypted. Raises ValueError for one of another secret or namespace."""
        from cryptography.exceptions import InvalidTag

        try:
            data = base64.b64decode(text.removeprefix(SIGN), validate=True)
            return self._names.decrypt(data, [namespace.encode()]).rstrip(b"\0").decode()
        except InvalidTag:
            raise ValueError("it cannot be decrypted") from None

    def fits(self, mark: str) -> bool:
        """Whether `mark` was made with this secret."""
        try:
            return self.show(base64.b64decode(mark), "mark") == _MARK.encode()
        except ValueError:
            return False


def hide_text(cipher: Plain, text: str, place: str) -> str:
    """A text as it is kept in a column of texts; an empty one stays empty."""
    return text if cipher.mark == "" or not text else base64.b64encode(cipher.hide(text.encode(), place)).decode()


def show_text(cipher: Plain, text: str, place: str) -> str:
    """The text that was hidden. Raises ValueError."""
    return text if cipher.mark == "" or not text else cipher.show(base64.b64decode(text, validate=True), place).decode()


def new_secret() -> str:
    """A new secret in the form that `secret_in` reads."""
    return base64.urlsafe_b64encode(os.urandom(SECRET)).decode()


def secret_in(text: str) -> bytes:
    """The 32 bytes of a secret that is written as 44 letters, digits, "-", "_" and "=". Raises RequestError."""
    try:
        secret = base64.b64decode(text.strip(), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        secret = b""
    if len(secret) != SECRET:
        raise RequestError("This is no key of a store.", "Make one: `plvm store new-key FILE`.")
    return secret
