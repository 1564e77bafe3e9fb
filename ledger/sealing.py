"""Secrets that must be read again are kept sealed, so that a copy of the database alone signs nothing."""

import os
import secrets
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from ledger.errors import Unsealable

KEY_FILE: Final = "webhook.key"
"""In the home folder of an installation that is told no key and keeps its ledger there too."""


HOW: Final = "`openssl rand -base64 32 | tr '+/' '-_'`"


class Seal:
    """Seals with the first key, opens with any: authenticated encryption (Fernet).

    Args:
        keys: Each what `Fernet.generate_key` gives: 32 bytes in URL-safe base64.

    Raises:
        ValueError: a key is none, or there is none.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        if not keys:
            raise ValueError("a seal needs a key")
        try:
            self._box = MultiFernet([Fernet(key) for key in keys])
        except ValueError:
            raise ValueError(f"a key is no 32 bytes in URL-safe base64; {HOW} makes one") from None

    def seal(self, secret: str) -> str:
        """The secret, to be stored."""
        return self._box.encrypt(secret.encode()).decode()

    def open(self, sealed: str) -> str:
        """The secret that was sealed.

        Raises:
            Unsealable: not with these keys.
        """
        try:
            return self._box.decrypt(sealed).decode()
        except InvalidToken:
            raise Unsealable("a stored secret was sealed with another key") from None


def open_seal(keys: str, home: Path | None) -> Seal | None:
    """The seal of an installation.

    Args:
        keys: What it was told: keys separated by commas, the newest first.
        home: Where it may keep a key of its own if it was told none: only a folder that all its processes
            share. None if there is no such folder.

    Returns:
        None if it has no key and nowhere to keep one.
    """
    if told := [key.strip() for key in keys.split(",") if key.strip()]:
        return Seal(told)
    return None if home is None else Seal([_own_key(home / KEY_FILE)])


def _own_key(path: Path) -> str:
    """The key in a file that only its owner reads; whole before it is seen, made by whoever comes first."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "wb") as file:
            file.write(Fernet.generate_key())
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(draft, path)
        draft.unlink()
    return path.read_text(encoding="ascii").strip()
