import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import func, insert, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from ledger.database import MIGRATIONS, connect, migrate, read, schema_is_current, write
from ledger.requests import ASKED
from ledger.tables import analyses, events, metadata, workers
from ledger.transitions import lock_analysis


@pytest.fixture
def sqlite(sqlite_url):
    engine = connect(sqlite_url)
    yield engine
    engine.dispose()


class TestSqlite:
    def test_settings_of_every_connection(self, sqlite):
        def settings(_):
            with read(sqlite) as conn:
                names = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
                return [conn.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in names]

        with ThreadPoolExecutor(3) as pool:
            # synchronous: 2 is FULL
            assert list(pool.map(settings, range(6))) == [["wal", 2, 1, 10_000]] * 6

    def test_write_locks_before_its_first_statement(self, sqlite, sqlite_url):
        other = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), timeout=0, isolation_level=None)
        with write(sqlite), pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
        other.execute("BEGIN IMMEDIATE")
        other.close()

    def test_readers_see_a_snapshot_and_do_not_block(self, sqlite):
        with read(sqlite) as reader:
            assert reader.execute(select(workers)).all() == []
            with write(sqlite) as writer:
                writer.execute(insert(workers).values(**a_worker("w")))
            assert reader.execute(select(workers)).all() == []

    def test_read_then_write_under_contention_never_fails(self, sqlite):
        def bump(number):
            for _ in range(10):
                with write(sqlite) as conn:
                    count = len(conn.execute(select(workers)).all())
                    conn.execute(insert(workers).values(**a_worker(f"{number}-{count}")))

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(bump, range(8)))
        with read(sqlite) as conn:
            assert len(conn.execute(select(workers)).all()) == 80

    def test_opening_waits_for_its_turn_to_switch_to_wal(self, tmp_path):
        """The switch fails at once, whatever the busy timeout, while another connection writes."""
        path = tmp_path / "ledger.db"
        writer = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        writer.execute("BEGIN IMMEDIATE")
        release = threading.Timer(0.3, writer.close)
        release.start()
        engine = connect(f"sqlite:///{path}")
        with read(engine) as conn:
            assert conn.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"
        release.join()
        engine.dispose()

    def test_makes_its_folder(self, tmp_path):
        migrate(f"sqlite:///{tmp_path}/a/b/ledger.db")
        assert (tmp_path / "a" / "b" / "ledger.db").exists()


class TestPostgres:
    @pytest.fixture
    def url(self, request):
        return request.getfixturevalue("postgres_ledger").url.render_as_string(hide_password=False)

    def test_no_session_waits_for_ever(self, engine):
        with read(engine) as conn:
            names = ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout")
            shown = [conn.exec_driver_sql(f"SHOW {name}").scalar_one() for name in names]
        assert shown == ["10s", "1min", "5s"]

    def test_a_holder_that_is_paused_in_a_transaction_does_not_stop_the_others(self, bench, engine):
        analysis_id = bench.started()
        paused = engine.connect()
        paused.begin()
        lock_analysis(paused, analysis_id)
        assert bench.commit(bench.claim())
        with pytest.raises(DBAPIError):
            paused.execute(text("SELECT 1"))
        paused.close()

    def test_the_url_may_set_its_own_limits(self, url):
        engine = connect(f"{url}&options=-c%20lock_timeout%3D77")
        with read(engine) as conn:
            assert conn.exec_driver_sql("SHOW lock_timeout").scalar_one() == "77ms"
        engine.dispose()


def a_worker(worker_id):
    return {"id": worker_id, "boot_id": "b", "host": "h", "resident": [], "started_at": 0, "seen_at": 0}


class TestWrite:
    def test_rolls_back_on_an_exception(self, engine):
        def interrupted():
            with write(engine) as conn:
                conn.execute(insert(workers).values(**a_worker("w")))
                raise RuntimeError

        with pytest.raises(RuntimeError):
            interrupted()
        with read(engine) as conn:
            assert conn.execute(select(workers)).all() == []

    def test_foreign_keys_hold(self, engine):
        row = {"analysis_id": "nobody", "seq": 1, "tenant_id": "t", "type": "x", "body": {}, "created_at": 0}
        with pytest.raises(IntegrityError), write(engine) as conn:
            conn.execute(insert(events).values(**row))

    def test_none_is_null_in_json_columns(self, bench):
        analysis_id = bench.submit()
        with read(bench.engine) as conn:
            query = text("SELECT error IS NULL FROM analyses WHERE id = :id")
            assert conn.execute(query, {"id": analysis_id}).scalar_one() in (1, True)


AN_ANALYSIS = """
INSERT INTO analyses (id, tenant_id, kind, labels, status, version, phase, spec_sha256, errors,
  warnings, artifacts, event_seq, created_at)
VALUES (:id, 'default', 'support', '{}', 'queued', 1, 'planning', 'f', '[]', '[]', '{}', 0, 1)
"""
OF_OLD = AN_ANALYSIS.replace("spec_sha256", "spec, spec_sha256").replace("'f'", "'{\"seed\": 7}', 'f'")
A_REQUEST = """
INSERT INTO requests (analysis_id, revision, tenant_id, spec) VALUES (:id, 1, 'default', '{"seed": 7}')
"""
A_SHARD = """
INSERT INTO shards (id, tenant_id, analysis_id, round, idx, work, items, planned_rows, model_keys,
  state, created_at)
VALUES (:id, 'default', :analysis_id, 0, -1, 'plan', '[]', 0, '[]', 'READY', 1)
"""  # the columns of the first revision: later ones must have a default


class TestMigrate:
    def test_yields_the_tables_the_code_speaks_of(self, engine):
        with read(engine) as conn:
            assert compare_metadata(MigrationContext.configure(conn), metadata) == []
        assert schema_is_current(engine)

    def test_again_changes_nothing(self, url, bench):
        analysis_id = bench.submit()
        before = bench.snapshot(analysis_id)
        migrate(url)
        assert bench.snapshot(analysis_id) == before

    def test_by_several_processes_at_once(self, tmp_path):
        url = f"sqlite:///{tmp_path}/new/ledger.db"
        program = "import sys; from ledger.database import migrate; migrate(sys.argv[1])"
        starts = [subprocess.Popen([sys.executable, "-c", program, url]) for _ in range(4)]
        assert [start.wait() for start in starts] == [0] * 4
        engine = connect(url)
        assert schema_is_current(engine)
        engine.dispose()

    @pytest.mark.parametrize("database", ["sqlite", "postgresql"])
    def test_from_every_earlier_revision_with_rows(self, database, request, tmp_path):
        """What an installation holds at a revision is there, and legal, after the upgrade to the next."""
        script = ScriptDirectory(str(MIGRATIONS))
        assert len(script.get_heads()) == 1, "two migrations follow the same one"
        revisions = [revision.revision for revision in script.walk_revisions()][::-1]
        url = f"sqlite:///{tmp_path}/ledger.db"
        if database == "postgresql":
            url = request.getfixturevalue("postgres").new_database()
        engine = connect(url)
        for number, revision in enumerate(revisions):
            migrate(url, revision)
            with write(engine) as conn:
                analysis = {"id": f"anl_{number}"}
                conn.execute(text(AN_ANALYSIS if revision >= "0008" else OF_OLD), analysis)
                if revision >= "0008":
                    conn.execute(text(A_REQUEST), analysis)
                conn.execute(text(A_SHARD), {"id": f"shd_{number}", "analysis_id": f"anl_{number}"})
                assert conn.execute(select(func.count()).select_from(analyses)).scalar_one() == number + 1
        with read(engine) as conn:
            assert compare_metadata(MigrationContext.configure(conn), metadata) == []
            found = {row.id: row.spec for row in conn.execute(ASKED)}
            assert found == {f"anl_{number}": {"seed": 7} for number in range(len(revisions))}
        engine.dispose()

    def test_an_empty_database_is_not_current(self, tmp_path):
        engine = connect(f"sqlite:///{tmp_path}/ledger.db")
        assert not schema_is_current(engine)
        engine.dispose()
