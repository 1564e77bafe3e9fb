"""`tiltscope gate`."""

import json
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Column, Table

from tiltscope.cli.terminal import Json, Url, client, err, out, print_json
from tiltscope.errors import AnalysisError, UsageError
from tiltscope.gate.judge import Finding, Subject, judge, overall, subjects_of
from tiltscope.gate.policy import Policy, read_policy
from tiltscope.gate.summaries import HEADLINES, junit, markdown
from tiltscope.progress import in_terminal
from tiltscope.synchronous.client import Tiltscope

EXIT_CODES = {"passed": 0, "failed": 10, "uncertified": 11}
STYLES = {"passed": "green", "failed": "red", "uncertified": "yellow"}


def gate(
    policy: Annotated[Path | None, typer.Argument(help="Policy file; see docs/gate.md.")] = None,
    analyses: Annotated[list[str] | None, typer.Argument(help="Analysis ids, or result.json files.")] = None,
    label: Annotated[str | None, typer.Option(help="Gate every analysis with this label, key:value.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="With --label: only the newest so many.")] = 100,
    junit_file: Annotated[Path | None, typer.Option("--junit", help="Write JUnit XML here.")] = None,
    markdown_file: Annotated[Path | None, typer.Option("--markdown", help="Write Markdown here.")] = None,
    timeout: Annotated[float | None, typer.Option(help="Seconds to wait for an analysis that runs.")] = None,
    schema: Annotated[bool, typer.Option("--schema", help="Print the policy's JSON Schema.")] = False,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Fail a pipeline when gain, created share, shrinkage, drift or verdict break a policy.

    Exit codes: 0 every rule holds, 10 a rule is broken, 11 something cannot be certified.

    Example: tiltscope gate policy.yaml anl_01JD8ZC6Q5V6TQ3N4R5S6T7V8W --junit gate.xml

    Example: tiltscope gate policy.yaml --label run:grpo-7 --markdown "$GITHUB_STEP_SUMMARY"
    """
    if schema:
        print_json(Policy.model_json_schema())
        return
    if policy is None:
        raise UsageError("name a policy file: tiltscope gate policy.yaml anl_...")
    demanded = read_policy(policy)
    subjects, names, findings = _collect(demanded, analyses or [], label, limit, timeout, url)
    findings = findings + judge(demanded, subjects, names)
    if junit_file is not None:
        junit_file.write_text(junit(findings), encoding="utf-8")
    if markdown_file is not None:
        markdown_file.write_text(markdown(findings), encoding="utf-8")
    _tell(findings, as_json=as_json)
    raise typer.Exit(EXIT_CODES[overall(findings)])


def _collect(
    policy: Policy, wanted: list[str], label: str | None, limit: int, timeout: float | None, url: str | None
) -> tuple[list[Subject], list[str], list[Finding]]:
    subjects: list[Subject] = []
    names: list[str] = []
    findings: list[Finding] = []
    files = [one for one in wanted if one.endswith(".json")]
    for file in files:
        names.append(file)
        subjects += subjects_of(file, _read_result(Path(file)), policy)
    ids = [one for one in wanted if one not in files]
    if ids or label is not None:
        with client(url) as service:
            if label is not None:
                ids += [
                    one.id for one in service.analyses.list(label=label, limit=limit) if one.id not in ids
                ]
            for analysis_id in ids:
                name, content = _result(service, analysis_id, timeout)
                names.append(name)
                if isinstance(content, str):
                    findings.append(Finding(name, "has a result", "uncertified", content))
                else:
                    subjects += subjects_of(name, content, policy)
    if not names:
        where = (
            f"no analysis has the label {label}"
            if label is not None
            else "name analyses, or --label key:value"
        )
        raise UsageError(f"nothing to gate: {where}")
    return subjects, names, findings


def _result(service: Tiltscope, analysis_id: str, timeout: float | None) -> tuple[str, dict[str, Any] | str]:
    analysis = service.analyses.get(analysis_id)
    name = analysis.name or analysis.id
    try:
        if analysis.finished_at is None:
            with in_terminal(name, err) as observer:
                service.analyses.until_ended(analysis_id, progress=observer, timeout=timeout)
        elif analysis.status == "failed":
            problem = analysis.error
            return name, "the analysis failed" + (f": {problem.detail}" if problem is not None else "")
        return name, service.analyses.result(analysis_id).model_dump(mode="json", exclude_unset=True)
    except AnalysisError as error:
        return name, str(error)


def _read_result(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read {path}: {error}") from error
    if not isinstance(content, dict) or content.get("object") != "analysis.result":
        raise UsageError(f"{path} is no result document: `tiltscope result anl_... --json` prints one")
    return content


def _tell(findings: list[Finding], *, as_json: bool) -> None:
    outcome = overall(findings)
    if as_json:
        names = ("subject", "rule", "outcome", "detail", "counts")
        rows = [{name: getattr(finding, name) for name in names} for finding in findings]
        print_json({"outcome": outcome, "findings": rows})
        return
    for subject, group in groupby(findings, key=lambda finding: finding.subject):
        rule = Column("rule", overflow="fold")
        table = Table("", rule, "found", box=None, title=escape(subject), title_justify="left")
        for finding in group:
            said = "cannot certify" if finding.outcome == "uncertified" else finding.outcome
            style = STYLES[finding.outcome]
            mark = "" if finding.counts else "\n(warning)"
            table.add_row(f"[{style}]{said}{mark}[/{style}]", escape(finding.rule), escape(finding.detail))
        out.print(table)
    out.print(HEADLINES[outcome] + ".", style=STYLES[outcome])
