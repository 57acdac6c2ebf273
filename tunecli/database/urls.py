"""Database URLs: of SQLite files, with secrets masked, and checked before use."""

from __future__ import annotations

import re
from collections.abc import Iterator
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
_USERINFO = re.compile(r"(?:[\w+.-]*://|(?![\w+.-]*://))[^/:;#?&]*[:;#?&](.*)@", re.DOTALL)
"""User and password, behind a scheme or without one.

The password may hold an `@`, `/`, `?` or `://` that should have been encoded.
"""
_PORT = re.compile(r"[^:/]*://[^/?]*?:(?!\d*(?:[/?]|\Z))([^\]]*?)(?=[?&][^?&=]+=|\Z)", re.DOTALL)
"""A port that is not a number, with what follows: it may be a password whose `@` is missing."""
_NAME = re.compile(r"([^?&;#=\s]*)=")
_VALUE = re.compile(r"[^&]*(?:&[^=&]*(?=&|\Z))*")
"""A value with what should have been encoded, such as an `&` before what has no name."""
_SECRET = re.compile(r"pass(?!file)|pwd|secret|token|credential|auth|dsn|connect\Z", re.IGNORECASE)
"""Matches names in a URL's query whose values are secret."""
_PLAIN = re.compile(r"(\w+:/)?[\w./-]*")
_SHORTEST = 3
"""Length in characters; shorter secrets occur in any text by chance."""


def without_password(url: str) -> str:
    """Return the URL with its secrets masked; the URL may be malformed."""
    masked_url, done = "", 0
    for start, end in sorted(_secrets(url)):
        masked_url += url[done:start] + _HIDDEN if start >= done else ""  # else within the last
        done = max(done, end)
    return masked_url + url[done:]


def has_secret(url: str) -> bool:
    """Return whether a URL holds anything that must not be shown."""
    return without_password(url) != url


def masked(text: str, url: str) -> str:
    """Return the text of a database or driver with the secrets of its URL masked."""
    written = [url[start:end] for start, end in _secrets(url)]
    forms = {meant(secret) for secret in written for meant in (str, unquote, unquote_plus)}
    for form in sorted(forms, key=len, reverse=True):
        text = text.replace(form, _HIDDEN) if len(form) >= _SHORTEST else text
    return text


def _secrets(url: str) -> Iterator[tuple[int, int]]:
    """Where a URL holds what nobody may see, also one that is separated as it should not be."""
    if user := _USERINFO.match(url) or _PORT.match(url):
        yield user.span(1)
    is_file = url.startswith("sqlite")  # which may be called anything
    start = len(re.split("[?&;#]", url, maxsplit=1)[0]) if is_file else 0
    while name := _NAME.search(url, start):
        start = name.end()
        if _SECRET.search(unquote(name[1])) and (value := _VALUE.match(url, start)):
            yield value.span()
            start = value.end()


def url_for_the_screen(url: str) -> str | None:
    """Return a URL without its password, which PostgreSQL's own client finds elsewhere, or None.

    The client reads `PGPASSWORD`, the user's password file or a service file. None: another
    database, or a URL with further secrets.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() != "postgresql" or "psycopg" not in parsed.get_driver_name():
        return None
    bare = URL.create(
        *(parsed.drivername, parsed.username, None, parsed.host, parsed.port, parsed.database),
        query={name: value for name, value in parsed.query.items() if name != "password"},
    )
    shown = bare.render_as_string(hide_password=False)
    return None if has_secret(shown) else shown


def display_url(url: str) -> str:
    """Return the name of a database for the screen: the file, or the URL without its password."""
    path = sqlite_file(url)
    return without_password(url) if path is None else str(path)


_DRIVER = (
    "Install it (for PostgreSQL: pip install 'tunecli[postgres]', and write "
    "postgresql+psycopg://), or name another driver, such as mysql+pymysql://."
)


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
        given = f", got {url!r}" if _PLAIN.fullmatch(url) else ""
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
        needed = f"{without_password(url)} needs the Python package {error.name or error}"
        raise PlaceError(f"--storage {needed}, which is not installed. {_DRIVER}") from None
    if parsed.get_backend_name() == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise PlaceError(
            "--storage: an SQLite database in memory is lost when the search ends. "
            "Name a file, such as sqlite:///studies.db."
        )
    path = sqlite_file(url)
    if path is not None and path.exists() and not path.is_file():
        kind = "a folder" if path.is_dir() else "not a file"
        raise PlaceError(
            f"--storage {without_password(url)}: {path} is {kind}. Name a file, such as "
            f"sqlite:///{path / 'studies.db' if path.is_dir() else 'studies.db'}."
        )
