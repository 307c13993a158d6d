"""Whether the documents of an `ltspec.yml` are a configuration; `ltspec.config` reads it."""

from collections.abc import Sequence

from ltspec.spec import schema
from ltspec.spec.problems import Problem
from ltspec.spec.reading import Document

CONFIG_NAME = "ltspec.yml"


def configuration_problems(documents: Sequence[Document]) -> list[Problem]:
    """What is wrong with them, against config.schema.json."""
    problems: list[Problem] = []
    if len(documents) > 1:
        problems.append(documents[1].problem("LT701", "a second document in a configuration",
                                             hint="keep one"))
    for document in documents[:1]:
        if not schema.accepts("config")(document.value):
            from ltspec.spec.findings import findings

            problems += [
                document.problem(found.code, found.message, found.path, key=found.at_key,
                                 hint=found.hint)
                for found in findings(document.value, "config")
            ]
    return problems
