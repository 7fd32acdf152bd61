"""PyYAML's C parser, made to break lines where YAML 1.2 does.

YAML 1.1 and libyaml also break lines at U+0085, U+2028 and U+2029. The parser gets private-use characters
in their place that the text does not have, and the events get the original ones again. Places do not change.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

import yaml
from yaml.events import ScalarEvent

_BREAKS_OF_YAML11 = "\x85\u2028\u2029"
_NOT_PRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def open_parser(text: str) -> Callable[[], Any]:
    """Return a function that gives the next event of a text.

    Raises: yaml.YAMLError or ValueError, here or later, for what is not YAML.
    """
    used = "" if text.isascii() else [mark for mark in _BREAKS_OF_YAML11 if mark in text]
    if not used:
        get_event: Callable[[], Any] = yaml.CBaseLoader(text).get_event
        return get_event
    stand_ins = dict(zip(used, _find_unused(text), strict=False))
    for mark, stand_in in stand_ins.items():
        text = text.replace(mark, stand_in)
    return _restoring(yaml.CBaseLoader(text).get_event, str.maketrans({v: k for k, v in stand_ins.items()}))


def find_unprintable(text: str) -> int | None:
    """Return the index of the first character that YAML does not allow in a text."""
    found = _NOT_PRINTABLE.search(text)
    return found.start() if found is not None else None


def _restoring(get_event: Callable[[], Any], originals: dict[int, str]) -> Callable[[], Any]:
    def get_restored() -> Any:
        event = get_event()
        if isinstance(event, ScalarEvent):
            event.value = event.value.translate(originals)
        return event

    return get_restored


def _find_unused(text: str) -> Iterator[str]:
    used = set(text)
    codes = chain(range(0xE000, 0xF900), range(0xF0000, 0xFFFFE), range(0x100000, 0x10FFFE))
    unused = (character for character in map(chr, codes) if character not in used)
    first = [next(unused, "") for _ in _BREAKS_OF_YAML11]
    if "" in first:
        raise ValueError("the text uses every private-use character of Unicode")
    return iter(first)
