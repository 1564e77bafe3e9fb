"""The sides of an analysis: its models and imported logs, and the prompts they share."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from workers.host.context import HostContext
from workers.host.imports import LoadedImport, load_import
from workers.host.prompts import prompts_of
from workers.pipelines.log_policy import log_policy, policy_notice
from workers.pipelines.pairing import pair
from workers.pipelines.participants import Participant
from workers.pipelines.plan import Notice
from workers.pipelines.spec import REFERENCE, AnalysisSpec


@dataclass(frozen=True, slots=True)
class ImportedStream:
    """An imported side.

    Attributes:
        loaded: Its log.
        rows: Each prompt's number in the log.
    """

    loaded: LoadedImport
    rows: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Sides:
    """What a run message names.

    Attributes:
        spec: The analysis.
        participants: Models and logs by stream.
        imported: The logs by stream.
        notices: What was noticed while they were paired.
    """

    spec: AnalysisSpec
    participants: dict[str, Participant]
    imported: dict[str, ImportedStream]
    notices: tuple[Notice, ...]


def sides_of(message: Mapping[str, Any], context: HostContext) -> Sides:
    """Read the sides of a `run` message.

    Raises:
        AnalysisFault: imported sides have no prompt in common, or were drawn by no policy.
    """
    request, imports = message["analysis"]["spec"], message.get("imports") or {}
    found = {
        **{stream: Participant.from_message(stream, model) for stream, model in message["models"].items()},
        **{stream: Participant.from_import(stream, log) for stream, log in imports.items()},
    }
    participants = dict(sorted(found.items(), key=lambda entry: entry[0] != REFERENCE))
    prompts = prompts_of(message, context)
    if not imports:
        return Sides(AnalysisSpec.from_request(request, prompts), participants, {}, ())
    loaded = {stream: load_import(imports[stream], context) for stream in participants if stream in imports}
    paired = pair({stream: log.side for stream, log in loaded.items()}, prompts)
    spec = AnalysisSpec.from_request(request, paired.prompts, paired.fixed)
    notices = list(paired.notices)
    drawn = dict(spec.streams)
    for side, log in loaded.items():
        policy = log_policy(spec.policy, log.sampling, side)
        drawn[side] = replace(drawn[side], policy=policy)
        if (notice := policy_notice(spec.policy, policy, log.sampling, side)) is not None:
            notices.append(notice)
    streams = {stream: ImportedStream(log, paired.rows[stream]) for stream, log in loaded.items()}
    return Sides(replace(spec, streams=drawn), participants, streams, tuple(notices))
