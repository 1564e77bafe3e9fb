"""Rendering the prompts of every stream, before the first sample is drawn."""

from collections.abc import Mapping

from workers.engines.errors import UnrenderablePrompt
from workers.errors import AnalysisFault
from workers.host.engine_room import EngineRoom
from workers.pipelines.participants import Participant
from workers.pipelines.rendering import render_ids
from workers.pipelines.spec import AnalysisSpec
from workers.pipelines.streams import Stream


def chat_template(room: EngineRoom, participants: Mapping[str, Participant], stream: Stream) -> str | None:
    """Text of the chat template that a stream's rendering names; None if that is its own model's.

    Raises:
        AnalysisFault: that model has none.
    """
    side = stream.rendering.chat_template
    return None if side in (None, stream.participant) else room.chat_template(participants[side])


def prompt_lengths(
    spec: AnalysisSpec, room: EngineRoom, participants: Mapping[str, Participant]
) -> dict[str, list[int]]:
    """Tokens of every prompt, by stream; an imported one renders none.

    Tokenizers alone are loaded: who plans may have no room for weights.

    Raises:
        AnalysisFault: a prompt cannot be rendered.
    """
    first = spec.checkpoints[:1]
    lengths = {
        stream.name: _lengths(spec, stream, room, participants)
        for stream in spec.streams.values()
        if stream.name not in spec.checkpoints[1:] and not participants[stream.participant].imported
    }
    for stream in spec.checkpoints[1:]:
        # Equal tokenizers render alike: no need to render every checkpoint's before the first sample.
        alike = participants[stream].tokenizer_digest == participants[first[0]].tokenizer_digest
        known = lengths[first[0]] if alike else None
        lengths[stream] = known or _lengths(spec, spec.streams[stream], room, participants)
    return lengths


def _lengths(
    spec: AnalysisSpec, stream: Stream, room: EngineRoom, participants: Mapping[str, Participant]
) -> list[int]:
    tokenizer = room.tokenizer(participants[stream.participant])
    template = chat_template(room, participants, stream)
    lengths = []
    for prompt in spec.prompts:
        try:
            lengths.append(len(render_ids(tokenizer, prompt, stream.rendering, template)))
        except UnrenderablePrompt as error:
            worded = f", as arm {stream.arm!r} words it" if stream.is_arm else ""
            detail = f"prompt {prompt.id!r} cannot be rendered{worded}: {error}"
            raise AnalysisFault(error.code, detail, f"/prompts/inline/{prompt.index}") from error
    return lengths
