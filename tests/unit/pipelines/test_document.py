import json
import math

import pytest

from workers.pipelines.document import indented_json

VALUES = {
    "numbers": [0.1, -0.0, 1e-5, 5e-324, 1.7976931348623157e308, 1e16, 1 / 3, 7, 2**70],
    "texts": ["NaN", "-Infinity", 'é"\u2028\n\x7f\x00\\', ""],
    "others": [None, True, [], {}, {"a": [[1]]}],
}


def test_indented_text_is_that_of_the_standard_library_up_to_how_floats_are_written():
    text = indented_json(VALUES).decode()
    assert json.loads(text) == VALUES
    assert math.copysign(1, json.loads(text)["numbers"][1]) == -1
    standard = json.dumps(VALUES, ensure_ascii=False, indent=1).splitlines()
    apart = [line for line, other in zip(text.splitlines(), standard, strict=True) if line != other]
    assert [float(line.strip(" ,")) for line in apart] == [1e-5]


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_number_that_json_lacks_is_refused(number):
    with pytest.raises(ValueError, match="JSON"):
        indented_json({"text": "NaN", "number": [number]})
