"""Exceptions in, one message and an exit code out; a bug leaves a log that only its owner can read."""

from __future__ import annotations

import os
import re
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

import click

from ..errors import InvalidManifest, ManifestToolError
from ..files import write_crash_log
from .output import say, say_error


def run_guarded(command: click.Command, words: Sequence[str] | None = None) -> int:
    """Run a command line, that of this process unless another is given, and give its exit code."""
    try:
        result = command.main(words, prog_name="dbos-manifest", standalone_mode=False)
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        say("interrupted")
        return 130
    except InvalidManifest as error:
        return error.exit_code  # its diagnostics have been shown
    except ManifestToolError as error:
        say_error(error.message, error.hint)
        return error.exit_code
    except BrokenPipeError:
        # the reader has gone, as `| head` does: no more output, also not from the interpreter's exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        return _report_bug(error)


def _report_bug(error: Exception) -> int:
    text = redact("".join(traceback.format_exception(error)))
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    name = f"crash-{time.strftime('%Y%m%dT%H%M%S')}-{os.getpid()}.log"
    log: Path | None = None
    for folder in (
        Path(state) / "dbos-manifest",
        Path(tempfile.gettempdir()) / f"dbos-manifest-{os.getuid()}",
    ):
        try:
            log = write_crash_log(folder, name, text)
            break
        except OSError:
            continue
    where = f"its log is {log}" if log else "and no log could be written"
    say_error(
        f"this is a bug in dbos-manifest ({type(error).__name__}); {where}", "please report it with the log"
    )
    return 70


def redact(text: str) -> str:
    """The text without passwords: those of the database URLs of this process, and whatever stands in one."""
    given = [*sys.argv, *(value for key, value in os.environ.items() if key.endswith("DATABASE_URL"))]
    for word in given:
        try:
            password = urlsplit(word.partition("=")[2] if word.startswith("--") else word).password
        except ValueError:
            continue
        for secret in {password, unquote(password)} if password else ():
            text = text.replace(secret, "***")
    text = _USERINFO.sub(r"\1***@", text)
    return _PASSWORD_WORD.sub(r"\1***", text)


_USERINFO = re.compile(r"(://[^\s/:@'\"]*:)[^\s'\"]*@")
_PASSWORD_WORD = re.compile(r"(password['\"]?\s*[=:]\s*['\"]?)[^\s'\"&,)}]+", re.IGNORECASE)
