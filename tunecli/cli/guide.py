import os
import re
import signal
import sys
from typing import Annotated

from typer import Argument

from tunecli.cli.shared.streams import console, print_result, say
from tunecli.guide.topics import TOPICS, topic_text

_COLUMNS = 100
"""Longer lines are hard to read."""


def _topics_like(incomplete: str) -> list[tuple[str, str]]:
    """Return topics and their sentences, for completion in the shell."""
    return [item for item in TOPICS.items() if item[0].startswith(incomplete)]


def guide(
    topic: Annotated[
        str | None,
        Argument(
            help="What to read about; without it, all topics are listed.",
            autocompletion=_topics_like,
            show_default=False,
        ),
    ] = None,
) -> None:
    """Read the guide, topic by topic.

    Example: tunecli guide study-file
    """
    if topic is None:
        width = max(map(len, TOPICS))
        print_result("\n".join(f"{name:<{width}}  {line}" for name, line in TOPICS.items()))
        if sys.stdout.isatty():
            say("\nRead one: tunecli guide TOPIC")
        return
    text = topic_text(topic)
    if sys.stdout.isatty():
        _page(text)
    else:
        print_result(text, end="")


def _page(text: str) -> None:
    """Show Markdown in the user's pager; Ctrl-C is the pager's meanwhile."""
    from rich.markdown import Markdown

    out = console(stderr=False)
    out.width = min(out.width, _COLUMNS)
    os.environ.setdefault("LESS", "FRX")  # colours, and no paging of what fits on the screen
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        with out.pager(styles=True):
            out.print(Markdown(_without_local_links(text), code_theme="ansi_dark"))
    finally:
        signal.signal(signal.SIGINT, before)


def _without_local_links(text: str) -> str:
    """Return the text with links to other topics as their words: a terminal cannot follow them."""
    return re.sub(r"\[([^]]+)\]\((?!https?:)[^)]*\)", r"\1", text)
