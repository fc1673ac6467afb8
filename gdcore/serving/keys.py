"""API keys: known by their hashes alone, told to nobody, compared in constant time.

A line of the file is a name and the SHA-256 of a key, in hexadecimal; `#` begins a comment:

    newsroom  9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08

A key is 256 random bits, so that a fast hash is as good as a slow one: there is no dictionary to try.
"""

import hashlib
import hmac
import re
import secrets

from gdcore.errors import UserError

HASH = re.compile(r"[0-9a-f]{64}")
NAME = re.compile(r"[A-Za-z0-9_.@-]{1,64}")


class Keys:
    """Who may ask. Without any, everybody may."""

    def __init__(self, text: str = "", source: str = "the keys") -> None:
        """`text` is a key file's; several keys on one line are divided by commas. Raises UserError for another."""
        self._hashes: dict[str, str] = {}
        lines = [part for line in text.splitlines() for part in line.partition("#")[0].split(",")]
        for number, line in enumerate(lines, 1):
            if not (words := line.split()):
                continue
            if len(words) != 2 or not NAME.fullmatch(words[0]) or not HASH.fullmatch(words[1].lower()):
                raise UserError(
                    f"{source}, entry {number}: expected a name and the SHA-256 of a key (64 hexadecimal digits), "
                    "never the key itself. `gdflow serve --new-key NAME` makes a key and its entry."
                )
            if words[0] in self._hashes:
                raise UserError(f"{source}, entry {number}: there is already a key named {words[0]!r}")
            self._hashes[words[0]] = words[1].lower()
        if text.strip() and not self._hashes:
            raise UserError(f"{source} holds no key. `gdflow serve --new-key NAME` makes a key and its entry.")

    def __len__(self) -> int:
        return len(self._hashes)

    def owner(self, key: str) -> str | None:
        """The name of a key's owner; None of a key that is none. Takes as long either way."""
        hashed = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
        found = None
        for name, known in self._hashes.items():
            if hmac.compare_digest(hashed, known):
                found = name
        return found


def new_key(name: str) -> tuple[str, str]:
    """A new key, and its line for the file. Raises UserError for a name that cannot be one."""
    if not NAME.fullmatch(name):
        raise UserError(f"{name!r} cannot be a key's name: expected up to 64 letters, digits and _ . @ -")
    key = f"gdflow-{secrets.token_urlsafe(32)}"
    return key, f"{name}  {hashlib.sha256(key.encode()).hexdigest()}"
