"""An analysis run by the pipelines alone, in one process: what the service must agree with."""

from pathlib import Path
from typing import Any

import pyarrow as pa

from workers.engines.loading import load_engine
from workers.engines.transformers_engine import TransformersEngine
from workers.pipelines.checkpoints import plan_following
from workers.pipelines.committed import Committed, read_committed
from workers.pipelines.finalise import Findings, finalise
from workers.pipelines.participants import Participant
from workers.pipelines.plan import plan_pilot
from workers.pipelines.sample import render, sample_items
from workers.pipelines.score import score_samples
from workers.pipelines.spec import AnalysisSpec
from workers.pipelines.streams import Stream
from workers.pipelines.tables import SAMPLES, from_parquet, of_items, to_parquet
from workers.pipelines.verify import verify_samples


def request(prompts: list[dict[str, Any]], *, candidate: bool = True, **changes: Any) -> dict[str, Any]:
    """A completed request, as the ledger stores it."""
    from api_schemas.requests import AnalysisRequest

    body: dict[str, Any] = {
        "kind": "capability" if candidate else "support",
        "reference": {"model": "base"},
        "prompts": {"inline": prompts},
        "signal": {"kind": "exact"},
        **({"candidate": {"model": "tuned"}} if candidate else {}),
    }
    return AnalysisRequest.model_validate({**body, **changes}).completed().model_dump(mode="json")


def participant(stream: str, engine: TransformersEngine, path: Path) -> Participant:
    return Participant(
        stream=stream,
        model_id=stream,
        path=str(path),
        weights_digest=engine.identity.weights_digest,
        adapter_digest=None,
        tokenizer_digest=engine.identity.tokenizer_digest,
        context_length=engine.context_length,
        parameters=engine.parameters,
    )


class LocalRun:
    """Rounds until the end, artefacts kept as bytes."""

    def __init__(
        self,
        spec_json: dict[str, Any],
        folders: dict[str, Path],
        *,
        batch_size: int = 64,
        shard_tokens: int = 4096,
    ) -> None:
        self.spec = AnalysisSpec.from_request(spec_json)
        self.engines = {stream: load_engine(folders[stream]) for stream in self.spec.sides}
        self.participants = {s: participant(s, e, folders[s]) for s, e in self.engines.items()}
        self.batch_size = batch_size
        self.shard_tokens = shard_tokens
        self.files: dict[str, bytes] = {}
        self.inputs: list[dict[str, Any]] = []
        self.rounds = 0

    def run(self) -> Findings:
        lengths = {
            name: [
                len(render(self._engine(name), prompt, stream.rendering, self._chat_template(stream)))
                for prompt in self.spec.prompts
            ]
            for name, stream in self.spec.streams.items()
        }
        plan = plan_pilot(self.spec, self.participants, lengths, shard_tokens=self.shard_tokens)
        while plan.shards[0].work != "finalise":
            self._run_round(plan.shards)
            plan = plan_following(
                self.spec,
                self.participants,
                self.committed(with_samples=False),
                self.inputs,
                [],
                sampled_tokens=0,
                shard_tokens=self.shard_tokens,
            )
        return finalise(
            self.spec,
            self.participants,
            self.committed(with_samples=True),
            analysis_id="anl_local",
            usage={},
            partial=False,
        )

    def committed(self, *, with_samples: bool) -> Committed:
        return read_committed(
            self.spec, self.inputs, [], lambda shard: self.files[shard["key"]], with_samples=with_samples
        )

    def samples(self, shard_id: str) -> pa.Table:
        return from_parquet(self.files[shard_id], SAMPLES)

    def _engine(self, stream: str) -> TransformersEngine:
        return self.engines[self.spec.streams[stream].participant]

    def _chat_template(self, stream: Stream) -> str | None:
        side = stream.rendering.chat_template
        return None if side is None else str(self.engines[side].tokenizer.get_chat_template())

    def _run_round(self, shards: Any) -> None:
        self.rounds += 1
        drawn = {}
        for shard in shards:
            if shard.work == "sample":
                table = sample_items(
                    self.spec,
                    shard.stream,
                    shard.items,
                    self._engine(shard.stream),
                    chat_template=self._chat_template(self.spec.streams[shard.stream]),
                    batch_size=self.batch_size,
                    should_stop=lambda: False,
                    on_progress=lambda _: None,
                )
                drawn[shard.idx] = table
            elif shard.work == "verify":
                table = verify_samples(self.spec, drawn[shard.depends_on_idx], lambda _: None)
            else:
                earlier = shard.depends_on_id
                source = drawn[shard.depends_on_idx] if earlier is None else self.samples(earlier)
                table = score_samples(
                    self.spec,
                    of_items(source, shard.items),
                    shard.scorer,
                    self._engine(shard.stream),
                    self.engines[shard.scorer],
                    should_stop=lambda: False,
                    on_progress=lambda _: None,
                )
            key = f"{self.rounds}-{shard.idx}"
            self.files[key] = to_parquet(table)
            self.inputs.append({**shard.to_message(), "round": self.rounds, "key": key, "shard_id": key})
