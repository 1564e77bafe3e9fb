"""A gate's findings for machines and for people: JUnit XML and Markdown."""

import re
from collections.abc import Sequence
from itertools import groupby
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from tiltscope.gate.judge import Finding, overall

NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
SIGNS = {"passed": "✅ passed", "failed": "❌ broken", "uncertified": "❔ cannot certify"}
HEADLINES = {
    "passed": "The gate passes",
    "failed": "The gate's policy is broken",
    "uncertified": "The gate cannot certify",
}


def junit(findings: Sequence[Finding]) -> str:
    """JUnit XML: a suite for each subject, a case for each rule.

    A broken rule is a failure, one that cannot be certified an error, one that only warns is skipped.
    """
    root = Element("testsuites", name="tiltscope gate")
    for subject, group in groupby(findings, key=lambda finding: finding.subject):
        cases = list(group)
        suite = SubElement(root, "testsuite", name=_xml(subject), tests=str(len(cases)))
        broken = [case for case in cases if case.counts]
        suite.set("failures", str(sum(case.outcome == "failed" for case in broken)))
        suite.set("errors", str(sum(case.outcome == "uncertified" for case in broken)))
        suite.set("skipped", str(sum(case.outcome != "passed" and not case.counts for case in cases)))
        for case in cases:
            _case(suite, case)
    indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(root, encoding="unicode") + "\n"


def _case(suite: Element, finding: Finding) -> None:
    case = SubElement(suite, "testcase", name=_xml(finding.rule), classname=_xml(finding.subject))
    if finding.outcome == "passed":
        SubElement(case, "system-out").text = _xml(finding.detail)
        return
    kind = "skipped" if not finding.counts else "failure" if finding.outcome == "failed" else "error"
    told = SubElement(case, kind, message=_xml(finding.detail))
    if kind != "skipped":
        told.set("type", finding.outcome)


def _xml(text: str) -> str:
    """Without the characters that XML cannot carry: names are what callers chose."""
    return NOT_XML.sub("\ufffd", text)


def markdown(findings: Sequence[Finding]) -> str:
    """A Markdown table below a headline."""
    lines = [
        f"### {HEADLINES[overall(findings)]}",
        "",
        "| analysis | rule | outcome | found |",
        "|---|---|---|---|",
    ]
    for finding in findings:
        sign = SIGNS[finding.outcome] + (
            "" if finding.counts or finding.outcome == "passed" else " (warning)"
        )
        cells = (finding.subject, finding.rule, sign, finding.detail)
        lines.append("| " + " | ".join(_cell(cell) for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    escaped = re.sub(r"([\\`*_{}\[\]<>#|!])", r"\\\1", text)
    return " ".join(escaped.split())
