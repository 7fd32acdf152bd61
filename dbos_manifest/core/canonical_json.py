"""Write JSON values in their canonical form (RFC 8785), and compute digests of it."""

from __future__ import annotations

import json
from binascii import b2a_base64
from collections.abc import Iterable
from hashlib import sha256
from json.encoder import encode_basestring

import orjson

_plain_dumps = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
_dumps = json.JSONEncoder(ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")).encode


def canonical_json(value: object) -> str:
    """Encode a value as RFC 8785 text, except that integers keep all digits.

    A float with an integral value is written as an integer.
    Raises: ValueError for NaN, infinity or a type without a JSON form.
    Source: RFC 8785 §3.2; SPEC §5 for the integers.
    """
    return canonical_bytes(value).decode()


def canonical_bytes(value: object) -> bytes:
    """Encode a value like `canonical_json`, in UTF-8."""
    try:
        data = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # an integer beyond 64 bits, a lone surrogate, or not a JSON value
        data = b""
    # orjson writes floats differently, NaN as null, and sorts keys beyond ASCII differently
    if data.isascii() and data and b"null" not in data and not may_have_floats(data):
        return data
    return (_dumps(value) if _sorts_alike(value) else _encode(value)).encode()


def encode_json(value: object) -> bytes:
    """Encode a JSON value compactly in UTF-8, with keys in their own order."""
    try:
        return orjson.dumps(value)
    except TypeError:  # an integer beyond 64 bits
        return encode_like_python(value)


def may_have_floats(data: bytes) -> bool:
    """Return quickly whether JSON may contain numbers with a fraction or an exponent, or such texts."""
    signs = data.translate(_FLOAT_SIGNS)
    return b"0.0" in signs or b"0.-0" in signs


def may_have_large_numbers(data: bytes) -> bool:
    """Return quickly whether JSON may contain numbers of 16 digits or with a positive exponent."""
    signs = data.translate(_DIGITS)
    return _SIXTEEN_DIGITS in signs or b"0e0" in signs or b"0e+0" in signs


def encode_like_python(value: object) -> bytes:
    """Encode a JSON value with numbers as Python's `json` writes them, more slowly."""
    return _plain_dumps(value).encode()


def digest_texts(texts: Iterable[bytes]) -> list[str]:
    """Return 128 bits of the SHA-256 of each text, as 22 base64url characters."""
    digests = [sha256(text).digest()[:16] for text in texts]
    # two more bytes make each a whole number of characters, so that one call encodes all
    encoded = b2a_base64(b"\0\0".join([*digests, b""]), newline=False).translate(_URL_SAFE).decode()
    return [encoded[start : start + 22] for start in range(0, len(encoded), 24)]


def _sorts_alike(value: object) -> bool:
    """Return whether a plain encoder writes the canonical form: no floats, and keys sort as in UTF-16."""
    if type(value) in _PLAIN:
        return True
    if isinstance(value, dict):
        for key, item in value.items():
            if type(key) is not str or not (key.isascii() or max(key) < "\ud800"):
                return False
            if type(item) not in _PLAIN and not _sorts_alike(item):
                return False
        return True
    if isinstance(value, (list, tuple)):
        return all(type(item) in _PLAIN or _sorts_alike(item) for item in value)
    return False


_DIGITS = bytes.maketrans(b"123456789", b"0" * 9)
_SIXTEEN_DIGITS = b"0" * 16
_FLOAT_SIGNS = bytes.maketrans(b"123456789eE+", b"000000000..-")
_URL_SAFE = bytes.maketrans(b"+/", b"-_")
_PLAIN = frozenset({str, int, bool, type(None)})


def _encode(value: object) -> str:
    if value is None:
        return "null"
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, str):
        return encode_basestring(value)
    if isinstance(value, int):
        return int.__repr__(value)
    if isinstance(value, float):
        return _encode_float(value)
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(map(_encode, value)) + "]"
    if isinstance(value, dict):
        # RFC 8785 sorts by UTF-16 code units, which differs from code points beyond the BMP
        items = sorted(value.items(), key=lambda item: item[0].encode("utf-16-be", "surrogatepass"))
        return "{" + ",".join(f"{encode_basestring(k)}:{_encode(v)}" for k, v in items) + "}"
    raise ValueError(f"{type(value).__name__} is not a JSON value")


def _encode_float(value: float) -> str:
    if value != value or value in (float("inf"), float("-inf")):
        raise ValueError("JSON has no NaN and no infinity")
    if value.is_integer():
        return str(int(value))
    mantissa, _, exponent = repr(value).partition("e")
    if not exponent:
        return mantissa
    sign = "-" if mantissa.startswith("-") else ""
    digits = mantissa.lstrip("-").replace(".", "")
    power = int(exponent)  # always negative here, because large floats are integral
    if power >= -6:
        return f"{sign}0.{'0' * (-power - 1)}{digits}"
    return f"{sign}{mantissa.lstrip('-')}e{power}"
