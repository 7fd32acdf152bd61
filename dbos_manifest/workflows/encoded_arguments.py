"""The arguments of workflows as DBOS stores them: portable JSON."""

from __future__ import annotations

from ..core.canonical_json import encode_json, encode_like_python, may_have_floats
from ..core.columns import Repeated, convert, join_texts
from .batch import Batch

_BEFORE_KWARGS, _BEFORE_ARGS, _AFTER_ARGS = '{"namedArgs":', ',"positionalArgs":', "}"


def encode_inputs(batch: Batch) -> list[str]:
    """Encode the arguments of each workflow as the official client does.

    Source: dbos 3.4.0 `_serialization.py`, DBOSPortableJSONSerializer.
    """
    count = len(batch)
    kwargs, args = (convert(batch.columns[field], encode_argument) for field in ("kwargs", "args"))
    before, between, after = (Repeated(text, count) for text in (_BEFORE_KWARGS, _BEFORE_ARGS, _AFTER_ARGS))
    return [*join_texts([before, kwargs, between, args, after], count, "")]


def encode_argument(value: object) -> str:
    """Encode `args` or `kwargs` as the client does."""
    text = encode_json(value)
    # a float can be spelled in several ways, and the client uses Python's
    return (encode_like_python(value) if may_have_floats(text) else text).decode()
