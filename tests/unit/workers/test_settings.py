import pytest
from pydantic import ValidationError

from workers.settings import Settings


def test_every_setting_gives_its_reason():
    assert all(field.description for field in Settings.model_fields.values())


def test_works_are_a_list_with_commas(monkeypatch):
    monkeypatch.setenv("TILTSCOPE_WORKS", "plan, finalise")
    assert Settings().works == {"plan", "finalise"}


def test_an_unknown_work_is_refused(monkeypatch):
    monkeypatch.setenv("TILTSCOPE_WORKS", "plan,dance")
    with pytest.raises(ValidationError, match="works"):
        Settings()


def test_a_worker_without_work_is_refused(monkeypatch):
    monkeypatch.setenv("TILTSCOPE_WORKS", "")
    with pytest.raises(ValidationError, match="never do anything"):
        Settings()


def test_a_lease_outlives_a_failed_renewal():
    with pytest.raises(ValidationError, match="at most half"):
        Settings(lease_seconds=4, renew_seconds=3)


def test_the_default_host_is_this_interpreter():
    assert Settings().host_program[1:] == ("-m", "workers.host.main")


def test_each_start_has_a_boot_id_of_its_own(monkeypatch):
    monkeypatch.delenv("TILTSCOPE_BOOT_ID", raising=False)
    assert Settings().boot_id != Settings().boot_id
    monkeypatch.setenv("TILTSCOPE_BOOT_ID", "b7")
    assert Settings().identity().boot_id == "b7"
