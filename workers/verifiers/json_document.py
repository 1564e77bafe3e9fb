"""The `json_schema` signal: the text is a JSON document that a schema accepts."""

import json
from dataclasses import dataclass

from workers.verifiers.child import ChildFailed, ChildPool
from workers.verifiers.extraction import Extraction
from workers.verifiers.judgement import (
    AnswerKey,
    FinishReason,
    Judgement,
    accepted,
    failed,
    not_accepted,
    not_parsed,
)

MAX_CHARACTERS = 1_000_000
"""Of a document: beyond any completion."""


@dataclass(frozen=True, slots=True)
class JsonSchemaVerifier:
    """Accept a text that parses as JSON and satisfies the signal's schema, or one of the prompt's."""

    extraction: Extraction | None
    schema: str | None
    pool: ChildPool
    version: str = "json_schema/1"

    def judge(self, text: str, key: AnswerKey, finish_reason: FinishReason) -> Judgement:
        """Judge one completion: cut text that is not JSON yet is `truncated`, other such text `unparsed`."""
        found = text if self.extraction is None else self.extraction.find(text)
        if found is None:
            return not_parsed(finish_reason, "no answer found by `extract`")
        judgement = not_accepted(finish_reason, could_continue=False)
        for schema in [self.schema] if self.schema is not None else key.answers:
            judgement = self._judge(_bare(found), schema, finish_reason)
            if judgement.outcome != "incorrect":
                return judgement
        return judgement

    def _judge(self, text: str, schema: str, finish_reason: FinishReason) -> Judgement:
        if len(text) > MAX_CHARACTERS:
            return failed(f"a document of more than {MAX_CHARACTERS:,} characters")
        try:
            reply = self.pool.ask({"text": text, "schema": schema})
        except ChildFailed as error:
            return failed(str(error))
        if "failed" in reply:
            return failed(reply["failed"])
        if "unparsed" in reply:
            return not_parsed(finish_reason, reply["unparsed"])
        return accepted() if reply["valid"] else Judgement("incorrect", 0.0, reply["detail"])


def _bare(text: str) -> str:
    """A document without the code fence that models like to put around it."""
    stripped = text.strip()
    if not (stripped.startswith("```") and stripped.endswith("```") and "\n" in stripped):
        return stripped
    return stripped.partition("\n")[2].removesuffix("```").strip()


def schema_text(schema: object) -> str:
    """A schema as the text that children receive."""
    return json.dumps(schema, sort_keys=True)
