import json
from pathlib import Path
from typing import Any

import pytest

from service.openapi import snapshot

COMMITTED = Path(__file__).parents[3] / "docs" / "openapi.json"
HOW = "the contract changed: if that is meant, `make openapi` writes docs/openapi.json anew"


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return dict(json.loads(snapshot()))


def test_the_committed_document_is_what_the_gateway_serves() -> None:
    assert COMMITTED.read_text(encoding="utf-8") == snapshot(), HOW


def test_it_is_openapi_3_1(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1.")


def test_operations_keep_their_names(document: dict[str, Any]) -> None:
    found = {
        operation["operationId"]: f"{method.upper()} {path}"
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    }
    assert found == {
        "analyses_create": "POST /v1/analyses",
        "analyses_list": "GET /v1/analyses",
        "analyses_get": "GET /v1/analyses/{analysis_id}",
        "analyses_update": "PATCH /v1/analyses/{analysis_id}",
        "analyses_delete": "DELETE /v1/analyses/{analysis_id}",
        "analyses_cancel": "POST /v1/analyses/{analysis_id}/cancel",
        "analyses_extend": "POST /v1/analyses/{analysis_id}/extend",
        "analyses_result": "GET /v1/analyses/{analysis_id}/result",
        "analyses_prompts": "GET /v1/analyses/{analysis_id}/prompts",
        "analyses_samples": "GET /v1/analyses/{analysis_id}/samples",
        "analyses_artifacts_list": "GET /v1/analyses/{analysis_id}/artifacts",
        "analyses_artifacts_get": "GET /v1/analyses/{analysis_id}/artifacts/{name}",
        "analyses_report": "GET /v1/analyses/{analysis_id}/report",
        "analyses_events": "GET /v1/analyses/{analysis_id}/events",
        "datasets_create": "POST /v1/datasets",
        "datasets_list": "GET /v1/datasets",
        "datasets_get": "GET /v1/datasets/{dataset_id}",
        "datasets_content": "GET /v1/datasets/{dataset_id}/content",
        "datasets_delete": "DELETE /v1/datasets/{dataset_id}",
        "imports_create": "POST /v1/imports",
        "imports_list": "GET /v1/imports",
        "imports_get": "GET /v1/imports/{import_id}",
        "imports_delete": "DELETE /v1/imports/{import_id}",
        "models_list": "GET /v1/models",
        "models_get": "GET /v1/models/{model_id}",
        "signals_list": "GET /v1/signals",
        "audit_list": "GET /v1/audit",
        "webhooks_create": "POST /v1/webhooks",
        "webhooks_list": "GET /v1/webhooks",
        "webhooks_get": "GET /v1/webhooks/{webhook_id}",
        "webhooks_delete": "DELETE /v1/webhooks/{webhook_id}",
        "webhooks_rotate": "POST /v1/webhooks/{webhook_id}/rotate",
        "webhooks_test": "POST /v1/webhooks/{webhook_id}/test",
        "webhooks_deliveries": "GET /v1/webhooks/{webhook_id}/deliveries",
        "health_live": "GET /livez",
        "health_ready": "GET /readyz",
        "health_metrics": "GET /metrics",
        "comparisons_get": "GET /v1/comparisons",
    }


def test_every_operation_declares_problems_and_no_other_error_shape(document: dict[str, Any]) -> None:
    for operations in document["paths"].values():
        for operation in operations.values():
            assert "422" not in operation["responses"]
            assert list(operation["responses"]["default"]["content"]) == ["application/problem+json"]
    assert not {"HTTPValidationError", "ValidationError"} & set(document["components"]["schemas"])


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]

    def walk(node: Any) -> None:
        if isinstance(node, dict):
            if isinstance(reference := node.get("$ref"), str):
                assert reference.rpartition("/")[2] in schemas
            for child in node.values():
                walk(child)
        elif isinstance(node, list):
            for child in node:
                walk(child)

    walk(document)
