"""The studies of a folder or a database as a table."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from rich.console import Group, RenderableType
from rich.text import Text

from tunecli.database.urls import sqlite_url
from tunecli.report.phrases import foreign_text, wording
from tunecli.report.phrases.layout import folded, plain_table
from tunecli.report.studies.listing import StudyListing

_WORDS = {
    "complete": "complete",
    "pruned": "pruned",
    "fail": "failed",
    "running": "running or interrupted",
    "waiting": "waiting",
}


def render_listing(listings: Sequence[StudyListing], where: str) -> RenderableType:
    """Return all studies of a folder or a database as a table, one per row."""
    if not listings:
        return Text(f"There are no studies in {foreign_text.plain(where)}.")
    columns = map(folded, ("study", "trials", "best", "last active (UTC)"))
    errors = [
        Text(
            f"{foreign_text.plain(listing.name)}: {foreign_text.plain(listing.error)}",
            style="yellow",
        )
        for listing in listings
        if listing.error
    ]
    copies = [_copy_line(one.name, one.elsewhere) for one in listings if one.elsewhere]
    return Group(plain_table([*columns], map(_cells, listings)), *errors, *copies)


def _copy_line(name: str, file: Path) -> Text:
    """Return the command that reads a study whose folder has another name."""
    command = shlex.join(["tunecli", "report", name, "--storage", sqlite_url(file)])
    folder = foreign_text.plain(str(file.parent))
    sentence = f"{folder} contains a study named {foreign_text.plain(name)}. To read it:"
    return Text(f"{sentence}\n  {foreign_text.plain(command)}")


def _cells(listing: StudyListing) -> list[str | Text]:
    where = f" (in {listing.elsewhere.parent.name})" if listing.elsewhere else ""
    name = Text(foreign_text.plain(listing.name + where), style="bold")
    if listing.error:
        return [name, Text("unreadable", style="yellow"), "–", "–"]
    counts = dict(listing.n_by_state)
    ordered = {word: counts[state] for state, word in _WORDS.items() if state in counts}
    best = f"{foreign_text.plain(listing.metric)} {wording.score(listing.best)}"
    when = f"{listing.last_activity:%Y-%m-%d %H:%M}" if listing.last_activity else "–"
    best = best if listing.best is not None else "–"
    return [name, wording.tally(ordered) or "none yet", best, when]
