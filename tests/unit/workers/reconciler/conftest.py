import pytest

from ledger.database import connect, migrate


@pytest.fixture
def engine(tmp_path):
    url = f"sqlite:///{tmp_path / 'ledger.sqlite3'}"
    migrate(url)
    engine = connect(url)
    yield engine
    engine.dispose()
