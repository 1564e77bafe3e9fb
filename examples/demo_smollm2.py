"""A larger model through the real service: SmolLM2-135M and a LoRA trained on sums.

``make example-smollm2`` runs it, after the weights and the adapter are there. Nothing here is known
beforehand: whatever comes out is printed, and with ``--publish`` written for the documentation.
"""

import argparse
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from demo import fixed_plan, out, until_ended
from smollm2.sums import gym_accepts
from smollm2.tables import results_page

from tiltscope import Tiltscope, progress
from tiltscope.broker import free_port
from tiltscope.embedded import EmbeddedService, Layout
from tiltscope.errors import TiltscopeError
from tiltscope.requests import from_file, read_prompts
from tiltscope.summary import summarise

FOLDER = Path(__file__).resolve().parent / "smollm2"
HOME = FOLDER.parents[1] / ".tiltscope" / "smollm2"


def request() -> dict[str, Any]:
    """The body of `POST /v1/analyses`."""
    prompts = {"inline": read_prompts(FOLDER / "prompts.jsonl")}
    return from_file(FOLDER / "request.json") | {"prompts": prompts}


def main() -> None:
    """Start the service, run the analysis, keep what came out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--publish", type=Path, help="folder for results.md and report.html")
    publish = parser.parse_args().publish
    layout = Layout(HOME / "service", HOME / "models", port=free_port())
    try:
        with out.status("Starting gateway, broker, reconciler and a worker ..."):
            embedded = EmbeddedService(layout, say=out.print)
            embedded.start()
        try:
            with Tiltscope(layout.url) as service:
                run(embedded, service, publish or HOME)
        finally:
            embedded.stop()
    except TiltscopeError as error:
        out.print(f"example-smollm2: {error}", style="red", markup=False)
        sys.exit(error.exit_code)


def run(embedded: EmbeddedService, service: Tiltscope, target: Path) -> None:
    """One analysis, its summary, and its files in `target`."""
    analysis_id = service.analyses.submit(request()).id
    with progress.bar(out) as shown:
        task = shown.add_task("smollm2", total=None, detail="queued")
        until_ended(embedded, service, analysis_id, lambda state: progress.show(shown, task, state))
    analysis = service.analyses.get(analysis_id).model_dump(mode="json")
    result = service.analyses.result(analysis_id).model_dump(mode="json")
    rows = [row.model_dump(mode="json") for row in service.analyses.prompts(analysis_id)]
    samples = [sample.model_dump(mode="json") for sample in service.analyses.samples(analysis_id)]
    summarise(out, analysis, result)
    agreement = same_judgement(samples)
    out.print(f"reasoning-gym's own scorer: {agreement}")
    out.print(f"samples drawn: {result['usage']['samples']:,}; fixed plan: {fixed_plan(result):,}")
    target.mkdir(parents=True, exist_ok=True)
    (target / "result.json").write_text(json.dumps(result, indent=1, ensure_ascii=False))
    (target / "results.md").write_text(results_page(result, rows, samples, fixed_plan(result), agreement))
    service.analyses.report(analysis_id, target / "report.html")
    out.print(f"report: [bold]{target / 'report.html'}[/bold]")


def same_judgement(samples: list[dict[str, Any]]) -> str:
    """How often reasoning-gym, told the number that was found, agrees with the signal."""
    answers = {prompt["id"]: prompt["answer"] for prompt in read_prompts(FOLDER / "prompts.jsonl")}
    seen = Counter(
        gym_accepts(sample["text"], answers[sample["prompt_id"]]) == (sample["outcome"] == "correct")
        for sample in samples
    )
    return f"the same judgement on {seen[True]:,} of {seen.total():,} samples"


if __name__ == "__main__":
    main()
