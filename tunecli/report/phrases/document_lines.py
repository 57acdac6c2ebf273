"""Say in words what text a language model learns from, and what is held out of it."""

from __future__ import annotations

from tunecli.data.rows.summary import DataSummary
from tunecli.report.phrases.foreign_text import plain
from tunecli.study_file.settings.units import with_unit
from tunecli.study_file.text.counts import count


def documents_text(summary: DataSummary) -> str:
    """Return the source and its text: `corpus.txt: one text, 1.1 MB, language modeling`."""
    documents = "one text" if summary.is_one_text else count(summary.n_rows, "document")
    size = with_unit("size", summary.text_bytes)
    return f"{plain(summary.source)}: {documents}, {size}, language modeling"


def held_out_text(summary: DataSummary) -> str:
    """Return what is held out for the test: `the last 10.0% of the text`, `20 documents`."""
    if not summary.n_test:
        return "no text held out, all of it used for the search"
    if summary.is_one_text:
        share = summary.n_test / summary.n_rows
        return f"the last {share:.1%} of the text held out, the rest used for the search"
    documents = count(summary.n_test, "document")
    return f"{documents} held out, {summary.n_search:,} used for the search"
