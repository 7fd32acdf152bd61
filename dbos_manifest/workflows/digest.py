"""The digest of a workflow: the text by which the lockfile recognizes it."""

from __future__ import annotations

from functools import partial

from ..core.canonical_json import canonical_bytes, digest_texts
from ..core.columns import Repeated, convert, join_texts
from .batch import Batch

_DIGESTED = sorted(
    (
        "workflow", "class_name", "instance_name", "application", "queue", "queue_partition_key", "args",
        "kwargs", "priority", "timeout_ms", "deadline_ms", "not_before_ms", "delay_ms", "deduplication_id",
        "application_version", "authenticated_user", "authenticated_roles", "assumed_role",
    )
)  # fmt: skip


def compute_digests(batch: Batch) -> list[str]:
    """Compute the digest of each workflow; equal workflows always have equal digests.

    Unset options are left out, and so are values that mean the same as unset (no arguments, priority 0,
    no roles): writing out a default does not change the digest.
    Shape:  22 characters of base64url.
    Source: SPEC §5.
    """
    count = len(batch)
    members = [convert(batch.columns[field], partial(_encode_member, field)) for field in _DIGESTED]
    return digest_texts(join_texts([Repeated(b"{", count), *members, Repeated(b"}", count)], count, b""))


def _encode_member(field: str, value: object) -> bytes:
    """Encode an option as a member of a canonical JSON object; nothing for an unset one."""
    if not value and not (value == 0 and field.endswith("_ms")):  # a time of 0 is set
        return b""
    # every workflow has `workflow`, which sorts last, so all members before it end with a comma
    return b'"%b":%b%b' % (field.encode(), canonical_bytes(value), b"" if field == _DIGESTED[-1] else b",")
