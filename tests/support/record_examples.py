"""Writes the examples of the contract: one exchange of each operation with the real gateway, shortened.

`make examples` runs it; `service.api.contract` puts what it writes into the OpenAPI document.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import httpx
from seeded_gateway import BODY, LOG, PROMPTS, Seeded, seeded_gateway

from service.api.examples import FILE

LONGEST_LIST, LONGEST_TEXT, LINES = 2, 600, 4
SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
"""In place of a webhook's: scanners look for real ones."""

EXTENSION = {"budget": {"samples_per_prompt": 256}, "deadline_seconds": 86_400}
REQUEST = {
    **BODY,
    "name": "grpo-step-400 against base",
    "labels": {"run": "grpo-7"},
    "budget": {"k_use": 8, "k_probe": 256, "samples_per_prompt": 64, "max_samples_per_prompt": 4096},
}
DATASET = "".join(json.dumps(prompt) + "\n" for prompt in PROMPTS)
WEBHOOK = {"url": "https://hooks.example.com/tiltscope", "events": ["analysis.succeeded"], "name": "pipeline"}
JSONL, OCTETS = {"Content-Type": "application/jsonl"}, {"Content-Type": "application/octet-stream"}


def exchanges(seeded: Seeded) -> dict[str, list[tuple[str, str, dict[str, Any]]]]:
    """Requests of each operation."""
    analysis, extended, live = seeded.finished[0], seeded.extended, seeded.known["analysis_id"][-2]
    path, webhook = f"/v1/analyses/{analysis}", f"/v1/webhooks/{seeded.one('webhook_id')}"
    parsed = seeded.known["import_id"][-1]
    log = LOG.read_text()
    return {
        "analyses_create": [
            ("POST", "/v1/analyses?validate_only=true", {"json": REQUEST}),
            ("POST", "/v1/analyses", {"json": REQUEST}),
        ],
        "analyses_list": [("GET", "/v1/analyses?limit=1", {})],
        "analyses_get": [("GET", f"/v1/analyses/{live}", {})],
        "analyses_update": [("PATCH", path, {"json": {"name": "step 400"}, "headers": {"If-Match": "*"}})],
        "analyses_extend": [("POST", f"{path}/extend", {"json": EXTENSION})],
        "analyses_cancel": [("POST", f"{path}/cancel", {})],
        "analyses_result": [("GET", f"/v1/analyses/{extended}/result", {})],
        "analyses_prompts": [
            ("GET", f"{path}/prompts?limit=1", {}),
            ("GET", f"{path}/prompts?format=csv", {}),
        ],
        "analyses_samples": [
            ("GET", f"{path}/samples?limit=1", {}),
            ("GET", f"{path}/samples?format=csv", {}),
        ],
        "analyses_artifacts_list": [("GET", f"{path}/artifacts", {})],
        "analyses_artifacts_get": [("GET", f"{path}/artifacts/report.html", {})],
        "analyses_report": [("GET", f"{path}/report", {})],
        "analyses_events": [("GET", f"/v1/analyses/{extended}/events", {})],
        "comparisons_get": [("GET", f"/v1/comparisons?ids={','.join(seeded.finished)}", {})],
        "datasets_create": [("POST", "/v1/datasets", {"content": DATASET, "headers": JSONL})] * 2,
        "datasets_list": [("GET", "/v1/datasets?limit=1", {})],
        "datasets_get": [("GET", f"/v1/datasets/{seeded.one('dataset_id')}", {})],
        "datasets_content": [("GET", f"/v1/datasets/{seeded.one('dataset_id')}/content", {})],
        "imports_create": [("POST", "/v1/imports?format=lm-eval", {"content": log, "headers": OCTETS})],
        "imports_list": [("GET", "/v1/imports?limit=1", {})],
        "imports_get": [("GET", f"/v1/imports/{parsed}", {})],
        "models_list": [("GET", "/v1/models", {})],
        "models_get": [("GET", "/v1/models/tiny-grpo", {})],
        "signals_list": [("GET", "/v1/signals", {})],
        "webhooks_create": [("POST", "/v1/webhooks", {"json": WEBHOOK})],
        "webhooks_list": [("GET", "/v1/webhooks?limit=1", {})],
        "webhooks_get": [("GET", webhook, {})],
        "webhooks_rotate": [("POST", f"{webhook}/rotate", {})],
        "webhooks_test": [("POST", f"{webhook}/test", {})],
        "webhooks_deliveries": [("GET", f"{webhook}/deliveries", {})],
        "audit_list": [("GET", "/v1/audit?limit=1", {})],
        "health_live": [("GET", "/livez", {})],
        "health_ready": [("GET", "/readyz", {})],
        "health_metrics": [
            ("GET", "/metrics", {}),
            ("GET", "/metrics", {"headers": {"Accept": "application/openmetrics-text"}}),
        ],
        "problem": [("POST", "/v1/analyses", {"json": {**REQUEST, "seed": -1}})],
    }


def shortened(value: Any, key: str = "") -> Any:
    """The same document with short lists and texts."""
    if isinstance(value, dict):
        return {name: shortened(item, name) for name, item in value.items()}
    if isinstance(value, list):
        return [shortened(item) for item in value[:LONGEST_LIST]]
    if isinstance(value, str):
        return SECRET if key == "secret" else value[:LONGEST_TEXT]
    return value


def example(response: httpx.Response) -> Any:
    """What an answer carried, as an example of its media type."""
    media_type = response.headers["content-type"].partition(";")[0]
    if media_type.endswith("json"):
        return shortened(response.json())
    lines = response.text.replace("\n\n", "\n").splitlines()[: 3 * LINES]
    return "\n".join(line[:200] for line in lines) + "\n"


def record(url: str, seeded: Seeded) -> dict[str, Any]:
    """Examples by operation: of its request, and of its answers by status and media type."""
    found: dict[str, Any] = {}
    with httpx.Client(base_url=url, timeout=60) as client:
        for operation, requests in exchanges(seeded).items():
            entry: dict[str, Any] = {"responses": {}}
            for method, path, options in requests:
                response = client.request(method, path, **options)
                print(operation, response.status_code, file=sys.stderr)
                body = options.get("json", options.get("content"))
                if body is not None:
                    entry["request"] = (
                        "\n".join(body.splitlines()[:2]) + "\n" if isinstance(body, str) else body
                    )
                media_type = response.headers["content-type"].partition(";")[0]
                answers = entry["responses"].setdefault(str(response.status_code), {})
                answers[media_type] = example(response)
            found[operation] = entry
    return found


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as home, seeded_gateway(Path(home)) as (address, everything):
        examples = record(address, everything)
    FILE.write_text(json.dumps(examples, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
