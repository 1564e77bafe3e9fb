"""The Python client and the command line against the real service."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from embedded_stack import EmbeddedStack, Findings

from tiltscope import AsyncTiltscope, ConflictError, InvalidRequestError, NotFoundError, Tiltscope
from tiltscope.broker import free_port


@pytest.fixture(scope="module")
def finished(stack: EmbeddedStack, undisturbed: Findings) -> str:
    """The id of a finished comparison."""
    return str(undisturbed.document["analysis_id"])


def test_from_prompts_to_a_result(stack: EmbeddedStack, comparison: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "prompts.jsonl"
    file.write_text("".join(json.dumps(prompt) + "\n" for prompt in comparison["prompts"]["inline"]))
    states = []
    with Tiltscope(stack.service.layout.url) as client:
        analysis = client.analyses.create(
            reference="tiny-base",
            candidate="tiny-grpo",
            prompts=file,
            name="through the client",
            labels={"run": "client"},
            budget=comparison["budget"],
            seed=11,
        )
        result = client.analyses.wait(analysis.id, progress=states.append)
        assert [one.id for one in client.analyses.list(label="run:client")] == [analysis.id]
        rows = client.analyses.prompts(analysis.id).all()
        page = client.analyses.report(analysis.id, tmp_path / "report.html")
    assert states[-1].status == "succeeded"
    assert max(state.completed for state in states) > 0
    assert result.verdict is not None
    assert result.gain is not None
    assert [row.prompt_id for row in rows] == [p["id"] for p in comparison["prompts"]["inline"]]
    assert (tmp_path / "report.html").read_bytes() == page
    assert page.startswith(b"<!doctype html>")


def test_a_result_is_read_whole_and_nothing_is_left_untyped(
    stack: EmbeddedStack, undisturbed: Findings
) -> None:
    with Tiltscope(stack.service.layout.url) as client:
        result = client.analyses.result(undisturbed.document["analysis_id"])
        rows = client.analyses.prompts(result.analysis_id).all()
    assert result.model_dump(mode="json", exclude_unset=True) == undisturbed.document
    assert [row.model_dump(mode="json", exclude_unset=True) for row in rows] == undisturbed.rows
    assert result.model_extra == {}
    estimates = result.estimates()
    assert estimates["gain.total"].value == undisturbed.document["gain"]["total"]["value"]
    curve = undisturbed.document["support"]["candidate"]["pass_at_k"]
    four = next(point["estimate"]["value"] for point in curve if point["k"] == 4)
    assert estimates["support.candidate.pass_at_k[k=4].estimate"].value == four


def test_tables_and_plots(stack: EmbeddedStack, finished: str, tmp_path: Path) -> None:
    with Tiltscope(stack.service.layout.url) as client:
        result = client.analyses.result(finished)
        frame = client.analyses.prompts(finished).to_pandas()
        lazy = client.analyses.prompts(finished).to_polars()
        samples = client.analyses.samples(finished, prompt_id=frame["prompt_id"][0], limit=5).all()
    assert len(samples) == 5
    assert {sample.prompt_id for sample in samples} == {frame["prompt_id"][0]}
    assert frame["prompt_id"].tolist() == lazy["prompt_id"].to_list()
    assert result.to_pandas().loc["gain.total", "value"] == result.gain.total.value
    assert result.to_polars().height == len(result.estimates())
    figure = result.plot()
    titles = [axes.get_title() or axes.get_title(loc="left") for axes in figure.axes]
    assert [title.split()[0] for title in titles] == ["Gain", "pass@k", "KL(candidate", "Prompts"]
    figure.savefig(tmp_path / "result.png")
    assert (tmp_path / "result.png").stat().st_size > 10_000


def test_the_asynchronous_client(stack: EmbeddedStack, finished: str, undisturbed: Findings) -> None:
    async def go() -> tuple[Any, list[str], list[str]]:
        async with AsyncTiltscope(stack.service.layout.url) as client:
            result = await client.analyses.wait(finished)
            models = [model.id async for model in client.models.list()]
            events = [event.type async for event in client.analyses.events(finished)]
            return result, models, events

    result, models, events = asyncio.run(go())
    assert result.gain.total.value == undisturbed.document["gain"]["total"]["value"]
    assert "tiny-grpo" in models
    assert events[-1] == "done"


def test_waiting_outlives_the_gateway(stack: EmbeddedStack, comparison: dict[str, Any]) -> None:
    """Events come without gap or repeat though the gateway is killed while they are followed."""
    with Tiltscope(stack.service.layout.url) as client:
        analysis = client.analyses.submit({**comparison, "seed": 417})
        seen = []
        for event in client.analyses.events(analysis.id):
            seen.append(event.id)
            if event.id in {2, 4}:
                os.kill(stack.part("gateway").pid, signal.SIGKILL)
                stack.until(lambda: stack.service.child("gateway").pid, "the gateway is back")
                stack.until(stack.is_ready, "the gateway answers")
        assert client.analyses.wait(analysis.id).verdict is not None
    assert seen == list(range(1, len(seen) + 1))
    assert len(seen) > 4


def test_going_on_under_a_larger_budget(stack: EmbeddedStack, comparison: dict[str, Any]) -> None:
    url = stack.service.layout.url
    budget = {**comparison["budget"], "samples_per_prompt": 8, "adaptive": False}
    with Tiltscope(url) as client:
        analysis = client.analyses.submit({**comparison, "budget": budget, "seed": 420})
        assert client.analyses.wait(analysis.id).revision == 1
        grown = client.analyses.extend(analysis.id, budget={"samples_per_prompt": 10})
        assert (grown.revision, grown.result_revision) == (2, 1)
        assert client.analyses.wait(analysis.id).revision == 2
        with pytest.raises(InvalidRequestError, match="larger"):
            client.analyses.extend(analysis.id, budget={"samples_per_prompt": 10})
    done = run("extend", analysis.id, "--samples-per-prompt", "12", "--wait", "--json", url=url)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["revision"] == 3
    assert "revision" in run("show", analysis.id, url=url).stdout
    refused = run("extend", analysis.id, "--samples-per-prompt", "11", url=url)
    assert refused.returncode == 3
    assert "what was drawn stays" in refused.stderr


def test_errors_say_what_they_are(stack: EmbeddedStack, comparison: dict[str, Any]) -> None:
    with Tiltscope(stack.service.layout.url) as client:
        with pytest.raises(InvalidRequestError) as invalid:
            client.analyses.create(
                reference="tiny-base", prompts=[{"id": "p", "prompt": "1+1=", "answr": "2"}]
            )
        assert invalid.value.errors[0]["pointer"] == "/prompts/inline/0/answr"
        with pytest.raises(NotFoundError):
            client.analyses.get("anl_none")
        analysis = client.analyses.submit({**comparison, "seed": 418})
        with pytest.raises(ConflictError) as early:
            client.analyses.result(analysis.id)
        assert early.value.code == "result_not_ready"
        client.analyses.cancel(analysis.id)
        client.analyses.until_ended(analysis.id)
        client.analyses.update(analysis.id, name="short", labels={"kept": "no"})
        assert client.analyses.get(analysis.id).name == "short"
        with pytest.raises(ConflictError):
            client.analyses.update(analysis.id, name="late", if_match='W/"0-0-0"')
        client.analyses.delete(analysis.id)
        with pytest.raises(NotFoundError):
            client.analyses.get(analysis.id)


def test_many_prompts_become_a_data_set(stack: EmbeddedStack) -> None:
    prompts = [
        {"id": f"p{n}", "prompt": f"{n % 90 + 10}+11=", "answer": str(n % 90 + 21)} for n in range(1001)
    ]
    with Tiltscope(stack.service.layout.url) as client:
        kept = client.datasets.create(prompts, name="many")
        assert client.datasets.create(prompts).id == kept.id
        assert kept.prompts == 1001
        assert kept.id in [one.id for one in client.datasets.list()]
        assert [one["id"] for one in client.datasets.content(kept.id)] == [one["id"] for one in prompts]
        analysis = client.analyses.create(reference="tiny-base", prompts=prompts, kind="support")
        client.analyses.cancel(analysis.id)
        assert analysis.spec["prompts"] == {"dataset": kept.id}
        client.analyses.until_ended(analysis.id)
        with pytest.raises(InvalidRequestError) as caught:
            client.datasets.create([{"id": "p"}])
        assert caught.value.errors


def run(*arguments: str, url: str, **more: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "TILTSCOPE_URL": url, "COLUMNS": "100", "NO_COLOR": "1", **more}
    command = [sys.executable, "-m", "tiltscope", *arguments]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


LOG = Path(__file__).parents[1] / "unit/importers/logs/lm_eval_samples_toy_gen_repeats3_two_filters.jsonl"


def test_a_log_is_imported_on_the_command_line(stack: EmbeddedStack, tmp_path: Path) -> None:
    url = stack.service.layout.url
    done = run("import", str(LOG), "--format", "lm-eval", "--name", "toy", url=url)
    assert done.returncode == 0, done.stderr
    assert "6 samples of 2 prompts, 3 to 3 each; 2 prompts with an answer" in done.stderr
    assert "several_filters" in done.stderr
    with Tiltscope(url) as client:
        found = client.imports.get(done.stdout.strip())
        assert (found.name, found.status) == ("toy", "succeeded")
        assert found.id in [one.id for one in client.imports.list()]
        client.imports.delete(found.id)
        with pytest.raises(NotFoundError):
            client.imports.get(found.id)
        again = [client.imports.create(LOG, format="lm-eval", idempotency_key="one").id for _ in range(2)]
        assert again[0] == again[1]
    broken = tmp_path / "broken.jsonl"
    broken.write_text("{}\n")
    refused = run("import", str(broken), "--format", "jsonl", url=url)
    assert refused.returncode == 5
    assert "broken.jsonl cannot be used: line 1" in refused.stderr.replace("\n", " ")


class TestCommandLine:
    @pytest.fixture
    def url(self, stack: EmbeddedStack) -> str:
        return stack.service.layout.url

    def test_submit_and_wait(self, url: str, comparison: dict[str, Any], tmp_path: Path) -> None:
        request = tmp_path / "request.json"
        request.write_text(json.dumps(comparison))
        first = run(
            "submit", "--request", str(request), "--key", "once", "--label", "ci:yes", "--json", url=url
        )
        again = run("submit", "--request", str(request), "--key", "once", "--label", "ci:yes", url=url)
        analysis = json.loads(first.stdout)
        assert analysis["labels"] == {"ci": "yes"}
        assert again.stdout.strip() == analysis["id"]
        waited = run("wait", analysis["id"], "--json", url=url)
        assert json.loads(waited.stdout)["analysis_id"] == analysis["id"]
        shown = run("wait", analysis["id"], url=url)
        assert "Gain in success probability" in shown.stdout
        assert max(map(len, shown.stdout.splitlines())) <= 100

    @pytest.mark.parametrize("command", ["show", "result", "report", "logs", "cancel"])
    def test_what_takes_an_id(self, url: str, finished: str, tmp_path: Path, command: str) -> None:
        file = str(tmp_path / "r.html")
        options = ["--output", file] if command == "report" else []
        plain = run(command, finished, *options, url=url)
        as_json = run(command, finished, *options, "--json", url=url)
        if command == "cancel":
            assert (plain.returncode, as_json.returncode) in {(0, 0), (3, 3)}
            return
        assert plain.returncode == as_json.returncode == 0, plain.stderr + as_json.stderr
        assert plain.stdout != as_json.stdout
        documents = [json.loads(line) for line in as_json.stdout.splitlines()] if command == "logs" else []
        assert documents or json.loads(as_json.stdout)

    def test_lists(self, url: str, finished: str) -> None:
        found = json.loads(run("ls", "--limit", "3", "--json", url=url).stdout)
        assert 0 < len(found) <= 3
        assert finished in run("ls", "--limit", "100", url=url).stdout
        assert "tiny-base" in run("models", "ls", url=url).stdout
        assert {m["id"] for m in json.loads(run("models", "ls", "--json", url=url).stdout)} >= {"tiny-base"}

    @pytest.mark.parametrize(
        ("arguments", "code", "said"),
        [
            (["submit"], 2, "--reference and --prompts"),
            (["submit", "--nonsense"], 2, "nonsense"),
            (["submit", "--reference", "a", "--prompts", "none.jsonl"], 2, "cannot read none.jsonl"),
            (["show", "anl_none"], 3, "no such analysis"),
            (["models", "add", "x", "/nowhere"], 6, "/nowhere is no folder"),
        ],
    )
    def test_exit_codes(self, url: str, arguments: list[str], code: int, said: str) -> None:
        done = run(*arguments, url=url)
        assert done.returncode == code
        assert said in done.stderr
        assert "Traceback" not in done.stderr
        assert done.stdout == ""

    def test_nobody_there_is_4(self) -> None:
        done = run("ls", url=f"http://127.0.0.1:{free_port()}")
        assert done.returncode == 4
        assert "tiltscope up" in done.stderr

    def test_no_result_is_5(self, url: str, comparison: dict[str, Any], tmp_path: Path) -> None:
        request = tmp_path / "request.json"
        request.write_text(json.dumps({**comparison, "seed": 419}))
        analysis_id = run("submit", "--request", str(request), url=url).stdout.strip()
        done = run("wait", analysis_id, "--timeout", "0", url=url)
        assert done.returncode == 5
        assert f"tiltscope wait {analysis_id}" in done.stderr
        run("cancel", analysis_id, url=url)

    def test_every_command_has_help_with_an_example(self) -> None:
        listed = run("--help", url="").stdout
        commands = re.findall(r"^  (\w+) ", listed.partition("Commands:")[2], re.MULTILINE)
        assert {"up", "submit", "wait", "ls", "show", "cancel", "result", "report", "logs"} <= set(commands)
        for command in [[name] for name in commands if name != "models"] + [
            ["models", "add"],
            ["models", "ls"],
        ]:
            helped = run(*command, "--help", url="")
            assert helped.returncode == 0
            assert f"tiltscope {' '.join(command)}" in helped.stdout
            assert "Example" in helped.stdout

    def test_a_shell_completes_commands(self) -> None:
        env = {"_TILTSCOPE_COMPLETE": "complete_bash", "COMP_WORDS": "tiltscope re", "COMP_CWORD": "1"}
        program = str(Path(sys.executable).with_name("tiltscope"))
        done = subprocess.run(
            [program], env={**os.environ, **env}, capture_output=True, text=True, check=False
        )
        assert set(done.stdout.split()) >= {"result", "report"}

    @pytest.mark.parametrize(
        ("rules", "code"),
        [
            ("gain: {min: -1}", 0),
            ("gain: {max: -0.99}", 10),
            ("estimates: {gain.none: {min: 0}}", 11),
            ("gain: {minimum: 0}", 2),
        ],
    )
    def test_gate(self, url: str, finished: str, tmp_path: Path, rules: str, code: int) -> None:
        policy = tmp_path / "policy.yaml"
        policy.write_text(f"version: 1\n{rules}\n")
        done = run("gate", str(policy), finished, "--junit", str(tmp_path / "gate.xml"), url=url)
        assert done.returncode == code, done.stderr
        if code == 2:
            assert f"{policy}:2: gain.minimum: no such field" in done.stderr
            return
        kept = tmp_path / "result.json"
        kept.write_text(run("result", finished, "--json", url=url).stdout)
        offline = run("gate", str(policy), str(kept), "--json", url="http://127.0.0.1:1")
        assert offline.returncode == code
        assert json.loads(offline.stdout)["findings"]
        assert "testsuite" in (tmp_path / "gate.xml").read_text()

    def test_gate_with_nothing_to_gate(self, url: str, tmp_path: Path) -> None:
        policy = tmp_path / "policy.yaml"
        policy.write_text("version: 1\ngain: {min: 0}\n")
        done = run("gate", str(policy), "--label", "run:none", url=url)
        assert (done.returncode, "no analysis has the label" in done.stderr) == (2, True)

    def test_doctor(self, stack: EmbeddedStack, model_folder: Path, tmp_path: Path) -> None:
        port = str(stack.service.layout.port)
        done = run("doctor", "--models", str(model_folder), "--port", port, "--json", url="")
        assert done.returncode == 0, done.stdout
        checks = {check["part"]: check for check in json.loads(done.stdout)["checks"]}
        assert "and is ready" in checks["port"]["found"]
        assert "tiny-grpo" in checks["models"]["found"]
        broken = run(
            "doctor", url="", TILTSCOPE_REDIS_URL="redis://127.0.0.1:1/0", TILTSCOPE_HOME=str(tmp_path)
        )
        assert broken.returncode == 6
        assert "unset TILTSCOPE_REDIS_URL" in broken.stdout
