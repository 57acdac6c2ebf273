from tunecli.cli.shared.streams import print_result


def schema() -> None:
    """Print the JSON Schema of study files, for editors.

    Example: tunecli schema > studies/study.schema.json
    """
    import json

    from tunecli.study_file.json_schema import json_schema

    print_result(json.dumps(json_schema(), indent=2, ensure_ascii=False))
