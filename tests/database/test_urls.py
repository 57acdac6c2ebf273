from __future__ import annotations

import sqlite3
from pathlib import Path
from urllib.parse import quote, quote_plus

import optuna
import pytest
from commands import call_in
from hypothesis import example, given
from hypothesis import strategies as st

from tunecli.cli.shared.find_study import options_again
from tunecli.database.engines import open_engine
from tunecli.database.urls import (
    display_url,
    has_secret,
    masked,
    refuse_unusable,
    sqlite_file,
    sqlite_url,
    without_password,
)
from tunecli.errors import DatabaseError, PlaceError
from tunecli.search.study.study_folder import StudyFolder

SECRET = "postgresql://me:secret@host/base"


@pytest.mark.parametrize("name", ["plain", "what? #1", "50%41", "a&b=c", "ünïcode", "a:b@c"])
def test_a_path_comes_back_from_its_url(tmp_path: Path, name: str) -> None:
    path = tmp_path / name / "study.db"
    assert sqlite_file(sqlite_url(path)) == path
    assert display_url(sqlite_url(path)) == str(path)


def test_optuna_opens_the_file_whatever_the_folder_is_called(tmp_path: Path) -> None:
    place = StudyFolder(tmp_path / "what? #1 50%41", "digits")
    place.folder.mkdir(parents=True)
    optuna.create_study(storage=place.url, study_name="digits")
    connection = sqlite3.connect(place.folder / "study.db")
    assert connection.execute("SELECT study_name FROM studies").fetchall() == [("digits",)]
    connection.close()


def test_a_sqlite_uri_names_its_file() -> None:
    assert sqlite_file("sqlite:///file:/a%20b/c.db?mode=ro&uri=true") == Path("/a b/c.db")


def test_a_server_has_no_file() -> None:
    assert sqlite_file(SECRET) is None


def test_a_password_is_never_shown() -> None:
    assert without_password(SECRET) == display_url(SECRET) == "postgresql://me:***@host/base"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("nonsense", r"must be a database URL such as .* got 'nonsense'"),
        ("me:secret@nonsense", r"must be a database URL such as [^']+\.$"),
        ("nonsense://host/db", "does not support the database `nonsense`"),
        ("mysql://me:secret@host/db", r"mysql://me:\*\*\*@host/db needs the Python package"),
        ("sqlite://", "in memory is lost"),
        ("sqlite:///:memory:", "in memory is lost"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused(url: str, message: str) -> None:
    with pytest.raises(PlaceError, match=message):
        refuse_unusable(url)


@pytest.mark.parametrize("path", ["folder", "/dev/null"])
def test_what_is_no_file_is_no_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path)
    kind = "a folder" if path == "folder" else "not a file"
    with pytest.raises(PlaceError, match=rf"^--storage sqlite:///{path}: {path} is {kind}\."):
        refuse_unusable(f"sqlite:///{path}")


PASSWORDS = ["secret", "s@cret", "s/cr:et", "s?cr&t=x", "sé cret+", "%41%42secret", "a" * 200]


def written(password: str) -> list[str]:
    """URLs with a password in every place that databases read one from."""
    encoded = quote(password, safe="")
    places = [f"postgresql://me:{form}@host:5432/base" for form in (password, encoded)]
    places += [f"postgresql+psycopg2://me:{encoded}@[::1]/base?sslmode=require"]
    names = ("password", "sslpassword", "PASSWORD", "passwd", "pwd", "%70assword", "ssl_password")
    places += [f"postgresql://me@host/base?x=y&{name}={encoded}&z=1" for name in names]
    places += [f"postgresql://me@host:port/base?password={encoded}"]
    places += [f"postgresql://me:{encoded}@host:port/base", f"nonsense://me:{encoded}@host/base"]
    return [*places, f"mssql+pyodbc://?odbc_connect=PWD%3D{encoded}", f"me:{encoded}@nonsense"]


@pytest.mark.parametrize("password", PASSWORDS)
def test_a_password_is_hidden_wherever_a_url_has_one(password: str) -> None:
    for url in written(password):
        shown_text = "" if "://" not in url else without_password(url)
        try:
            refuse_unusable(url)
        except PlaceError as error:
            shown_text += str(error)
        for form in (password, quote(password, safe=""), quote_plus(password)):
            assert form not in shown_text, url


SEPARATORS = st.text(alphabet=";#?&,/:| \t", min_size=1, max_size=3)
NAMES = st.sampled_from(["password", "PWD", "sslpassword", "x=1;passwd", "token", "%70assword"])
HOSTS = st.sampled_from(["host", "host:5432", "[::1]:5432", "me@host", "me@corp.com@host", ""])
SECRETS = st.tuples(st.text(alphabet=";#?/:@", max_size=3), st.text(alphabet=";#?/:", max_size=3))


@given(SEPARATORS, NAMES, HOSTS, SECRETS)
def test_a_named_password_is_hidden_behind_whatever_separates_it(
    separator: str, name: str, host: str, around: tuple[str, str]
) -> None:
    password = f"qzq{around[0].replace('@', '')}qzq{around[1]}qzq"
    start = f"postgresql://{host}"
    for url in (
        f"{start}/base{separator}{name}={password}",
        f"{start}{separator}{name}={password}&x=1",
        f"{start}/base?x=y{separator}{name}={password}{separator}",
        f"postgresql:{separator}{name}={password}",
        f"host=h{separator}{name}={password}",
    ):
        hidden_everywhere("qzq", url)


@example(":", "me", ("", "://"))  # which looks like the end of a scheme
@example(";", "me", ("", "://"))
@given(st.sampled_from(":;#?&"), st.sampled_from(["me", "me@corp.com", "", "m%40e"]), SECRETS)
def test_and_before_a_host_or_in_place_of_its_port(
    separator: str, user: str, around: tuple[str, str]
) -> None:
    password = f"qzq{around[0]}qzq{around[1]}qzq"
    hidden_everywhere("qzq", f"postgresql://{user}{separator}{password}@host:5432/base")
    hidden_everywhere("qzq", f"postgresql://{user}:qzq{around[1].replace('/', '')}qzq/base")
    hidden_everywhere("qzq", f"{user}{separator}{password}@host")


def hidden_everywhere(secret: str, url: str) -> None:
    told = without_password(url) if "://" in url else ""
    try:
        refuse_unusable(url)
    except PlaceError as error:
        told += str(error)
    assert secret not in told
    assert "://" not in url or secret not in masked(f"cannot connect to {url}", url)


@pytest.mark.parametrize("password", PASSWORDS)
def test_and_from_what_a_driver_says_of_it(password: str) -> None:
    for url in written(password)[1:-2]:
        told = f'connection "{password}" ({quote(password, safe="")}) failed for user me'
        assert masked(told, url) == 'connection "***" (***) failed for user me'


@pytest.mark.parametrize(
    "url",
    [
        *("postgresql://me@host/base", "postgresql://host:5432/base?sslmode=require"),
        *("sqlite:////a:b@c/study.db", "sqlite:////my secrets=1/a;b#c@d/study.db"),
        *("postgresql://me@[::1]/base", "postgresql://me@token.host:5432/base?x=1#y"),
        *("sqlite:///x?timeout=5", "mysql://h/b?passfile=/x"),
    ],
)
def test_a_url_without_a_password_is_shown_as_it_is(url: str) -> None:
    assert without_password(url) == url
    assert not has_secret(url)
    assert masked("host me x base", url) == "host me x base"


@pytest.mark.parametrize("command", ["search", "report", "remove", "refit", "next", "dashboard"])
def test_no_command_tells_a_password(tmp_path: Path, command: str) -> None:
    (tmp_path / "a.yaml").write_text("data: digits\nmodel: MLP\noptimizer: AdamW\n")
    name = "a.yaml" if command == "search" else "a"
    for url in ("postgresql://me:secret@host:port/base", "postgresql://host:x/b?password=secret"):
        done = call_in(tmp_path, command, name, "--storage", url, code=2)
        assert "secret" not in done.stdout + done.stderr
        assert "the port must be a whole number" in done.stderr


def test_what_a_driver_does_not_take_is_said_without_the_password(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/a.db?timeout=soon&password=secret"
    with pytest.raises(DatabaseError, match=r"a\.db cannot be opened: .*'soon'") as error:
        open_engine(url)
    assert "secret" not in str(error.value)


def test_a_command_to_copy_leaves_a_password_to_the_environment(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("TUNECLI_STORAGE", raising=False)
    monkeypatch.delenv("PGPASSWORD", raising=False)
    for url in ("mysql+pymysql://me:secret@host/base", f"{SECRET}?sslpassword=secret"):
        assert options_again(Path("r"), url) == "--runs r"
        told = capsys.readouterr().err
        assert "export TUNECLI_STORAGE=" in told
        assert "secret" not in told
    monkeypatch.setenv("TUNECLI_STORAGE", SECRET)
    assert options_again(Path("runs"), SECRET) == ""
    assert capsys.readouterr().err == ""
    assert options_again(Path("runs"), "sqlite:///a.db") == "--storage sqlite:///a.db"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (SECRET, "postgresql://me@host/base"),
        ("postgresql+psycopg://me@host/b?password=secret", "postgresql+psycopg://me@host/b"),
        ("postgresql+psycopg2://me:s%40@[::1]:1/b", "'postgresql+psycopg2://me@[::1]:1/b'"),
    ],
)
def test_a_command_for_postgresql_names_the_server_and_leaves_the_password_to_its_client(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], url: str, shown: str
) -> None:
    monkeypatch.delenv("TUNECLI_STORAGE", raising=False)
    monkeypatch.delenv("PGPASSWORD", raising=False)
    assert options_again(Path("runs"), url) == f"--storage {shown}"
    told = capsys.readouterr().err
    assert "read -rs PGPASSWORD; export PGPASSWORD" in told
    assert "secret" not in told
    monkeypatch.setenv("PGPASSWORD", "secret")
    assert options_again(Path("runs"), url) == f"--storage {shown}"
    assert capsys.readouterr().err == ""
