"""API keys: what one looks like, and what is kept of it.

`tsk_<id>_<secret><checksum>`: prefix and CRC-32 let a scanner find a leaked key without asking anybody.
Only a keyed hash is stored: with the database alone, and not the pepper, no key can be tested.
"""

import hashlib
import hmac
import re
import secrets
import string
import zlib
from dataclasses import dataclass
from typing import Final

PREFIX: Final = "tsk"
_DIGITS: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
_ID_LENGTH, _SECRET_LENGTH, _CHECK_LENGTH = 16, 43, 6
_KEY: Final = re.compile(
    rf"{PREFIX}_([0-9A-Za-z]{{{_ID_LENGTH}}})_([0-9A-Za-z]{{{_SECRET_LENGTH}}})([0-9A-Za-z]{{{_CHECK_LENGTH}}})"
)


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key in full. 43 digits of base 62 are 256 bits.

    Attributes:
        id: Names the key; no secret.
        secret: Never stored, never logged.
    """

    id: str
    secret: str

    @classmethod
    def generate(cls) -> "ApiKey":
        """A fresh key."""
        return cls(_random(_ID_LENGTH), _random(_SECRET_LENGTH))

    @classmethod
    def parse(cls, text: str) -> "ApiKey | None":
        """Read a key; None if it is none, a mistyped one included."""
        found = _KEY.fullmatch(text)
        if found is None or _checksum(found[1], found[2]) != found[3]:
            return None
        return cls(found[1], found[2])

    @property
    def text(self) -> str:
        """The key as its owner gets it, once."""
        return f"{PREFIX}_{self.id}_{self.secret}{_checksum(self.id, self.secret)}"

    def keyed_hash(self, pepper: str) -> str:
        """What is stored: HMAC-SHA256 under the installation's pepper, 64 hex digits."""
        return hmac.new(pepper.encode(), f"{self.id}_{self.secret}".encode(), hashlib.sha256).hexdigest()

    def matches(self, stored: str, pepper: str) -> bool:
        """Whether this is the key whose hash was stored; takes as long either way."""
        return hmac.compare_digest(self.keyed_hash(pepper), stored)


def _random(length: int) -> str:
    return "".join(secrets.choice(_DIGITS) for _ in range(length))


def _checksum(key_id: str, secret: str) -> str:
    number = zlib.crc32(f"{key_id}_{secret}".encode())
    digits = ""
    for _ in range(_CHECK_LENGTH):
        number, digit = divmod(number, len(_DIGITS))
        digits = _DIGITS[digit] + digits
    return digits
