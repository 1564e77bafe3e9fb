"""The gateway on a socket over a ledger that has something of everything that a request can be about.

No worker runs. What a worker would have left was computed by the real pipelines from planted laws, and goes
through the ledger's own verbs, so that documents, rows, samples and reports are real.
"""

import itertools
import json
import logging
import random
import socket
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import structlog
import uvicorn
from planted import planted, planted_run
from sqlalchemy import Engine

from api_schemas.imports import ImportSummary
from api_schemas.results import ResultDocument
from api_schemas.rows import PromptRow
from ledger import models, outbox
from ledger.artefacts import ArtefactStore
from ledger.claims import claim_next
from ledger.commits import commit, commit_finalise, fail_analysis
from ledger.database import connect, migrate, write
from ledger.shards import Claim
from ledger.workers import WorkerIdentity
from service.app import create_app
from service.settings import Settings
from workers.host.result_files import result_files
from workers.importers.collection import collect
from workers.importers.formats import READERS
from workers.importers.record import LogNotes
from workers.reports.html import render_report

LOG = Path(__file__).parents[1] / "unit/importers/logs/lm_eval_samples_toy_gen_repeats3_two_filters.jsonl"
PROMPTS = [{"id": f"p{i}", "prompt": f"1{i}+30=", "answer": str(40 + i)} for i in range(2)]
BODY = {
    "kind": "capability",
    "reference": {"source": "model", "model": "tiny-base"},
    "candidate": {"source": "model", "model": "tiny-grpo"},
    "prompts": {"inline": PROMPTS},
    "signal": {"kind": "exact"},
}
USAGE = {
    "samples": 64,
    "sampled_tokens": 128,
    "scored_tokens": 128,
    "cached_samples": 0,
    "engine_seconds": 0.5,
}
PROBLEM = {"code": "model_changed", "title": "Conflict", "status": 409, "detail": "the weights changed"}


def found_files(revision: int) -> dict[str, tuple[bytes, str]]:
    """What a finished analysis leaves, computed from planted laws."""
    prompts = [planted("p0", 0.05, 0.9), planted("p1", 1e-9, 0.8)]
    run = planted_run(prompts, budget={"samples_per_prompt": 16, "k_probe": 32, "max_samples_per_prompt": 64})
    found = run.run()
    named = {**found.document, "revision": revision}
    document = ResultDocument.model_validate(named).model_dump(mode="json", exclude_unset=True)
    rows = [PromptRow.model_validate(r).model_dump(mode="json", exclude_unset=True) for r in found.rows]
    report = render_report(document, rows, title="seeded")
    return result_files(document, rows, run.committed(with_samples=True), report)


class Seeded:
    """Ids of what is there, by the name of the path parameter; deleting asks for something of its own."""

    def __init__(self, url: str, settings: Settings, engine: Engine) -> None:
        self._http = httpx.Client(base_url=url, timeout=60)
        self._engine, self._store = engine, ArtefactStore(settings.artefact_root)
        self._worker = WorkerIdentity("worker-1", "boot-1", "here")
        self._numbers = itertools.count()
        self.choose = random.Random(0)
        self.finished = [self._finished(), self._finished()]
        self.extended = self._finished()
        self.extend(self.extended)
        self._finish(2)
        failed, live = self._submit(), None
        assert fail_analysis(
            engine, self._claim(), problem={"code": "c", "title": "T", "status": 409, "detail": "d"}
        )
        live, cancelled = self._submit(), self._submit()
        self._post(f"/v1/analyses/{cancelled}/cancel")
        self.known = {
            "analysis_id": [*self.finished, self.extended, failed, live, cancelled],
            "dataset_id": [self._dataset()],
            "import_id": [self._import(), self._parsed()],
            "webhook_id": [self._webhook()],
            "model_id": ["tiny-base", "tiny-grpo"],
            "name": ["result.json", "samples.parquet", "report.html"],
        }
        self._delivered(self.known["webhook_id"][0])

    def one(self, parameter: str) -> str | None:
        """The id of something that is there."""
        return self.choose.choice(self.known[parameter]) if parameter in self.known else None

    def targets(self, parameters: Collection[str], method: str) -> list[dict[str, str]]:
        """Path parameters that name something there is: one of each kind, for a deletion something spare."""
        ours = [name for name in parameters if name in self.known]
        if method.upper() == "DELETE":
            return [{name: self.expendable(name) for name in ours}] if ours else []
        if not ours:
            return [{}]
        most = max(len(self.known[name]) for name in ours)
        return [{name: self.known[name][i % len(self.known[name])] for name in ours} for i in range(most)]

    def expendable(self, parameter: str) -> str:
        """The id of something that may be deleted."""
        if parameter == "analysis_id":
            analysis_id = self._submit()
            self._post(f"/v1/analyses/{analysis_id}/cancel")
            return analysis_id
        make = {"dataset_id": self._dataset, "import_id": self._import, "webhook_id": self._webhook}
        return make[parameter]()

    def settle(self, analysis_id: str) -> None:
        """End an analysis that a request set running: it keeps the result it had."""
        self._post(f"/v1/analyses/{analysis_id}/cancel")

    def extend(self, analysis_id: str) -> None:
        self._post(f"/v1/analyses/{analysis_id}/extend", json={"budget": {"samples_per_prompt": 128}})

    def close(self) -> None:
        self._http.close()

    def _post(self, path: str, **options: Any) -> Any:
        answer = self._http.post(path, **options)
        assert answer.status_code in (200, 201, 202), answer.text
        return answer.json()

    def _submit(self) -> str:
        return str(self._post("/v1/analyses", json={**BODY, "labels": {"run": "seeded"}})["id"])

    def _finished(self) -> str:
        analysis_id = self._submit()
        self._finish(1)
        return analysis_id

    def _finish(self, revision: int) -> None:
        plan = self._claim()
        usage = dict(USAGE)
        assert commit(
            self._engine, plan, artefact=None, usage=usage, next_shards=[{"idx": 0, "work": "finalise"}]
        )
        claim = self._claim()
        artifacts = {
            name: {**self._stored(claim, f"r{revision}-{name}", data), "media_type": media_type}
            for name, (data, media_type) in found_files(revision).items()
        }
        assert commit_finalise(self._engine, claim, artifacts=artifacts, usage=usage, verdict="mixed")

    def _claim(self) -> Claim:
        claim = claim_next(self._engine, self._worker, lease_seconds=3600)
        assert claim is not None
        return claim

    def _stored(self, claim: Claim, name: str, data: bytes) -> dict[str, Any]:
        stored = self._store.put(f"default/{claim.analysis['id']}/{name}", data)
        return {"key": stored.key, "sha256": stored.sha256, "bytes": stored.bytes}

    def _dataset(self) -> str:
        prompt = {**PROMPTS[0], "id": f"d{next(self._numbers)}"}
        headers = {"Content-Type": "application/jsonl"}
        return str(self._post("/v1/datasets", content=json.dumps(prompt).encode(), headers=headers)["id"])

    def _import(self) -> str:
        log = LOG.read_bytes()
        return str(self._post(f"/v1/imports?format=lm-eval&name=n{next(self._numbers)}", content=log)["id"])

    def _parsed(self) -> str:
        """An import whose log was read as a worker reads it."""
        import_id = self._import()
        while (claim := self._claim()).analysis["id"] != import_id:
            pass
        notes = LogNotes()
        with LOG.open("rb") as file:
            found = collect(READERS["lm-eval"](file, notes, filter=None), notes, lambda done: None)
        summary = ImportSummary.model_validate(found.summary(notes)).model_dump_json().encode()
        artifacts = {
            "summary.json": {**self._stored(claim, "summary.json", summary), "media_type": "application/json"}
        }
        assert commit_finalise(self._engine, claim, artifacts=artifacts, usage={})
        return import_id

    def _webhook(self) -> str:
        if len(self._http.get("/v1/webhooks?limit=100").json()["data"]) > 15:
            for webhook in self._http.get("/v1/webhooks?limit=100").json()["data"]:
                if webhook["id"] not in self.known["webhook_id"]:
                    self._http.delete(f"/v1/webhooks/{webhook['id']}")
        body = {"url": "https://hooks.example.com/t", "events": ["analysis.succeeded"]}
        return str(self._post("/v1/webhooks", json=body)["id"])

    def _delivered(self, webhook_id: str) -> None:
        self._post(f"/v1/webhooks/{webhook_id}/test")
        for status, error, again in ((503, "503 Service Unavailable", 60.0), (204, None, None)):
            for message in outbox.claim(self._engine, limit=1, busy=(), hold_seconds=0.0):
                outbox.record(self._engine, message, status=status, error=error, retry_seconds=again and 0.0)


@contextmanager
def seeded_gateway(home: Path) -> Iterator[tuple[str, Seeded]]:
    """The gateway's address, and what there is to ask it about."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # Nobody works here: waiting for an end, or following it, must be short.
    settings = Settings(
        home=home,
        port=port,
        redis_url="redis://127.0.0.1:1/0",
        max_wait_seconds=0,
        event_stream_seconds=0.05,
        event_poll_seconds=0.02,
    )
    migrate(settings.ledger_url)
    engine = connect(settings.ledger_url)
    with write(engine) as conn:
        for model_id in ("tiny-base", "tiny-grpo"):
            digest = {"weights_digest": "a" * 64, "tokenizer_digest": "b" * 64, "context_length": 64}
            record = {"id": model_id, "kind": "model", "path": "/m", "state": "ready", **digest}
            models.upsert(conn, "default", record)
        models.record_scan(conn, "default", "/models")
    app = create_app(settings)
    config = uvicorn.Config(app, host="127.0.0.1", port=port, log_level="critical", access_log=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.01)
    url = f"http://127.0.0.1:{port}"
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        seeded = Seeded(url, settings, engine)
        yield url, seeded
        seeded.close()
    finally:
        server.should_exit = True
        thread.join(60)
        engine.dispose()
        structlog.reset_defaults()
