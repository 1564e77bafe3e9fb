"""The whole service with its artefacts in an S3-compatible store finds what it finds on a local disk."""

from agreement import differences, draws


def test_the_store_makes_no_difference(start_stack, s3, comparison, undisturbed):
    address = s3.new_bucket()
    stack = start_stack(TILTSCOPE_ARTEFACT_STORE=address, **s3.environment)
    try:
        analysis_id = stack.submit(comparison)
        found = stack.findings(analysis_id)
        assert draws(found.samples) == draws(undisturbed.samples)
        assert differences(found.document, undisturbed.document, 0.0) == []
        assert found.rows == undisturbed.rows
        bucket = address.removeprefix("s3://").partition("/")[0]
        objects = s3.client().list_objects_v2(Bucket=bucket)["Contents"]
        assert {key.split("/")[2] for key in (item["Key"] for item in objects)} == {analysis_id}
        assert stack.client.delete(f"/v1/analyses/{analysis_id}").status_code == 204
        assert s3.client().list_objects_v2(Bucket=bucket)["KeyCount"] == 0
    finally:
        stack.stop()
