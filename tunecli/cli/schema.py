from __future__ import annotations

from tunecli.cli.shared.streams import put


def schema() -> None:
    """Print the JSON Schema of study files, for editors.

    Example: tunecli schema > studies/study.schema.json
    """
    import json

    from tunecli.study_file.json_schema import json_schema

    put(json.dumps(json_schema(), indent=2, ensure_ascii=False))
