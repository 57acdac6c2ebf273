"""Database URLs: of SQLite files, with secrets masked, and checked before use."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote, unquote_plus, urlsplit

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from tunecli.errors import PlaceError


def sqlite_url(path: Path) -> str:
    """Return the database URL of a SQLite file; its path may hold any characters."""
    return URL.create("sqlite", database=str(path)).render_as_string(hide_password=False)


def sqlite_file(url: str) -> Path | None:
    """Return the file that a SQLite URL names; None for a database on a server."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite" or not parsed.database:
        return None
    name = parsed.database
    return Path(unquote(urlsplit(name).path) if name.startswith("file:") else name)


_HIDDEN = "***"
_USERINFO = re.compile(r"([^:/]*://[^/:@]*:)(.*)@", re.DOTALL)
"""User and password; the password may hold an `@`, `/` or `?` that should have been encoded."""
_ENTRY = re.compile(r"([?&]([^=&]*)=)([^&]*)")
_SECRET = re.compile(r"pass(?!file)|pwd|secret|token|credential|auth|dsn|connect\Z", re.IGNORECASE)
"""Matches names in a URL's query whose values are secret."""
_SHORTEST = 3
"""Length in characters; shorter secrets occur in any text by chance."""


def without_password(url: str) -> str:
    """Return the URL with its secrets masked; the URL may be malformed."""
    userinfo = _USERINFO.match(url)
    start = f"{userinfo[1]}{_HIDDEN}" if userinfo else ""
    rest = url[userinfo.end(2) :] if userinfo else url
    return start + _ENTRY.sub(
        lambda entry: f"{entry[1]}{_HIDDEN}" if _is_secret(entry[2]) else entry[0], rest
    )


def has_secret(url: str) -> bool:
    """Return whether a URL holds anything that must not be shown."""
    return without_password(url) != url


def masked(text: str, url: str) -> str:
    """Return the text of a database or driver with the secrets of its URL masked."""
    userinfo = _USERINFO.match(url)
    rest = url[userinfo.end(2) :] if userinfo else url
    written = [entry[3] for entry in _ENTRY.finditer(rest) if _is_secret(entry[2])]
    written += [userinfo[2]] if userinfo else []
    forms = {meant(secret) for secret in written for meant in (str, unquote, unquote_plus)}
    for form in sorted(forms, key=len, reverse=True):
        text = text.replace(form, _HIDDEN) if len(form) >= _SHORTEST else text
    return text


def _is_secret(name: str) -> bool:
    return _SECRET.search(unquote(name)) is not None


def display_url(url: str) -> str:
    """Return the name of a database for the screen: the file, or the URL without its password."""
    path = sqlite_file(url)
    return without_password(url) if path is None else str(path)


def refuse_unusable(url: str) -> None:
    """Refuse a URL that cannot store a study.

    Raises:
        PlaceError: it is not a URL, SQLAlchemy does not support the database, its driver is not
            installed, or it names a database in memory or a folder.
    """
    try:
        parsed = make_url(url)
        parsed.get_dialect().import_dbapi()
    except NoSuchModuleError:
        raise PlaceError(
            f"--storage: SQLAlchemy does not support the database `{parsed.drivername}`. "
            "Use sqlite, postgresql or mysql."
        ) from None
    except ArgumentError:
        given = "" if "@" in url or has_secret(url) else f", got {url!r}"
        raise PlaceError(
            "--storage must be a database URL such as sqlite:///studies.db or "
            f"postgresql://user@host/name{given}."
        ) from None
    except ValueError:  # from what should be a port, but may be the end of a password
        raise PlaceError(
            f"--storage {without_password(url)}: the port must be a whole number. In a password, "
            "write @, : and / as %40, %3A and %2F."
        ) from None
    except ImportError as error:
        raise PlaceError(
            f"--storage {without_password(url)} needs the Python package {error.name}, which is "
            "not installed. Install it, or name another driver, such as mysql+pymysql://."
        ) from None
    if parsed.get_backend_name() == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise PlaceError(
            "--storage: an SQLite database in memory is lost when the search ends. "
            "Name a file, such as sqlite:///studies.db."
        )
    path = sqlite_file(url)
    if path is not None and path.exists() and not path.is_file():
        kind = "a folder" if path.is_dir() else "not a file"
        raise PlaceError(
            f"--storage {url}: {path} is {kind}. Name a file, such as "
            f"sqlite:///{path / 'studies.db' if path.is_dir() else 'studies.db'}."
        )
