"""Run the command `tunecli`."""

# No `from __future__`: Python would also look for that module in the current folder.


def main() -> None:
    """Guard the import path, handle signals, guard the streams, then load and run the command."""
    from tunecli.import_path import leave_out_the_current_folder

    leave_out_the_current_folder()

    from tunecli.signals import leave_at_once

    leave_at_once()

    from tunecli.standard_streams import guard

    guard()

    from tunecli.cli import main as run

    run()


if __name__ == "__main__":
    main()
