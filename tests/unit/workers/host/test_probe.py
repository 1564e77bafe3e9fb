"""A device is probed by whoever runs models on it, and left alone by whoever does not."""

import pytest

from workers.errors import AnalysisFault
from workers.host import execute, reward_room
from workers.host.reward_room import RewardRoom


@pytest.mark.parametrize(
    ("works", "probed"), [("sample,score", "cuda"), ("score", "cuda"), ("plan,verify,finalise", "cpu")]
)
def test_a_desk_leaves_the_gpu_alone(monkeypatch, works, probed):
    asked = []
    monkeypatch.setenv("TILTSCOPE_WORKS", works)
    monkeypatch.setattr(execute, "device", lambda: "cuda")
    monkeypatch.setattr(execute, "known_answer", asked.append)
    assert execute.probe() is None
    assert asked == [probed]


def test_a_reward_model_is_not_loaded_onto_a_device_that_miscalculates(monkeypatch, tmp_path):
    row = {"path": str(tmp_path), "weights_digest": "w", "tokenizer_digest": "t"}
    monkeypatch.setattr(reward_room, "known_answer", lambda _: "2 + 2 is 5")
    with pytest.raises(RuntimeError, match=r"2 \+ 2 is 5"):
        RewardRoom({"taste": row}).check("taste")
    monkeypatch.setattr(reward_room, "known_answer", lambda _: None)
    with pytest.raises(AnalysisFault, match="taste"):
        RewardRoom({"taste": row}).check("taste")
