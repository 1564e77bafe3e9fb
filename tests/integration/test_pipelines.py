"""Checkpoints watched and results logged, against the real service."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import venv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from embedded_stack import PATIENCE, EmbeddedStack, Findings

from tiltscope import Tiltscope
from tiltscope.broker import free_port
from tiltscope.documents import Analysis
from tiltscope.registry import add_model
from tiltscope.tracking.mlflow import log_to_mlflow
from tiltscope.tracking.record import Record
from tiltscope.watch.watcher import Watcher

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def client(stack: EmbeddedStack) -> Iterator[Tiltscope]:
    with Tiltscope(stack.service.layout.url) as client:
        yield client


@pytest.fixture
def request_body(comparison: dict[str, Any]) -> dict[str, Any]:
    small = {**comparison, "prompts": {"inline": comparison["prompts"]["inline"][:2]}}
    budget = {"samples_per_prompt": 8, "k_use": 2, "k_probe": 4, "adaptive": False}
    return {name: value for name, value in small.items() if name != "candidate"} | {"budget": budget}


def looked(stack: EmbeddedStack, watcher: Watcher, names: list[str]) -> list[Analysis]:
    """Look until exactly these checkpoints were seen, in this order."""
    seen: list[Any] = []

    def all_there() -> bool:
        seen.extend(watcher.look())
        return len(seen) >= len(names)

    stack.until(all_there, f"{names} are seen")
    assert [one.name for one in seen] == names
    return [one.analysis for one in seen]


def test_checkpoints_are_analysed_once_in_order_and_only_when_whole(
    stack: EmbeddedStack, client: Tiltscope, model_folder: Path, request_body: dict[str, Any], tmp_path: Path
) -> None:
    said: list[str] = []

    def watcher() -> Watcher:
        return Watcher(client, tmp_path, model_folder, request_body, prefix="run-", say=said.append)

    for step, model in ((10, "tiny-grpo"), (9, "tiny-sft")):
        shutil.copytree(EXAMPLES / "models" / model, tmp_path / f"step-{step}")
    half = tmp_path / "step-20"
    shutil.copytree(EXAMPLES / "models" / "tiny-new", half)
    os.truncate(half / "model.safetensors", 1000)
    first = watcher()
    assert list(first.look()) == []  # nothing is whole that has been looked at once
    analyses = looked(stack, first, ["step-9", "step-10"])
    assert said == ["step-20: model.safetensors is not whole"]
    assert [one.spec["candidate"]["model"] for one in analyses] == ["run-step-9", "run-step-10"]
    shutil.copy(EXAMPLES / "models" / "tiny-new" / "model.safetensors", half)
    later = looked(stack, first, ["step-20"])
    after_a_restart = looked(stack, watcher(), ["step-9", "step-10", "step-20"])
    assert [one.id for one in after_a_restart] == [one.id for one in [*analyses, *later]]
    other_question = {**request_body, "seed": 12}
    again = looked(
        stack,
        Watcher(client, tmp_path, model_folder, other_question, prefix="run-"),
        ["step-9", "step-10", "step-20"],
    )
    assert not {one.id for one in again} & {one.id for one in after_a_restart}


def test_a_checkpoint_waits_for_one_before_it_that_the_registry_does_not_list_yet(
    stack: EmbeddedStack, client: Tiltscope, model_folder: Path, request_body: dict[str, Any], tmp_path: Path
) -> None:
    add_model(model_folder, "behind-step-10", str(EXAMPLES / "models" / "tiny-grpo"))
    stack.until(lambda: "behind-step-10" in [model.id for model in client.models.list()], "it is listed")
    for step, model in ((10, "tiny-grpo"), (9, "tiny-sft")):
        shutil.copytree(EXAMPLES / "models" / model, tmp_path / f"step-{step}")
    watcher = Watcher(client, tmp_path, model_folder, request_body, prefix="behind-")
    assert list(watcher.look()) == []
    looked(stack, watcher, ["step-9", "step-10"])


def test_a_checkpoint_that_the_registry_never_lists_is_told_and_holds_up_nobody_for_good(
    client: Tiltscope, request_body: dict[str, Any], tmp_path: Path
) -> None:
    """Its models folder is not the one that is scanned."""
    said: list[str] = []
    runs, elsewhere = tmp_path / "runs", tmp_path / "elsewhere"
    elsewhere.mkdir()
    for step in (1, 2):
        shutil.copytree(EXAMPLES / "models" / "tiny-sft", runs / f"step-{step}")
    watcher = Watcher(client, runs, elsewhere, request_body, prefix="nowhere-", say=said.append, patience=0.0)
    for _ in range(4):
        assert list(watcher.look()) == []
    assert said == [
        f"step-{step}: the service does not list nowhere-step-{step}: does it scan {elsewhere}?"
        for step in (1, 2)
    ]
    assert watcher.waits_for == []


def test_the_command_watches_and_gates(
    stack: EmbeddedStack, request_body: dict[str, Any], tmp_path: Path
) -> None:
    runs = tmp_path / "runs"
    shutil.copytree(EXAMPLES / "models" / "tiny-grpo", runs / "watched-1")
    prompts = tmp_path / "p.jsonl"
    prompts.write_text("".join(json.dumps(p) + "\n" for p in request_body["prompts"]["inline"]))
    policy = tmp_path / "policy.yaml"
    policy.write_text("version: 1\ngain: {max: -0.99}\n")
    command = [sys.executable, "-m", "tiltscope", "watch", str(runs), "--reference", "tiny-base"]
    command += ["--prompts", str(prompts), "--models", str(stack.service.layout.models), "--settle", "0.2"]
    command += ["--gate", str(policy), "--url", stack.service.layout.url]
    env = {**os.environ, "NO_COLOR": "1"}
    once = subprocess.run([*command, "--once"], env=env, capture_output=True, text=True, check=False)
    assert once.returncode == 10, once.stderr
    line, why = once.stdout.splitlines()
    assert line.startswith("watched-1  ")
    assert "gain" in line
    assert "failed" in line
    assert why.strip().startswith("gain ≤ -0.99")
    endless = subprocess.Popen([*command, "--json"], env=env, stdout=subprocess.PIPE, text=True)
    assert endless.stdout is not None
    told = json.loads(endless.stdout.readline())
    assert (told["checkpoint"], told["gate"]) == ("watched-1", "failed")
    assert told["analysis_id"] == line.split()[-1]
    time.sleep(0.3)
    endless.send_signal(signal.SIGINT)
    endless.stdout.close()
    assert endless.wait(60) == 10


@pytest.fixture(scope="module")
def record(client: Tiltscope, undisturbed: Findings) -> Record:
    return client.analyses.record(undisturbed.document["analysis_id"])


@pytest.mark.filterwarnings("ignore")
def test_mlflow_gets_metrics_tables_and_the_report(record: Record, tmp_path: Path) -> None:
    from mlflow.tracking import MlflowClient

    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    store = MlflowClient(tracking_uri=uri)
    store.create_experiment("grpo", artifact_location=(tmp_path / "artifacts").as_uri())
    run_id = log_to_mlflow(record, experiment="grpo", tracking_uri=uri, step=400)
    assert log_to_mlflow(record, experiment="grpo", tracking_uri=uri, step=400) == run_id
    run = store.get_run(run_id)
    gain = record.result.estimates()["gain.total"]
    assert run.data.metrics["gain.total"] == gain.value
    assert run.data.metrics["gain.total.ci_low"] == gain.ci_low
    assert store.get_metric_history(run_id, "gain.total")[0].step == 400
    assert record.result.verdict is not None
    assert run.data.tags["tiltscope.verdict"] == record.result.verdict.label
    assert run.data.params["tiltscope.candidate.model"] == "tiny-grpo"
    folder = Path(store.download_artifacts(run_id, f"tiltscope/{record.analysis.id}", str(tmp_path)))
    assert (folder / "report.html").read_bytes() == record.report
    table = json.loads((folder / "prompts.json").read_text())
    rows = [dict(zip(table["columns"], row, strict=True)) for row in table["data"]]
    kept = [(row["prompt_id"], row["regime"]) for row in rows]
    assert kept == [(row.prompt_id, row.regime) for row in record.prompts]  # once, though it was logged twice


@pytest.mark.slow
def test_an_mlflow_server_gets_them_from_the_command(
    record: Record, tmp_path: Path, start_log: Callable[..., str]
) -> None:
    """A real server, in an environment of its own: it pins libraries that differ from ours."""
    venv.create(tmp_path / "venv", with_pip=True)
    program = tmp_path / "venv" / "bin"
    subprocess.run([program / "pip", "install", "--quiet", "mlflow"], check=True)
    port = free_port()
    uri = f"http://127.0.0.1:{port}"
    command: list[str | Path] = [program / "mlflow", "server", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{tmp_path / 'mlflow.db'}"]
    command += ["--artifacts-destination", tmp_path / "artifacts"]
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen(command, cwd=tmp_path, stdout=log, stderr=log, start_new_session=True)
    try:
        until_healthy(f"{uri}/health", tmp_path / "log")
        arguments = (record.analysis.id, "--to", "mlflow", "--tracking-uri", uri, "--project", "grpo")
        run_id = start_log(*arguments, cwd=tmp_path)
        assert start_log(*arguments, cwd=tmp_path) == run_id
        run = httpx.get(f"{uri}/api/2.0/mlflow/runs/get", params={"run_id": run_id}).json()["run"]
        metrics = {metric["key"]: metric["value"] for metric in run["data"]["metrics"]}
        assert metrics["gain.total"] == record.result.estimates()["gain.total"].value
        (report,) = (tmp_path / "artifacts").rglob("report.html")
        assert report.read_bytes() == record.report
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(60)


def until_healthy(url: str, log: Path) -> None:
    give_up_at = time.monotonic() + PATIENCE
    while time.monotonic() < give_up_at:
        try:
            if httpx.get(url).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.5)
    raise AssertionError(log.read_text())


def test_wandb_offline_keeps_the_run_on_disk(
    stack: EmbeddedStack, record: Record, tmp_path: Path, start_log: Callable[..., str]
) -> None:
    run_id = start_log(record.analysis.id, "--to", "wandb", "--offline", "--project", "grpo", cwd=tmp_path)
    (folder,) = (tmp_path / "wandb").glob("offline-run-*")
    assert folder.name.endswith(run_id)
    (log,) = folder.glob("run-*.wandb")
    assert b"gain.total.ci_low" in log.read_bytes()
    (report,) = folder.rglob("report_*.html")
    assert report.read_bytes() == record.report
    (table,) = folder.rglob("estimates_*.table.json")
    kept = json.loads(table.read_text())
    rows = [dict(zip(kept["columns"], row, strict=True)) for row in kept["data"]]
    values = {row["path"]: row["value"] for row in rows}
    assert values == {path: estimate.value for path, estimate in record.result.estimates().items()}


@pytest.fixture
def start_log(stack: EmbeddedStack) -> Callable[..., str]:
    def run(*arguments: str, cwd: Path) -> str:
        command = [sys.executable, "-m", "tiltscope", "log", *arguments, "--json"]
        env = {**os.environ, "TILTSCOPE_URL": stack.service.layout.url, "WANDB_SILENT": "true"}
        done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return str(json.loads(done.stdout)["run_id"])

    return run
