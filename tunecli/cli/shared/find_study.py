"""Find the study that a command names, and the options that the next command needs for it."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from tunecli.cli.shared.options import STORAGE
from tunecli.cli.shared.streams import say
from tunecli.search.study.named_study import existing_study, record_at, study_at

__all__ = ["display_storage", "existing_study", "options_again", "record_at", "study_at"]

PASSWORD = "PGPASSWORD"
"""The environment variable from which PostgreSQL's client reads a password."""


def display_storage(url: str) -> str:
    from tunecli.database.urls import display_url

    return display_url(url)


def options_again(runs: Path, storage: str | None) -> str:
    """Return the options with which the next command finds the same study.

    Passwords stay in the environment.
    """
    words = ["--runs", str(runs)] if runs != Path("runs") else []
    if not storage or os.environ.get(STORAGE) == storage:
        return shlex.join(words)

    from tunecli.database.urls import display_url, has_secret, url_for_the_screen

    if not has_secret(storage):
        return shlex.join([*words, "--storage", storage])
    shown = url_for_the_screen(storage)
    if shown is not None:
        if PASSWORD not in os.environ:
            say(
                "The commands below omit the password of --storage. Keep the password in "
                "~/.pgpass, or first run this line and type the password:\n"
                f"  read -rs {PASSWORD}; export {PASSWORD}"
            )
        return shlex.join([*words, "--storage", shown])
    say(
        f"{display_url(storage)} contains a password, so the commands below omit the URL and read "
        f"it from the environment. First run:\n  export {STORAGE}=…"
    )
    return shlex.join(words)
