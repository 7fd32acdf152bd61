"""Mask what differs between messages of one kind: numbers, dates, times and IDs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

MAX_CHARACTERS = 500  # of a message that are compared
_SHORTEST_ID = 6  # a shorter workflow ID may be a part of any word
_VARYING = re.compile(
    r"(?<![0-9A-Za-z])(?:"
    r"(?P<kept>(?:HTTP(?:/[0-9](?:\.[0-9])?)?|[Ss]tatus|[Cc]ode|[Ee]rrno|SQLSTATE)[ :=#(]{1,3}[0-9]{1,5})"
    r"|(?P<time>[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]+)?)?"
    r"(?:Z|[+-][0-9]{2}:?[0-9]{2})?)"
    r"|(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"|(?P<uuid>[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})"
    r"|(?P<number>[0-9]+(?:[.,][0-9]+)*)(?=(?:[A-Za-z]{1,3})?(?![0-9A-Za-z]))"
    r"|(?P<word>(?=[A-Za-z]*[0-9])[0-9A-Za-z]+)"
    r")"
)
_MIXED = re.compile(r"[0-9][A-Za-z]+[0-9]|[A-Za-z][0-9]+[A-Za-z]+[0-9]*", re.ASCII)
_NUMBERED = re.compile(r"([A-Za-z]+)([0-9]{3,})", re.ASCII)
_KINDS = {"time": "time", "date": "date", "uuid": "id", "number": "n"}


class MaskedText(NamedTuple):
    """A text of which some places are masked.

    Shape:  one more literal than places; texts of one kind have equal literals and kinds.
    """

    literals: tuple[str, ...]
    kinds: tuple[str, ...]  # of each place: n, date, time, id
    values: tuple[str, ...]  # what was there

    def show(self, values: Sequence[str | None]) -> str:
        """Return the text with these values, and `<n>` for a place whose value is None."""
        return "".join(self._pieces(values))

    def _pieces(self, values: Sequence[str | None]) -> Iterator[str]:
        for literal, kind, value in zip(self.literals, self.kinds, values, strict=False):
            yield literal
            yield f"<{kind}>" if value is None else value
        yield self.literals[-1]


def mask_text(text: str, workflow_id: str = "") -> MaskedText:
    """Mask a message of a workflow: its own ID, other IDs, dates, times and numbers.

    Shape:  space is collapsed, and the text is cut to MAX_CHARACTERS. Status and error codes are kept, and
            so are short numbers that end a word, as in `utf8`.
    """
    text = " ".join(text[: 2 * MAX_CHARACTERS].split())[:MAX_CHARACTERS]
    literals, kinds, values = [""], [], []
    for place, part in enumerate(_split_at(text, " ".join(workflow_id.split()))):
        if place:
            kinds.append("id")
            values.append(workflow_id)
            literals.append("")
        end = 0
        for start, stop, kind in _find_varying(part):
            literals[-1] += part[end:start]
            kinds.append(kind)
            values.append(part[start:stop])
            literals.append("")
            end = stop
        literals[-1] += part[end:]
    return MaskedText(tuple(literals), tuple(kinds), tuple(values))


def _split_at(text: str, workflow_id: str) -> Iterator[str]:
    """Split a text at a workflow ID, where it is not a part of a longer word."""
    begin = 0
    if len(workflow_id) >= _SHORTEST_ID:
        at = text.find(workflow_id)
        while at >= 0:
            end = at + len(workflow_id)
            if not (text[at - 1 : at].isalnum() or text[end : end + 1].isalnum()):
                yield text[begin:at]
                begin = end
            at = text.find(workflow_id, end)
    yield text[begin:]


def _find_varying(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield begin, end and kind of each part that is masked."""
    for match in _VARYING.finditer(text):
        kind = match.lastgroup or ""
        if kind in _KINDS:
            yield (*match.span(), _KINDS[kind])
        elif kind == "word":
            word = match[0]
            if numbered := _NUMBERED.fullmatch(word):
                yield match.start() + numbered.start(2), match.end(), "n"
            elif word[:2] == "0x" or (len(word) >= 8 and _MIXED.search(word)):
                yield (*match.span(), "id")
