"""URLs of databases: of a SQLite file, as they may be shown, and whether they can be used."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from tunecli.errors import PlaceError


def sqlite_url(path: Path) -> str:
    """The database URL of a SQLite file, whatever characters its path holds."""
    return URL.create("sqlite", database=str(path)).render_as_string(hide_password=False)


def sqlite_file(url: str) -> Path | None:
    """The file behind a SQLite URL; None for a database on a server."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite" or not parsed.database:
        return None
    name = parsed.database
    return Path(unquote(urlsplit(name).path) if name.startswith("file:") else name)


def without_password(url: str) -> str:
    """The URL as it may be shown and logged."""
    return make_url(url).render_as_string(hide_password=True)


def shown(url: str) -> str:
    """How a database is called on screen: the file, or the URL without its password."""
    path = sqlite_file(url)
    return without_password(url) if path is None else str(path)


def refuse_unusable(url: str) -> None:
    """Let only URLs pass that a study can be stored at.

    Raises:
        PlaceError: it is no URL, of no database that SQLAlchemy knows, without an installed
            driver, in memory, or a folder.
    """
    try:
        parsed = make_url(url)
        parsed.get_dialect().import_dbapi()
    except NoSuchModuleError:
        raise PlaceError(
            f"--storage: SQLAlchemy knows no kind of database `{parsed.drivername}`. "
            "Use sqlite, postgresql or mysql."
        ) from None
    except ArgumentError:
        given = "" if "@" in url else f", got {url!r}"  # it may hold a password
        raise PlaceError(
            "--storage takes a database URL, as sqlite:///studies.db or "
            f"postgresql://user@host/name{given}."
        ) from None
    except ImportError as error:
        raise PlaceError(
            f"--storage {without_password(url)} needs the Python package {error.name}, which is "
            "not installed. Install it, or name another driver, as mysql+pymysql://."
        ) from None
    if parsed.get_backend_name() == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise PlaceError(
            "--storage: an SQLite database in memory is gone when the search ends. "
            "Name a file, as sqlite:///studies.db."
        )
    path = sqlite_file(url)
    if path is not None and path.exists() and not path.is_file():
        kind = "a folder" if path.is_dir() else "not a file"
        raise PlaceError(
            f"--storage {url}: {path} is {kind}. An SQLite database is a file, as "
            f"sqlite:///{path / 'studies.db' if path.is_dir() else 'studies.db'}."
        )
