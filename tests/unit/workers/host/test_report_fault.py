from workers.host import execute


def test_a_report_that_cannot_be_drawn_costs_no_result(monkeypatch):
    def broken(*_, **__):
        raise KeyError("verdict")

    monkeypatch.setattr(execute, "render_report", broken)
    report, warnings = execute._report({"analysis_id": "anl_1"}, [], "a title")
    assert report is None
    assert [warning["code"] for warning in warnings] == ["report_failed"]
    assert "KeyError" in warnings[0]["detail"]
