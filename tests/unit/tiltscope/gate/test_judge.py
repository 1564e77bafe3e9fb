import math
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiltscope.gate.judge import Finding, Interval, judge, overall, subjects_of
from tiltscope.gate.policy import Policy
from tiltscope.gate.summaries import junit, markdown


def estimate(value, low, high, status="ok", reason="", unit="probability"):
    return {
        "value": value,
        "std_error": None,
        "ci_low": low,
        "ci_high": high,
        "confidence": 0.95,
        "n": 20,
        "unit": unit,
        "status": status,
        "reason": reason,
    }


def result(
    label="elicitation",
    gain=(0.5, 0.4, 0.6),
    lost=(-0.1, -0.2, -0.05),
    share=((0.1, 0.0, 0.2), (0.3, 0.2, 0.5)),
):
    return {
        "object": "analysis.result",
        "partial": False,
        "verdict": {
            "label": label,
            "reasons": ["so it is"],
            "creation_share": {"lower": estimate(*share[0]), "upper": estimate(*share[1])},
        },
        "gain": {"total": estimate(*gain), "lost": estimate(*lost)},
        "free_energy": {"drift": estimate(1.0, 0.5, 2.0, unit="nats")},
        "support": {"candidate": {"pass_at_k": [{"k": 8, "estimate": estimate(0.9, 0.8, 0.95)}]}},
    }


def findings(rules, content=None, **more):
    policy = Policy.model_validate({"version": 1, **rules})
    return judge(policy, subjects_of("a", result() if content is None else content, policy), **more)


def outcome(rules, content=None):
    (found,) = findings(rules, content)
    return found.outcome


@pytest.mark.parametrize(
    ("bound", "certified", "not_violated", "point"),
    [
        # the interval is [0.4, 0.6], the value 0.5
        ({"min": 0.3}, "passed", "passed", "passed"),
        ({"min": 0.4}, "passed", "passed", "passed"),
        ({"min": 0.45}, "uncertified", "passed", "passed"),
        ({"min": 0.55}, "uncertified", "passed", "failed"),
        ({"min": 0.6}, "uncertified", "passed", "failed"),
        ({"min": 0.61}, "failed", "failed", "failed"),
        ({"max": 0.7}, "passed", "passed", "passed"),
        ({"max": 0.55}, "uncertified", "passed", "passed"),
        ({"max": 0.45}, "uncertified", "passed", "failed"),
        ({"max": 0.39}, "failed", "failed", "failed"),
        ({"min": 0.3, "max": 0.55}, "uncertified", "passed", "passed"),
    ],
)
def test_the_ends_of_the_interval_decide(bound, certified, not_violated, point):
    wanted = {"certified": certified, "not_violated": not_violated, "point": point}
    for require, expected in wanted.items():
        assert outcome({"gain": bound, "require": require}) == expected
        assert outcome({"gain": {**bound, "require": require}}) == expected


finite = st.floats(-10, 10)


@given(
    ends=st.tuples(finite, finite, finite), least=finite, wider=st.tuples(st.floats(0, 5), st.floats(0, 5))
)
def test_a_wider_interval_certifies_less(ends, least, wider):
    low, value, high = sorted(ends)

    def decide(lo, hi, require):
        return outcome({"gain": {"min": least, "require": require}}, result(gain=(value, lo, hi)))

    strict, wide = decide(low, high, "certified"), decide(low - wider[0], high + wider[1], "certified")
    assert wide in {strict, "uncertified"}
    lenient = decide(low, high, "not_violated")
    assert lenient == {"passed": "passed", "uncertified": "passed", "failed": "failed"}[strict]
    assert decide(low, high, "point") == ("passed" if value >= least else "failed")


def test_an_open_end_certifies_nothing_on_its_side():
    open_above = result(gain=(0.5, 0.4, None))
    assert outcome({"gain": {"min": 0.4}}, open_above) == "passed"
    assert outcome({"gain": {"max": 9}}, open_above) == "uncertified"


def test_the_created_share_is_what_the_bounds_leave_open():
    """Lower bound 0.1 [0, 0.2], upper bound 0.3 [0.2, 0.5]: the share is somewhere in [0, 0.5]."""
    assert outcome({"created_share": {"max": 0.5}}) == "passed"
    assert outcome({"created_share": {"max": 0.4}}) == "uncertified"
    assert outcome({"created_share": {"max": 0.25, "require": "point"}}) == "failed"
    assert outcome({"created_share": {"max": 0.3, "require": "point"}}) == "passed"
    assert outcome({"created_share": {"min": 0.51}}) == "failed"


def test_shrinkage_is_what_was_lost():
    """gain.lost = -0.1 [-0.2, -0.05], so 0.1 [0.05, 0.2] was lost."""
    assert outcome({"shrinkage": {"max": 0.2}}) == "passed"
    assert outcome({"shrinkage": {"max": 0.1}}) == "uncertified"
    assert outcome({"shrinkage": {"max": 0.04}}) == "failed"
    assert findings({"shrinkage": {"max": 0.2}})[0].detail.startswith("0.1 [0.05, 0.2]")


@pytest.mark.parametrize(
    ("label", "allow", "expected"),
    [
        ("elicitation", ["elicitation", "mixed"], "passed"),
        ("creation", ["elicitation"], "failed"),
        ("inconclusive", ["elicitation"], "uncertified"),
        ("inconclusive", ["elicitation", "inconclusive"], "passed"),
    ],
)
def test_verdicts(label, allow, expected):
    assert outcome({"verdict": {"allow": allow}}, result(label)) == expected


def test_what_is_missing_cannot_certify():
    (found,) = findings({"estimates": {"gain.totl": {"min": 0}}})
    assert (found.outcome, found.detail) == (
        "uncertified",
        "the result has no gain.totl; did you mean gain.total?",
    )
    assert outcome({"verdict": {"allow": ["mixed"]}}, {"partial": False}) == "uncertified"
    rules = {"gain": {"min": 0}, "analyses": ["grpo", "sft"]}
    named = findings(rules, names=["grpo"])
    assert [(one.subject, one.outcome) for one in named] == [("sft", "uncertified"), ("a", "passed")]


def test_what_has_no_value_or_is_unreliable_cannot_certify():
    undefined = result(gain=(None, None, None, "undefined", "no successes"))
    (found,) = findings({"gain": {"min": 0, "require": "not_violated"}}, undefined)
    assert (found.outcome, found.detail) == ("uncertified", "undefined: no successes")
    shaky = result(gain=(0.5, 0.4, 0.6, "unreliable", "heavy tail"))
    assert outcome({"gain": {"min": 0}}, shaky) == "uncertified"
    assert outcome({"gain": {"min": 0, "accept_unreliable": True}}, shaky) == "passed"


def test_a_partial_result_cannot_certify_unless_that_is_accepted():
    partial = {**result(), "partial": True}
    assert overall(findings({"gain": {"min": 0}}, partial)) == "uncertified"
    assert overall(findings({"gain": {"min": 0}, "accept_partial": True}, partial)) == "passed"


def test_estimates_by_path():
    assert outcome({"estimates": {"support.candidate.pass_at_k[k=8].estimate": {"min": 0.8}}}) == "passed"
    assert outcome({"drift": {"max": 1.5}}) == "uncertified"


def test_a_trajectory_is_gated_by_its_last_checkpoint_or_by_all():
    steps = [result(gain=gain) for gain in ((0.0, -0.1, 0.1), (0.5, 0.4, 0.6))]
    checkpoints = [{"candidate": {"model": f"step-{i}"}, **step} for i, step in enumerate(steps)]
    content = {"partial": False, "checkpoints": checkpoints}
    last = findings({"gain": {"min": 0.2}}, content)
    assert [(one.subject, one.outcome) for one in last] == [("a / step-1", "passed")]
    every = findings({"gain": {"min": 0.2}, "trajectory": "every"}, content)
    assert [one.outcome for one in every] == ["failed", "passed"]


def test_a_warning_decides_nothing():
    found = findings({"gain": {"min": 0.9, "on_failure": "warn"}})
    assert found[0].outcome == "failed"
    assert overall(found) == "passed"


def test_broken_outranks_uncertified():
    made = [Finding("a", "r", outcome, "") for outcome in ("passed", "uncertified", "failed")]
    assert [overall(made[:count]) for count in (1, 2, 3)] == ["passed", "uncertified", "failed"]


def test_intervals_print_without_minus_zero():
    assert str(Interval(-0.2, 0.0, 0.0, 0.0).negated()) == "0 [0, 0.2]"
    assert str(Interval(-math.inf, 1.0, 0.5, 0.5)) == "0.5 [-inf, 1]"


NASTY = "evil ]]> <b>|`x`|\x00\x1b[31m\nname"


def test_junit_counts_and_survives_any_name():
    made = [
        Finding(NASTY, "gain ≥ 1", "failed", "0.5"),
        Finding(NASTY, "drift ≤ 1", "uncertified", "?"),
        Finding(NASTY, "kl ≤ 1", "failed", "2", counts=False),
        Finding("other", "gain ≥ 1", "passed", "1.5"),
    ]
    root = ElementTree.fromstring(junit(made))
    first, second = root.findall("testsuite")
    counts = {key: first.get(key) for key in ("tests", "failures", "errors", "skipped")}
    assert counts == {"tests": "3", "failures": "1", "errors": "1", "skipped": "1"}
    assert [child.tag for case in first for child in case] == ["failure", "error", "skipped"]
    assert second.get("failures") == second.get("errors") == "0"


def test_markdown_keeps_its_columns_whatever_the_name():
    table = markdown([Finding(NASTY, "gain ≥ 1", "failed", "a|b")]).splitlines()
    assert table[0] == "### The gate's policy is broken"
    assert [line.replace("\\|", "").count("|") for line in table[2:]] == [5, 5, 5]
    assert "\\<b\\>" in table[4]
