"""The rules that lose nothing and count nothing twice, each broken once."""

from typing import Final

from benchmarks.mutation import Mutation

LEDGER: Final = "tests/unit/ledger/"

LEDGER_MUTATIONS: Final = (
    Mutation(
        "a commit does not look at its epoch",
        "ledger/shards.py",
        'return and_(shards.c.id == claim.shard["id"], shards.c.epoch == claim.epoch)',
        'return and_(shards.c.id == claim.shard["id"])',
        LEDGER + "test_commits.py::TestFence::test_samples_of_a_lost_lease",
    ),
    Mutation(
        "a claim does not raise the epoch",
        "ledger/claims.py",
        "epoch=chosen.epoch + 1,",
        "epoch=max(1, chosen.epoch),",
        LEDGER + "test_faults.py::test_every_history_ends_once_with_each_sample_once",
    ),
    Mutation(
        "the reconciler lets leases run for ever",
        "workers/reconciler/recovery.py",
        '            ("leases_expired", expire_leases),\n',
        "",
        "tests/faults/test_deaths.py::test_a_killed_worker_counts_no_crash_and_takes_its_engine_along",
    ),
    Mutation(
        "the reconciler closes no round",
        "ledger/recovery.py",
        "    insert_plan(conn, analysis._asdict(), last_round(conn, analysis.id))\n",
        "",
        LEDGER + "test_recovery.py::TestCloseRounds::test_waits_for_every_shard",
    ),
    Mutation(
        "an artefact replaces another of its name",
        "ledger/artefacts.py",
        "os.link(temporary, target)",
        "os.replace(temporary, target)",
        LEDGER + "test_artefacts.py::TestPut::test_other_bytes_never_replace",
    ),
    Mutation(
        "an artefact is not flushed before it has its name",
        "ledger/artefacts.py",
        "        os.fsync(file.fileno())\n",
        "",
        LEDGER + "test_artefacts.py::TestPut::test_file_then_folder_reach_the_disk_around_the_link",
    ),
    Mutation(
        "an object replaces another of its name",
        "ledger/object_store.py",
        'mode="create"',
        'mode="overwrite"',
        LEDGER + "test_stores.py::test_other_bytes_never_replace",
    ),
    Mutation(
        "an artefact's hash is not checked",
        "ledger/artefacts.py",
        "if hashlib.sha256(content).hexdigest() != sha256:",
        "if not content:",
        LEDGER + "test_stores.py::test_what_is_not_there_and_what_was_changed",
    ),
    Mutation(
        "analyses are read whoever asks",
        "ledger/analyses.py",
        'analyses.c.tenant_id == bindparam("tenant"), analyses.c.id == bindparam("id")',
        'analyses.c.id == bindparam("id")',
        LEDGER + "test_analyses.py::TestTenants::test_others_see_and_change_nothing",
    ),
    Mutation(
        "samples of another tenant are read",
        "ledger/sample_cache.py",
        "                drawn_samples.c.tenant_id == tenant_id,\n",
        "",
        LEDGER + "test_sample_cache.py::TestFinding::test_another_tenants_are_not_there",
    ),
    Mutation(
        "samples under another stream key are taken",
        "workers/pipelines/cached.py",
        "row = pool.get((key, index))",
        "row = next((found for (_, i), found in pool.items() if i == index), None)",
        "tests/unit/pipelines/test_cached.py::test_only_under_the_very_key",
    ),
    Mutation(
        "an extension goes on from a result that is no longer the last",
        "ledger/extending.py",
        " or row.revision != revision:",
        ":",
        LEDGER + "test_extending.py::test_of_two_that_saw_the_same_revision_one_extends_it",
    ),
    Mutation(
        "an extension does not ask whose the analysis is",
        "ledger/extending.py",
        "row is None or row.tenant_id != tenant_id",
        "row is None",
        LEDGER + "test_extending.py::test_others_extend_nothing",
    ),
    Mutation(
        "an extension that ends early is finalised from half of its draws",
        "ledger/endings.py",
        "if analysis.result_revision is None and pilot_is_done(conn, analysis_id):",
        "if pilot_is_done(conn, analysis_id):",
        LEDGER + "test_extending.py::test_ended_early_it_keeps_the_result_there_was",
    ),
    Mutation(
        "an analysis that goes on is collected",
        "ledger/retention.py",
        "if row is None or row.status not in TERMINAL_STATUSES:",
        "if row is None:",
        LEDGER + "test_extending.py::test_one_that_goes_on_is_not_collected",
    ),
    Mutation(
        "a finalise shard of before holds up the deadline of an extension",
        "ledger/recovery.py",
        "_OURS, _OPEN, shards.c.work == Work.FINALISE.value",
        "_OURS, shards.c.work == Work.FINALISE.value",
        LEDGER + "test_extending.py::test_ended_early_it_keeps_the_result_there_was",
    ),
    Mutation(
        "a round is closed while a shard of it is open",
        "ledger/recovery.py",
        "        .where(~exists().where(_OURS, _OPEN))\n",
        "",
        LEDGER + "test_recovery.py::TestCloseRounds::test_waits_for_every_shard",
    ),
    Mutation(
        "an extension leaves gaps in later draws",
        "workers/pipelines/extension.py",
        "max(pilot, highest)",
        "pilot",
        "tests/unit/pipelines/test_extension.py::test_a_gap_in_later_draws_is_closed",
    ),
    Mutation(
        "two transactions of a tenant are admitted at a time",
        "ledger/quotas.py",
        "        conn.execute(select(lock))\n",
        "        select(lock)\n",
        LEDGER + "test_quotas.py::test_on_postgresql_a_second_transaction_of_the_tenant_waits",
    ),
)
