"""Identify a system database by a text that is the same for every role, host and checkout.

A fingerprint has up to three parts, joined by dots: the database on its server, the server or file, and a
mark that the DBOS application left in it. A part is a hash, `-` where the role could not read it,
or `none` where the database does not have it yet.
"""

from __future__ import annotations

import hashlib
from itertools import zip_longest

UNKNOWN = "-"
NONE = "none"
_REASONS = (
    "its name differs, or it was dropped and created again",
    "it is on a different server or in a different file",
    "different application versions were registered in it",
)


def make_part(*facts: object) -> str:
    """Hash facts into one part."""
    return hashlib.sha256("\0".join(map(str, facts)).encode()).hexdigest()[:16]


def find_contradiction(known: str, found: str) -> str | None:
    """Return why a database cannot be the one whose fingerprint was recorded; None where it can.

    A part that is unknown on one side is no contradiction. If both sides have the same server or file, the
    mark is not compared. A mark that was recorded must still exist.
    """
    for reason, one, other in zip_longest(_REASONS, known.split("."), found.split("."), fillvalue=UNKNOWN):
        if one not in (UNKNOWN, NONE) and other != UNKNOWN and one != other:
            return reason
        if reason == _REASONS[1] and one == other and one not in (UNKNOWN, NONE):
            return None
    return None


def may_be_same(one: str, other: str) -> bool:
    """Return whether two recorded fingerprints agree; either of them may be the later one."""
    return not (find_contradiction(one, other) and find_contradiction(other, one))


def combine(known: str, found: str) -> str:
    """Combine the known parts of two fingerprints of one database."""
    pairs = zip_longest(known.split("."), found.split("."), fillvalue=UNKNOWN)
    return ".".join(_better(one, other) for one, other in pairs)


def _better(one: str, other: str) -> str:
    return min((other, one), key=lambda part: (part == UNKNOWN, part == NONE))
