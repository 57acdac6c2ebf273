"""Item 14: a damaged or hostile study database is told in a line, and runs no code."""

from __future__ import annotations

import os
import pickle
import random
import re
import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from commands_in_process import FormulaExecutor, Told, run

from tunecli.search.workers.executor import EXECUTORS

pytestmark = pytest.mark.slow

SEED = 20260
STUDY = """
data: digits
validation: {folds: 2}
model: {MLP: {width: {int: [8, 256], log: true}, depth: 1}}
optimizer:
  choice:
    SGD: {lr: {float: [1e-4, 1], log: true}}
    AdamW: {lr: {float: [1e-4, 1], log: true}, weight_decay: {float: [1e-4, 1], or: 0}}
training: {epochs: 9, early_stopping: none}
objective: {maximize: accuracy}
search: {trials: 12, parallel: 4, pruner: Median, sampler: TPE}
"""
COMMANDS = (
    ("report",),
    ("report", "digits"),
    ("report", "digits", "--json"),
    ("report", "digits", "--csv"),
    ("report", "digits", "--trial", "3"),
    ("search", "digits.yaml", "--trials", "14", "--jobs", "1"),
)
DATABASE = Path("runs", "digits", "study.db")
HOSTILE = "\x1b[31m\x1b]0;title\x07[bold red]x[/bold red]\x9b2J\r\x00\u202e"
ODD_VALUES: tuple[object, ...] = (
    *(None, "", "x", "{", "[]", "{}", "[1]", "null", "true", "1e999", "NaN", '"a"', "[[[[]]]]"),
    *(-1, 0, 1, 2**40, 2**63 - 1, 1e308, float("inf"), b"\xff\xfe\x00", '{"a": 1}'),
    *("9" * 5000, "[" * 100_000, "COMPLETE", "RUNNING", "WAITING", "../../x", HOSTILE),
)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a study of twelve trials."""
    folder = tmp_path_factory.mktemp("original")
    (folder / "digits.yaml").write_text(STUDY)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(EXECUTORS, "local", FormulaExecutor)
        told = run(folder, "search", "digits.yaml", "--jobs", "1")
    assert told.code == 0, told
    return folder


@pytest.fixture
def folder(original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, below a folder in which nothing else is."""
    monkeypatch.setitem(EXECUTORS, "local", FormulaExecutor)
    monkeypatch.setenv("COLUMNS", "100")
    shutil.copytree(original, tmp_path / "mine")
    return tmp_path / "mine"


def survive(folder: Path, what: str) -> Counter[int]:
    """Run every command on what is there; all of them must keep their manners."""
    codes: Counter[int] = Counter()
    for words in COMMANDS:
        before = (folder / DATABASE).read_bytes()
        told = run(folder, *words)
        codes[told.code] += 1
        assert not told.bug, f"{what}: {told}"
        assert told.code in (0, 1, 2), f"{what}: {told}"
        if "--csv" not in words:  # exact where a program reads it
            assert_printable(told, what)
        if told.code != 0:
            said = [line for line in told.stderr.splitlines() if "reading the data" not in line]
            assert len(said) <= 2, f"{what}: {told}"
            assert (folder / DATABASE).read_bytes() == before, f"{what}: {told}"
    beside = {path.name for path in folder.parent.iterdir()}
    assert beside <= {folder.name}, "written outside"
    assert {path.name for path in folder.iterdir()} == {"digits.yaml", "runs"}
    assert {path.name for path in (folder / "runs").iterdir()} == {"digits"}
    return codes


def assert_printable(told: Told, what: str) -> None:
    letters = set(told.stdout + told.stderr) - {"\n"}
    odd = [letter for letter in letters if not letter.isprintable()]
    assert not odd, f"{what}: {odd} of {told}"


def sentence(codes: Counter[int]) -> str:
    return ", ".join(f"{n} × exit {code}" for code, n in sorted(codes.items()))


def test_flipped_bits_and_torn_files(
    folder: Path, n_faults: Callable[[int], int], figure: Callable[[str], None]
) -> None:
    generator = random.Random(SEED)
    whole = (folder / DATABASE).read_bytes()
    codes: Counter[int] = Counter()
    for number in range(n_faults(500)):
        damaged = bytearray(whole)
        if generator.random() < 0.7:
            for _ in range(generator.choice([1, 1, 4, 32])):
                damaged[generator.randrange(len(damaged))] ^= 1 << generator.randrange(8)
        else:
            del damaged[generator.randrange(len(damaged)) :]
        (folder / DATABASE).write_bytes(damaged)
        codes += survive(folder, f"damage {number} of seed {SEED}")
    figure(f"{n_faults(500)} flips and truncations, seed {SEED}: 0 tracebacks, {sentence(codes)}")


def test_cells_of_another_kind(
    folder: Path, n_faults: Callable[[int], int], figure: Callable[[str], None]
) -> None:
    generator = random.Random(SEED)
    whole = (folder / DATABASE).read_bytes()
    columns = [column for column in all_columns(folder / DATABASE) if column[1] != "study_id"]
    codes: Counter[int] = Counter()
    for _ in range(n_faults(500)):
        (folder / DATABASE).write_bytes(whole)
        (table, column), value = generator.choice(columns), generator.choice(ODD_VALUES)
        what = f"{table}.{column} = {str(value)[:20]!a}"
        with closing(sqlite3.connect(folder / DATABASE)) as connection:
            some = generator.choice(["1", f"rowid % 7 = {generator.randrange(7)}"])
            try:
                connection.execute(f"UPDATE {table} SET {column} = ? WHERE {some}", (value,))
                connection.commit()
            except sqlite3.IntegrityError:
                continue  # SQLite itself does not take it
        codes += survive(folder, what)
    figure(f"{n_faults(500)} cells of a wrong kind, seed {SEED}: 0 tracebacks, {sentence(codes)}")


def all_columns(path: Path) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(path)) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        return [
            (table, column)
            for (table,) in tables.fetchall()
            for _, column, *_ in connection.execute(f"PRAGMA table_info({table})")
        ]


class Canary:
    """Whoever unpickles one makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("sampler", ["CmaEs", "TPE"])
def test_pickles_in_a_database_are_not_read(folder: Path, tmp_path: Path, sampler: str) -> None:
    canary = tmp_path / "canary"
    state = pickle.dumps(Canary(canary)).hex()
    with closing(sqlite3.connect(folder / DATABASE)) as connection:
        for key in ("cma:optimizer", "cma:optimizer:0", "cmaes:x:optimizer:0", "sep-cma:0"):
            connection.execute(
                "INSERT INTO trial_system_attributes (trial_id, key, value_json) "
                "SELECT trial_id, ?, ? FROM trials",
                (key, f'"{state}"'),
            )
            connection.execute(
                "INSERT INTO study_system_attributes (study_id, key, value_json) VALUES (1, ?, ?)",
                (key, f'"{state}"'),
            )
        connection.commit()
    (folder / "digits.yaml").write_text(STUDY.replace("TPE", sampler))
    assert survive(folder, sampler) == {0: len(COMMANDS)}
    assert not canary.exists()
    pickle.loads(bytes.fromhex(state))
    assert canary.exists(), "the pickle was none"


def hostile_texts(folder: Path) -> Iterator[str]:
    """Puts hostile text wherever the database holds text of a user."""
    for statement in (
        "UPDATE study_user_attributes SET value_json = json_object('metric', :x) "
        "WHERE key = 'tunecli:objective'",
        "UPDATE study_user_attributes SET value_json = json_quote(:x) WHERE key = 'tunecli:file'",
        "UPDATE study_user_attributes SET value_json = "
        "json_set(value_json, '$.source', :x, '$.classes[0]', :x, '$.validation', :x) "
        "WHERE key = 'tunecli:summary'",
        "UPDATE study_user_attributes SET value_json = json_object('torch', :x, :x, 1) "
        "WHERE key = 'tunecli:environment'",
        "UPDATE tunecli_trials SET reason = :x, traceback = :x, outcome = 'failed' "
        "WHERE number < 4",
        "UPDATE tunecli_trials SET metrics = json_object(:x, 0.5)",
        "UPDATE trial_params SET param_name = param_name || :x",
        "UPDATE trial_params SET distribution_json = "
        "json_set(distribution_json, '$.attributes.choices[0]', :x) "
        "WHERE distribution_json LIKE '%Categorical%'",
        "UPDATE studies SET study_name = study_name || :x",
    ):
        with closing(sqlite3.connect(folder / DATABASE)) as connection:
            assert connection.execute(statement, {"x": HOSTILE}).rowcount > 0, statement
            connection.commit()
        yield statement


def test_control_characters_and_markup_are_shown_and_not_obeyed(folder: Path) -> None:
    whole = (folder / DATABASE).read_bytes()
    for statement in hostile_texts(folder):
        survive(folder, statement)
        told = run(folder, "report", "digits", "--csv", on_terminal=True)
        assert_printable(told, statement)
        (folder / DATABASE).write_bytes(whole)


@pytest.mark.parametrize(
    "name", ["../../x", "/tmp/x", "..", ".hidden", "a/b", "x\x1b[31m", "[bold]x", "-rf", "a" * 300]
)
def test_a_name_leads_nowhere_else(folder: Path, tmp_path: Path, name: str) -> None:
    (folder / "digits.yaml").write_text(f"study: {json_text(name)}\n{STUDY}")
    for words in (
        ("search", "digits.yaml"),
        ("search", "digits.yaml", "--as", name),
        ("search", "digits.yaml", "--as", name, "--restart"),
        ("report", "digits.yaml"),
        ("report", "--", name),
        ("remove", "digits.yaml"),
        ("remove", "--", name),
    ):
        told = run(folder, *words)
        assert not told.bug, told
        assert_printable(told, " ".join(words))
    assert {path.name for path in tmp_path.iterdir()} == {"mine"}
    assert {path.name for path in folder.iterdir()} == {"digits.yaml", "runs"}
    made = {path.name for path in (folder / "runs").iterdir()} - {"digits"}
    assert all(re.fullmatch(r"-rf|\.trash", name) for name in made)


def json_text(text: str) -> str:
    return '"' + "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text) + '"'
