import json
from pathlib import Path

import pytest

from tiltscope import UsageError
from tiltscope.gate.policy import Policy, read_policy

ROOT = Path(__file__).parents[4]


def read(tmp_path, text):
    file = tmp_path / "policy.yaml"
    file.write_text(text)
    return read_policy(file)


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("version: 1\ngain:\n  min: 0.1\n  minimum: 3\n", 4, "gain.minimum: no such field; there are"),
        ("version: 1\ngain:\n  min: much\n", 3, "gain.min: Input should be a valid number"),
        ("version: 1\n\ngain: {min: 2, max: 1}\n", 3, "nothing can pass"),
        ("version: 1\ngain: {}\n", 2, "give `min` or `max`"),
        (
            "version: 1\nverdict:\n  allow:\n    - elicitation\n    - good\n",
            5,
            "verdict.allow.1: Input should be",
        ),
        ("version: 1\n", 1, "the policy has no rule"),
        ("gain: {min: 0}\n", 1, "version: is required"),
        ("version: 2\ngain: {min: 0}\n", 1, "version: Input should be 1"),
        ("version: 1\ngain: {min: 0}\ndrift: {max: 1}\ngain: {min: 1}\n", 4, "`gain` is there twice"),
        ("version: 1\ngain: {min: .nan}\n", 2, "finite"),
        ("version: 1\nestimates:\n  a.b: {min: 1}\n  c.d: {low: 1}\n", 4, "estimates.c.d.low: no such field"),
        ("version: 1\ngain: [1\n", 3, "expected"),
        ("- 1\n", 1, "Input should be a valid dictionary"),
        ("", 1, "Input should be a valid dictionary"),
    ],
)
def test_every_fault_has_its_line(tmp_path, text, line, said):
    with pytest.raises(UsageError) as caught:
        read(tmp_path, text)
    assert f"policy.yaml:{line}: " in str(caught.value)
    assert said in str(caught.value)


def test_all_faults_are_told_in_order(tmp_path):
    with pytest.raises(UsageError) as caught:
        read(tmp_path, "version: 1\ndrift: {mx: 1}\ngain: {min: x}\n")
    lines = [line.split("policy.yaml:")[1].partition(":")[0] for line in str(caught.value).splitlines()]
    assert lines == sorted(lines)
    assert len(lines) == 2


def test_aliases_cannot_make_it_endless(tmp_path):
    levels = "\n".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 12))
    with pytest.raises(UsageError, match="entries"):
        read(tmp_path, f"l0: &l0 [1]\n{levels}\n")
    with pytest.raises(UsageError, match="levels"):
        read(tmp_path, "a: &a {b: *a}\n")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UsageError, match="cannot read"):
        read_policy(tmp_path / "none.yaml")


def test_the_committed_schema_is_that_of_the_policy():
    committed = json.loads((ROOT / "docs" / "gate.schema.json").read_text())
    assert committed == Policy.model_json_schema(), (
        "write it anew: tiltscope gate --schema > docs/gate.schema.json"
    )


@pytest.mark.parametrize(
    "file", sorted((ROOT / "examples" / "ci").glob("*.policy.yaml")), ids=lambda f: f.name
)
def test_the_examples_are_policies(file):
    assert read_policy(file).version == 1


def test_the_policy_in_the_documentation_is_one(tmp_path):
    blocks = (ROOT / "docs" / "gate.md").read_text().split("```yaml\n")[1:]
    policies = [block.partition("```")[0] for block in blocks if "version: 1" in block]
    assert policies
    for text in policies:
        read(tmp_path, text)
