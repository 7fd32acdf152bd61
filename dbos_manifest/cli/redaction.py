"""Replace passwords in text that is printed or logged."""

from __future__ import annotations

import os
import re
import sys

# a path that was made of a URL has only one of its slashes
_USERINFO = re.compile(r"((?::/{1,3}|\bpostgres[\w+]*:)[^\s/:@]*:).*@")
_PARAMETER = re.compile(r"((?:[?&][\w%]*|\b)(?:password|secret|scram_\w+_key)=).*", re.IGNORECASE)
_URL = re.compile(r"[\w+]{2,}:/")  # `C:/` is a drive
_PASSWORD_WORD = re.compile(r"(password['\"]?\s*[=:]\s*['\"]?)[^\s'\"&,)}]+", re.IGNORECASE)


def hide_passwords(text: str) -> str:
    """Replace the passwords of URLs in one line, such as a message about a URL in the place of a file."""
    # the query first: an `@` in it does not end a password before the host
    return _USERINFO.sub(r"\1***@", _PARAMETER.sub(r"\1***", text))


def looks_like_url(text: str) -> bool:
    """Return whether a text in the place of a path is the URL of a database, which may have a password."""
    return _URL.match(text) is not None or hide_passwords(text) != text


def redact(text: str) -> str:
    """Replace what may be a password in a log: those of this process too, whatever is around them."""
    from urllib.parse import unquote, urlsplit  # loaded only for a crash log

    given = [*sys.argv, *(value for key, value in os.environ.items() if key.endswith("DATABASE_URL"))]
    secrets = {value for key, value in os.environ.items() if key == "PGPASSWORD" and value}
    for word in given:
        try:
            password = urlsplit(word.partition("=")[2] if word.startswith("--") else word).password
        except ValueError:
            continue
        if password:
            secrets |= {password, unquote(password)}
    for secret in secrets:
        text = text.replace(secret, "***")
    return _PASSWORD_WORD.sub(r"\1***", hide_passwords(text))
