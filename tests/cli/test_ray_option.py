"""`--ray` with and without an address, and what is refused before anything starts."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import pytest
from commands import call_in

from tunecli.cli.search import with_addresses

STUDY = "data: iris\nmodel: MLP\noptimizer: AdamW\nsearch: {trials: 1}\n"


@pytest.fixture(autouse=True)
def _study(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(STUDY)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["s.yaml", "--ray"], "local"),
        (["--ray", "s.yaml"], "local"),
        (["s.yaml", "--ray", "--jobs", "2"], "local"),
        (["s.yaml", "--ray", "auto", "--jobs", "2"], "auto"),
        (["--ray", "10.0.0.1:6379", "s.yaml"], "10.0.0.1:6379"),
        (["--ray=auto", "s.yaml"], "auto"),
    ],
)
def test_the_address_may_be_left_out(words: list[str], expected: str) -> None:
    given = " ".join(with_addresses(words)).replace("=", " ").split()
    assert given[given.index("--ray") + 1] == expected
    assert given.count("s.yaml") == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--cpus-per-job", "2"], "--cpus-per-job and --gpus-per-job require --ray."),
        (["--ray", "--jobs-per-gpu", "2"], "--ray and --jobs-per-gpu are mutually exclusive."),
        (["--ray", "--gpus-per-job", "1.5"], "--gpus-per-job 1.5 must be a whole number"),
        (["--ray", "--cpus-per-job", "0"], "--cpus-per-job 0 requires a --gpus-per-job above 0."),
    ],
)
def test_options_that_contradict_each_other(
    words: list[str], message: str, tmp_path: Path
) -> None:
    told = call_in(tmp_path, "search", "study.yaml", *words, code=2).stderr
    assert message.split()[0] in told
    assert not (tmp_path / "runs").exists()


@pytest.mark.filterwarnings("ignore")  # Ray's own
@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("here", "--ray here: expected auto or HOST:PORT."),
        ("127.0.0.1:1", "--ray 127.0.0.1:1: no Ray answers there (Connection refused)."),
        ("ray://127.0.0.1:1", "Run the command on a node of the cluster, with --ray auto."),
    ],
)
def test_an_address_without_a_cluster_is_one_line(
    address: str, message: str, tmp_path: Path
) -> None:
    told = call_in(tmp_path, "search", "study.yaml", "--ray", address, code=2).stderr
    assert message in told
    assert len(told.splitlines()) == 2
    assert not list(tmp_path.glob("runs/study/*.db"))


def test_a_missing_ray_is_one_line_with_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def absent(name: str, *rest: Any) -> Any:
        if name == "ray":
            raise ModuleNotFoundError("no ray", name="ray")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", absent)
    told = call_in(tmp_path, "search", "study.yaml", "--ray", code=2).stderr
    assert "The Python package ray is not installed: pip install 'tunecli[ray]'" in told
