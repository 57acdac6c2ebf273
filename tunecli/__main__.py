"""The console script."""

from __future__ import annotations

from tunecli.signals import leave_at_once


def main() -> None:
    """Hear signals before anything heavy is imported, guard the streams, run the command."""
    leave_at_once()
    from tunecli.standard_streams import guard

    guard()
    from tunecli.cli import main as run

    run()


if __name__ == "__main__":
    main()
