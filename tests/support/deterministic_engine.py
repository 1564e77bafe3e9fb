"""An engine whose rows depend on item and seed alone, and that can be told to misbehave.

The request's `script` says how long a row takes and which prompts are trouble:
`seconds` a row, `rows` a shard, and for a prompt index in `faults` one of crash, hang, fail, refuse, deaf.
Two variables of its environment make the whole engine sick: `FAULTS_ENGINE` (crash: dies on every sample) and
`FAULTS_PROBE` (wrong, crash).
"""

import hashlib
import json
import os
import signal
import time
from typing import Any

from ledger.artefacts import shard_key
from workers.errors import Aborted, AnalysisFault
from workers.host.context import HostContext


def row(seed: int, stream: str, prompt: int, index: int) -> dict[str, Any]:
    word = f"{seed}/{stream}/{prompt}/{index}"
    return {"prompt": prompt, "index": index, "text": hashlib.sha256(word.encode()).hexdigest()}


def expected(spec: dict[str, Any], without: frozenset[int] = frozenset()) -> bytes:
    """What the result of a whole analysis is."""
    rows = [
        row(spec["seed"], "reference", prompt, index)
        for prompt in range(spec["script"]["prompts"])
        if prompt not in without
        for index in range(spec["script"]["samples"])
    ]
    return json.dumps(sorted(rows, key=lambda r: (r["prompt"], r["index"]))).encode()


def probe() -> str | None:
    fault = os.environ.get("FAULTS_PROBE")
    misbehave(fault, None)
    return "2 + 2 is 5" if fault == "wrong" else None


def execute(message: dict[str, Any], context: HostContext) -> dict[str, Any]:
    print("noise on stdout must not reach the supervisor")
    work = {"plan": plan, "sample": sample, "finalise": finalise}[message["shard"]["work"]]
    context.resident = sorted(model["weights_digest"] for model in message["models"].values())
    return {"usage": {"samples": 0}, "warnings": [], **work(message, context)}


def plan(message: dict[str, Any], context: HostContext) -> dict[str, Any]:
    script, shard = message["analysis"]["spec"]["script"], message["shard"]
    if shard["round"] == 1:
        return {"phase": "reporting", "next_shards": [{"idx": 0, "work": "finalise"}]}
    width = script["prompts_per_shard"]
    shards = [
        {
            "idx": number,
            "work": "sample",
            "stream": "reference",
            "items": [[p, 0, script["samples"]] for p in range(low, min(low + width, script["prompts"]))],
            "model_keys": [message["models"]["reference"]["weights_digest"]],
        }
        for number, low in enumerate(range(0, script["prompts"], width))
    ]
    return {"phase": "sampling", "next_shards": shards}


def sample(message: dict[str, Any], context: HostContext) -> dict[str, Any]:
    spec, shard = message["analysis"]["spec"], message["shard"]
    misbehave(os.environ.get("FAULTS_ENGINE"), context)
    rows = []
    for prompt, low, high in shard["items"]:
        misbehave(spec["script"].get("faults", {}).get(str(prompt)), context)
        for index in range(low, high):
            if context.aborted():
                raise Aborted("asked to stop")
            time.sleep(spec["script"]["seconds"])
            rows.append(row(spec["seed"], shard["stream"], prompt, index))
            context.progress(len(rows))
    key = shard_key(shard, message["claim"]["epoch"], "json")
    stored = context.store.put(key, json.dumps(rows).encode())
    artefact = {"key": stored.key, "sha256": stored.sha256, "n_rows": len(rows)}
    return {"artefact": artefact, "usage": {"samples": len(rows)}}


def misbehave(fault: str | None, context: HostContext | None) -> None:
    if fault == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    elif fault == "hang":
        time.sleep(3600)
    elif fault == "deaf" and context is not None:  # works on, but never asks whether to stop
        for completed in range(36_000):
            context.progress(completed)
            time.sleep(0.1)
    elif fault == "fail":
        raise RuntimeError("a secret prompt")
    elif fault == "refuse":
        raise AnalysisFault("unrenderable_prompt", "no chat template", "/prompts/inline/0")


def finalise(message: dict[str, Any], context: HostContext) -> dict[str, Any]:
    shard = message["shard"]
    rows = [
        found
        for source in message["inputs"]
        if source["work"] == "sample"
        for found in json.loads(context.store.open_verified(source["artefact_key"], source["sha256"]))
    ]
    keys = [(found["prompt"], found["index"]) for found in rows]
    assert len(keys) == len(set(keys)), "a row was counted twice"
    content = json.dumps(sorted(rows, key=lambda r: (r["prompt"], r["index"]))).encode()
    stored = context.store.put(shard_key(shard, message["claim"]["epoch"], "result.json"), content)
    result = {
        "key": stored.key,
        "sha256": stored.sha256,
        "bytes": stored.bytes,
        "media_type": "application/json",
    }
    return {"artifacts": {"result.json": result}, "verdict": "elicitation"}
