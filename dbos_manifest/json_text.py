"""JSON text in, its value out, or why it is not portable JSON."""

from __future__ import annotations

import json
from typing import Any

MAX_DEPTH = 100


def read_json(text: str) -> tuple[Any, list[tuple[str, str]]]:
    """The value, and what is wrong with it as (code, message); with a problem the value is not to be used.

    Raises: json.JSONDecodeError with line and column for what is no JSON at all.
    """
    problems: list[tuple[str, str]] = []

    def take_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        out = dict(pairs)
        if len(out) != len(pairs):
            seen: set[str] = set()
            for key, _ in pairs:
                if key in seen:
                    problems.append(("duplicate-key", f"`{key}` is written twice in one map"))
                seen.add(key)
        return out

    def refuse_constant(name: str) -> None:
        problems.append(("not-portable", f"`{name}` is not a JSON value"))

    try:
        data = json.loads(text, object_pairs_hook=take_object, parse_constant=refuse_constant)
        json.dumps(data, allow_nan=False, ensure_ascii=False).encode()
    except json.JSONDecodeError:
        raise
    except RecursionError:
        return None, [("too-large", "values are nested too deeply")]
    except UnicodeEncodeError:
        return None, [("not-portable", "a text has a lone surrogate")]
    except ValueError as error:  # an integer of thousands of digits, or a float beyond 1e308
        return None, [("not-portable", f"a number is out of range: {error}")]
    if _deeper_than(data, MAX_DEPTH):
        problems.append(("too-large", f"values are nested more than {MAX_DEPTH} deep"))
    elif "\\u0000" in text and _has_nul(data):
        problems.append(("not-portable", "a text has a NUL character"))
    return data, problems


def _deeper_than(value: Any, depth: int) -> bool:
    level = [value]
    for _ in range(depth + 1):
        level = [
            item
            for part in level
            if isinstance(part, (dict, list))
            for item in (part.values() if isinstance(part, dict) else part)
            if isinstance(item, (dict, list))
        ]
        if not level:
            return False
    return True


def _has_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any("\0" in key or _has_nul(item) for key, item in value.items())
    return isinstance(value, list) and any(map(_has_nul, value))
