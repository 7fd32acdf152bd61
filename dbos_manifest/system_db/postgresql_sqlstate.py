"""Find the SQLSTATE with which a server refused a connection, whatever language its messages have.

libpq gives only the text of such a message. Its trace of the protocol contains the SQLSTATE.
"""

from __future__ import annotations

import os
import re
import select
import sys

import psycopg
from psycopg import pq

CANNOT_CONNECT_NOW = "57P03"
_WAIT_MS = 10_000
_MOST_STEPS = 100  # a connection takes about five for each host
_ERROR = re.compile(rb'\tErrorResponse\t.*? C "([0-9A-Z]{5})"')


def find_sqlstate(conninfo: str) -> str | None:
    """Connect again after a refusal, and return the SQLSTATE of the refusal; None where it is unknown."""
    if sys.platform != "linux" or pq.version() < 140_000:  # psycopg's trace needs both
        return None
    trace = os.memfd_create("trace")
    try:
        connection = pq.PGconn.connect_start(conninfo.encode())
        try:
            connection.trace(os.dup(trace))
            if _connect(connection):
                return CANNOT_CONNECT_NOW  # not any more
            connection.untrace()
        finally:
            connection.finish()
        found = _ERROR.findall(os.pread(trace, os.fstat(trace).st_size, 0))
        return found[-1].decode() if found else None
    except psycopg.Error:  # no connection to continue
        return None
    finally:
        os.close(trace)


def _connect(connection: pq.abc.PGconn) -> bool:
    """Continue a connection until the server accepts or refuses it, or does not respond in time."""
    awaited = pq.PollingStatus.WRITING
    for _ in range(_MOST_STEPS):
        poll = select.poll()
        is_read = awaited == pq.PollingStatus.READING
        poll.register(connection.socket, select.POLLIN if is_read else select.POLLOUT)
        if not poll.poll(_WAIT_MS):
            return False
        awaited = pq.PollingStatus(connection.connect_poll())
        if awaited in (pq.PollingStatus.OK, pq.PollingStatus.FAILED):
            return awaited == pq.PollingStatus.OK
    return False
