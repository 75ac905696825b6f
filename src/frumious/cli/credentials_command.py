"""`credentials`: a line for the file of those who may read a private mirror."""

from __future__ import annotations

import argparse
import getpass
import secrets
import sys

from frumious.errors import UsageError
from frumious.server.access import TOKEN_BYTES, password_line, token_line
from frumious.sync.summary import ExitCode

SHORTEST = 8


def run_credentials(parsed: argparse.Namespace) -> int:
    """Print the line on standard output, and nothing else there."""
    try:
        if parsed.token:
            token = secrets.token_urlsafe(TOKEN_BYTES)
            line = token_line(parsed.name, token)
            print(f"the token, which is shown only now: {token}", file=sys.stderr)
        else:
            line = password_line(parsed.name, _password())
    except ValueError as error:
        raise UsageError(str(error)) from None
    print(line)
    return ExitCode.WHOLE


def _password() -> str:
    if not sys.stdin.isatty():
        password = sys.stdin.readline().rstrip("\r\n")
    else:
        password = getpass.getpass("password: ")
        if getpass.getpass("again: ") != password:
            raise UsageError("the two are not the same")
    if len(password) < SHORTEST:
        raise UsageError(f"a password has at least {SHORTEST} characters")
    return password
