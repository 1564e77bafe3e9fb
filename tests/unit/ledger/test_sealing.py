import stat
from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography.fernet import Fernet

from ledger.errors import Unsealable
from ledger.sealing import KEY_FILE, Seal, open_seal


def test_what_is_sealed_is_not_seen_and_opens_again():
    seal = Seal([Fernet.generate_key().decode()])
    sealed = seal.seal("whsec_abc")
    assert "whsec" not in sealed
    assert seal.open(sealed) == "whsec_abc"


def test_another_key_opens_nothing_and_an_older_one_stays_until_it_is_dropped():
    old, new = (Fernet.generate_key().decode() for _ in range(2))
    sealed = Seal([old]).seal("s")
    with pytest.raises(Unsealable):
        Seal([new]).open(sealed)
    both = open_seal(f"{new}, {old}", None)
    assert both.open(sealed) == "s"
    assert Seal([new]).open(both.seal("t")) == "t"


@pytest.mark.parametrize("key", ["short", "é" * 44, "A" * 43])
def test_a_key_that_is_none_is_refused_without_showing_it(key):
    with pytest.raises(ValueError, match="openssl") as error:
        open_seal(key, None)
    assert key not in str(error.value)


def test_without_a_key_an_installation_in_one_folder_makes_its_own(tmp_path):
    home = tmp_path / "home"
    with ThreadPoolExecutor(8) as pool:
        seals = list(pool.map(lambda _: open_seal("", home), range(8)))
    sealed = seals[0].seal("s")
    assert {seal.open(sealed) for seal in seals} == {"s"}
    assert stat.S_IMODE((home / KEY_FILE).stat().st_mode) == 0o600
    assert [path.name for path in home.iterdir()] == [KEY_FILE]


def test_without_a_key_or_a_folder_there_is_no_seal():
    assert open_seal(" , ", None) is None
