"""A client that a stranger generates from docs/openapi.json works against the running service."""

import importlib
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from embedded_stack import EmbeddedStack

DOCS = Path(__file__).parents[2] / "docs"
NAME = "generated_from_the_contract"


class Generated:
    """The generated package: `analyses.analyses_create` is its module of that operation."""

    def __getattr__(self, tag: str) -> Any:
        return _Tag(tag)

    @property
    def models(self) -> Any:
        return importlib.import_module(f"{NAME}.models")


class _Tag:
    def __init__(self, tag: str) -> None:
        self._tag = tag

    def __getattr__(self, operation: str) -> Any:
        return importlib.import_module(f"{NAME}.api.{self._tag}.{operation}")


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Generated]:
    folder = tmp_path_factory.mktemp("generated")
    command = [Path(sys.executable).with_name("openapi-python-client"), "generate", "--meta", "none"]
    command += ["--path", DOCS / "openapi.json", "--config", DOCS / "clients.yaml"]
    done = subprocess.run(
        [*command, "--output-path", folder / NAME], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    # Nothing of the contract is left out.
    assert "will not be generated" not in done.stdout
    assert "omitted" not in done.stdout
    sys.path.insert(0, str(folder))
    yield Generated()
    sys.path.remove(str(folder))
    for module in [name for name in sys.modules if name.partition(".")[0] == NAME]:
        del sys.modules[module]


@pytest.fixture
def client(generated: Generated, stack: EmbeddedStack) -> Iterator[Any]:
    with importlib.import_module(NAME).Client(base_url=stack.service.layout.url, timeout=120) as client:
        yield client


def test_from_a_request_to_a_result(
    generated: Generated, client: Any, stack: EmbeddedStack, comparison: dict[str, Any]
) -> None:
    models = generated.models
    budget = {**comparison["budget"], "samples_per_prompt": 8, "adaptive": False}
    body = models.AnalysisRequest.from_dict({**comparison, "budget": budget, "seed": 77})
    plan = generated.analyses.analyses_create.sync(client=client, body=body, validate_only=True)
    assert isinstance(plan, models.AnalysisPlan)
    accepted = generated.analyses.analyses_create.sync(client=client, body=body, idempotency_key="generated")
    assert isinstance(accepted, models.Analysis)
    again = generated.analyses.analyses_create.sync(client=client, body=body, idempotency_key="generated")
    assert again.id == accepted.id
    stack.ended(accepted.id)
    found = generated.analyses.analyses_get.sync(accepted.id, client=client)
    assert (found.status, found.revision) == ("succeeded", 1)
    result = generated.results.analyses_result.sync(accepted.id, client=client)
    assert isinstance(result, models.ResultDocument)
    assert result.analysis_id == accepted.id
    assert result.gain.total.value is not None
    rows = generated.results.analyses_prompts.sync(accepted.id, client=client, limit=2)
    assert len(rows.data) == 2
    larger = models.AnalysisExtension.from_dict({"budget": {"samples_per_prompt": 8}})
    refused = generated.analyses.analyses_extend.sync_detailed(accepted.id, client=client, body=larger)
    assert refused.status_code == 422
    assert isinstance(refused.parsed, models.Problem)
    assert refused.parsed.code == "budget_not_larger"


def test_uploads_lists_and_what_is_not_there(generated: Generated, client: Any) -> None:
    models = generated.models
    types = importlib.import_module(f"{NAME}.types")
    line = json.dumps({"id": "p1", "prompt": "1+1=", "answer": "2"}).encode() + b"\n"
    kept = generated.datasets.datasets_create.sync(client=client, body=types.File(payload=io.BytesIO(line)))
    assert (kept.prompts, kept.object_) == (1, "dataset")
    listed = generated.datasets.datasets_list.sync(client=client)
    assert kept.id in {entry.id for entry in listed.data}
    assert {model.id for model in _Tag("models").models_list.sync(client=client).data} >= {"tiny-base"}
    missing = generated.analyses.analyses_get.sync("anl_01JD8ZC6Q5V6TQ3N4R5S6T7V8W", client=client)
    assert isinstance(missing, models.Problem)
    assert missing.code == "analysis_not_found"
