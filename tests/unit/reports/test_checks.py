from hand_made import capability

from workers.estimators.verifier_noise import Audit
from workers.pipelines.document import estimate_json
from workers.reports.html import render_report


def test_the_verifiers_error_rates_are_shown_where_there_is_an_audit():
    document, rows = capability("elicitation")
    assert "Wrong texts accepted" not in render_report(document, rows, title="t")
    audit = Audit(right=200, accepted_right=190, wrong=300, accepted_wrong=3)
    document["diagnostics"]["verifier_audit"] = {
        "right": 200,
        "wrong": 300,
        "false_positive_rate": estimate_json(audit.false_positive_rate(0.95)),
        "false_negative_rate": estimate_json(audit.false_negative_rate(0.95)),
    }
    page = render_report(document, rows, title="t")
    assert "Wrong texts accepted" in page
    assert "in the audit of 300 wrong texts" in page
    assert "in the audit of 200 right texts" in page
