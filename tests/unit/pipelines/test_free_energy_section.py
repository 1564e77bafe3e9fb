import math
from dataclasses import replace

import numpy as np
import pytest
from planted import Law, PlantedPrompt, bernoulli_law, law_with, planted, planted_run, random_law

from workers.estimators.bootstrap_weights import BootstrapWeights
from workers.estimators.partition import dense_log_partition
from workers.estimators.tilt import bernoulli_kl, matched_tilt, tilted_moments
from workers.pipelines.closure_checks import closure_checks
from workers.pipelines.free_energy_section import free_energy_section
from workers.pipelines.plan import plan_pilot
from workers.pipelines.prompt_result import terms_of
from workers.pipelines.score_agreement import agreement_checks
from workers.pipelines.verify import verify_samples

BUDGET = {"samples_per_prompt": 64, "max_samples_per_prompt": 64}


def run_of(*prompts, **changes):
    return planted_run(prompts, **{"budget": BUDGET, "kind": "free_energy", **changes})


def worlds(count=20, v=4):
    """Random pairs whose correct set has a chance near a half."""
    rng = np.random.default_rng(5)
    answers = tuple(f"{i}{j}" for i in range(v) for j in range(v) if (i + j) % 2)
    return [PlantedPrompt(f"p{i}", random_law(rng, v), random_law(rng, v), answers) for i in range(count)]


@pytest.fixture(scope="module")
def planted_worlds():
    return worlds()


def section_of(results_of, run):
    results = results_of(run)
    checks = closure_checks(run.spec, results)
    return (
        results,
        checks,
        free_energy_section(
            run.spec, results, checks, np.random.default_rng(0), BootstrapWeights(np.random.default_rng(1))
        ),
    )


def near(estimate, truth):
    return abs(estimate["value"] - truth) <= 4.5 * estimate["sampling_std_error"] + 1e-9


def test_means_are_those_of_the_planted_laws(results_of, planted_worlds):
    """KL(q||p) and not KL(p||q): the two differ by many standard errors here."""
    _, _, section = section_of(results_of, run_of(*planted_worlds))
    kl = np.mean([p.kl for p in planted_worlds])
    reversed_kl = np.mean([PlantedPrompt("x", p.q, p.p).kl for p in planted_worlds])
    assert near(section["kl"], kl)
    assert not near(section["kl"], reversed_kl)
    assert near(section["kl_k1"], kl)
    assert near(section["kl_reverse"], reversed_kl)
    assert near(section["kl_reverse_k1"], reversed_kl)
    assert not near(section["kl_reverse"], kl)
    assert near(section["mean_energy"]["reference"], -np.mean([p.a for p in planted_worlds]))
    assert near(section["mean_energy"]["candidate"], -np.mean([p.b for p in planted_worlds]))
    assert near(section["tilt"], np.mean([bernoulli_kl(p.b, p.a) for p in planted_worlds]))
    for row in section["by_inverse_temperature"]:
        beta = row["inverse_temperature"]
        log_z = [math.log(1 - p.a + p.a * math.exp(beta)) for p in planted_worlds]
        free = [p.kl / beta - p.b for p in planted_worlds]
        assert near(row["log_partition"], np.mean(log_z))
        assert near(row["free_energy"], np.mean(free))
        assert near(row["equilibrium"], -np.mean(log_z) / beta)
    entropy = -np.mean([np.sum(p.p.joint * np.log(p.p.joint)) for p in planted_worlds])
    assert near(section["entropy"]["reference"], entropy)


def test_parts_and_positions_add_up_to_the_kl(results_of, planted_worlds):
    _, _, section = section_of(results_of, run_of(*planted_worlds))
    parts = [section[name]["value"] for name in ("tilt", "drift", "escape")]
    assert math.fsum(parts) == pytest.approx(section["kl"]["value"], abs=1e-9)
    positions = [row["estimate"]["value"] for row in section["by_position"]]
    assert math.fsum(positions) == pytest.approx(section["kl"]["value"], rel=1e-5)
    back = [row["reverse"]["value"] for row in section["by_position"]]
    assert math.fsum(back) == pytest.approx(section["kl_reverse"]["value"], rel=1e-5)


def test_population_intervals_resample_families(results_of):
    """Prompts of one family share everything here: eight prompts of two families are two draws."""

    def interval(families):
        laws = [bernoulli_law(0.3), bernoulli_law(0.6), bernoulli_law(0.9)]
        prompts = [
            PlantedPrompt(f"p{i}", laws[0], laws[1 + i % 2], ("00",), family=families[i % 2])
            for i in range(12)
        ]
        run = run_of(*prompts)
        run._draws = {(i, s): run.draws(i % 2, s) for i in range(12) for s in ("reference", "candidate")}
        _, _, section = section_of(results_of, run)
        return section["kl"]

    apart, together = interval((None, None)), interval(("a", "b"))
    assert together["value"] == pytest.approx(apart["value"])
    assert together["std_error"] > 2 * apart["std_error"]
    assert "2 families" in together["reason"]


def test_closure_ratios_are_log_p_minus_log_q(results_of, planted_worlds):
    results, checks, _ = section_of(results_of, run_of(*planted_worlds))
    named = {check.check: check for check in checks}
    weights = np.concatenate([np.exp(-r.observed.pair.candidate_log_ratio) for r in results])
    assert named["mean_weight"].residual == pytest.approx(weights.mean())
    assert named["mean_weight"].residual == pytest.approx(1.0, abs=0.3)
    assert named["weight_deficit"].residual == pytest.approx(1 - weights.mean())
    shares = []
    for r in results:
        ratio = np.exp(r.observed.pair.log_p - r.observed.pair.log_q)  # n_p = n_q
        shares.append((1 / (1 + ratio[:64])).mean() + (ratio[64:] / (1 + ratio[64:])).mean())
    assert named["overlap"].residual == pytest.approx(np.mean(shares))
    assert all(check.passed for check in checks if check.blocking)
    assert {c.check for c in checks if c.blocking} == {
        "sum_identity", "gap_identity", "rao_blackwell_against_k1", "reverse_rao_blackwell_against_k1",
        "overlap_identity", "mean_weight",
    }  # fmt: skip


@pytest.mark.parametrize("wrong", ["swapped", "shifted"])
def test_closure_checks_notice_wrong_scores(results_of, planted_worlds, wrong):
    """Scores of the wrong model, and log-probabilities that are half a nat too low."""
    run = run_of(*planted_worlds)
    true_score = run.score

    def score(samples, scorer):
        table = true_score(samples, scorer)
        columns = {name: table[name] for name in table.schema.names}
        if wrong == "swapped":
            columns["logprob"], columns["own_logprob"] = columns["own_logprob"], columns["logprob"]
        else:
            columns["logprob"] = np.asarray(columns["logprob"].to_numpy()) - 0.5
        return type(table).from_pydict(columns, schema=table.schema)

    run.score = score
    _, checks, _ = section_of(results_of, run)
    assert not all(check.passed for check in checks if check.blocking)


def agreement_of(run, pilot=None):
    lengths = {stream: [1] * len(run.prompts) for stream in run.spec.streams}
    run.run_round(plan_pilot(run.spec, run.participants, lengths, shard_tokens=1 << 20).shards)
    committed = run.committed(with_samples=True)
    prompts = range(len(run.prompts))
    pilots = {
        side: run.spec.pilots(side) if pilot is None else [pilot] * len(prompts) for side in run.spec.sides
    }
    checks = agreement_checks(committed.samples, committed.scores, prompts, pilots)
    return {check.check: check for check in checks}


def test_exact_identities_hold_on_honest_scores(planted_worlds):
    checks = agreement_of(run_of(*planted_worlds))
    assert set(checks) == {"sampler_identity", "token_sums", "shared_prefixes"}
    assert all(check.passed and check.blocking for check in checks.values())


@pytest.mark.parametrize(
    ("where", "fires"),
    [("logprob", "token_sums"), ("own_logprob", "sampler_identity"), ("tokens", "shared_prefixes")],
)
def test_a_fifth_of_a_nat_a_sample_is_noticed_wherever_it_is(results_of, planted_worlds, where, fires):
    """At 20 x 64 samples the identities between expectations may all pass; the exact ones do not."""
    run = run_of(*planted_worlds)
    true_score = run.score

    def score(samples, scorer):
        table = true_score(samples, scorer)
        columns = {name: table[name] for name in table.schema.names}
        if where == "tokens":
            rows = table["token_logprobs"].to_pylist()
            columns["token_logprobs"] = [[value - 0.2 / 3 for value in row] for row in rows]
        column = "logprob" if where == "tokens" else where
        columns[column] = np.asarray(columns[column].to_numpy()) - 0.2
        return type(table).from_pydict(columns, schema=table.schema)

    run.score = score
    checks = agreement_of(run)
    assert not checks[fires].passed


def test_what_an_error_is_measured_against_is_taken_over_the_pilots_alone(planted_worlds):
    """Later draws are scored where they succeeded: their ratio of the two laws is not that of a sample."""
    whole, half = (agreement_of(run_of(*planted_worlds), pilot)["sampler_identity"] for pilot in (64, 32))
    assert whole.residual == half.residual
    assert whole.tolerance != half.tolerance
    assert agreement_of(run_of(*planted_worlds))["sampler_identity"] == whole


def test_equal_models_have_exactly_nothing(results_of):
    law = random_law(np.random.default_rng(1))
    prompts = [PlantedPrompt(f"p{i}", law, law, ("00", "11")) for i in range(3)]
    _, checks, section = section_of(results_of, run_of(*prompts))
    for name in ("kl", "kl_k1", "kl_reverse", "kl_reverse_k1", "tilt", "drift", "escape"):
        assert section[name]["value"] == 0.0
    assert all(check.passed for check in checks)


def test_truncated_support_keeps_what_counts_can_say(results_of):
    """q puts half of its mass where p has none."""
    p = Law(np.array([1.0, 0.0]), np.full((2, 2), 0.5))
    q = Law(np.array([0.5, 0.5]), np.full((2, 2), 0.5))
    results, checks, section = section_of(results_of, run_of(PlantedPrompt("a", p, q, ("00",))))
    assert section["kl"]["status"] == "undefined"
    assert "truncated_support" in section["kl"]["reason"]
    assert section["tilt"]["value"] is not None
    assert section["by_inverse_temperature"][0]["log_partition"]["value"] is not None
    assert section["by_inverse_temperature"][0]["gap"]["status"] == "undefined"
    mass = terms_of(results)[0].kl.singular_mass
    assert mass.value == pytest.approx(0.5, abs=0.3)
    assert all(check.passed for check in checks if check.blocking)


def test_other_tokenizers_leave_only_counts(results_of):
    run = run_of(planted("a", 0.3, 0.6), planted("b", 0.3, 0.6), run={"tokenizers": ("one", "other")})
    _, checks, section = section_of(results_of, run)
    assert section["kl"]["status"] == "undefined"
    assert section["mean_energy"]["candidate"]["value"] is not None
    assert "entropy" not in section
    assert {check.check for check in checks} == {"sum_identity"}


def test_the_certificate_counts_prompts_whose_kl_proves_reach(results_of):
    close = [planted(f"c{i}", 0.8, 0.85) for i in range(3)]
    far = [planted(f"f{i}", 1e-6, 0.9) for i in range(2)]
    _, _, section = section_of(results_of, run_of(*close, *far))
    assert section["certificate"]["certified_prompts"] == 3
    assert section["certificate"]["budget"] == pytest.approx(-math.log(1 - 0.5 ** (1 / 256)))


def test_a_price_is_never_negative_however_few_the_prompts(results_of):
    _, _, section = section_of(
        results_of, run_of(*[planted(f"a{i}", 0.9, 0.99) for i in range(5)], planted("b", 1e-6, 0.3))
    )
    bound = section["certificate"]["price_bound"]
    assert 0 <= bound["ci_low"] <= bound["value"] <= bound["ci_high"]


def labelled(p_plan, p_tool, q_plan, q_tool, name):
    """Success by plan ("00") or by tool ("11"); failures alike."""

    def law(plan, tool):
        joint = np.full((10, 10), (1 - plan - tool) / 98)
        joint[0, 0], joint[1, 1] = plan, tool
        first = joint.sum(axis=1)
        return Law(first, joint / first[:, None])

    return PlantedPrompt(name, law(p_plan, p_tool), law(q_plan, q_tool), ("00", "11"))


BEHAVIOURS = {
    "signal": {"kind": "exact", "behaviour": {"by": "answer"}},
    "budget": {"k_use": 2, "k_probe": 16, "samples_per_prompt": 400, "max_samples_per_prompt": 400},
}


def exact_parts(p_plan, p_tool, q_plan, q_tool, out):
    """Escape, tilt, drift and strategy-level drift by hand: plan, tool and failures are three atoms."""
    p, q = np.array([p_plan, p_tool, 1 - p_plan - p_tool]), np.array([q_plan, q_tool, 1 - q_plan - q_tool])
    kl = float(np.sum(q * np.log(q / p)))
    if not out:
        tilt = bernoulli_kl(q[0] + q[1], p[0] + p[1])
        return {"escape": 0.0, "tilt": tilt, "drift": kl - tilt, "strategy": kl - tilt}
    escape = bernoulli_kl(q_tool, p_tool)
    tilt = (1 - q_tool) * bernoulli_kl(q_plan / (1 - q_tool), p_plan / (1 - p_tool))
    return {"escape": escape, "tilt": tilt, "drift": kl - escape - tilt, "strategy": 0.0}


@pytest.mark.parametrize(("masses", "out"), [((0.4, 0.2, 0.3, 0.6), False), ((0.4, 1e-4, 0.3, 0.6), True)])
def test_behaviours_split_escape_tilt_and_drift(results_of, masses, out):
    prompts = [labelled(*masses, f"p{i}") for i in range(6)]
    results, checks, section = section_of(results_of, run_of(*prompts, **BEHAVIOURS))
    exact = exact_parts(*masses, out)
    for name in ("escape", "tilt", "drift"):
        found = section[name]
        slack = 4.5 * (found["sampling_std_error"] or 0.0) + 0.01
        assert abs(found["value"] - exact[name]) <= slack, name
    strategy = section["drift_parts"]["strategy_level"]["value"]
    assert strategy == pytest.approx(exact["strategy"], abs=0.08)
    within = section["drift_parts"]["within_strategy"]["value"]
    assert strategy + within == pytest.approx(section["drift"]["value"], abs=1e-9)
    named = {b.label: b.reach for b in results[0].terms.strategies.behaviours}
    assert named == {"00": "in", "11": "out" if out else "in"}
    assert section["behaviours"]["out_of_reach"] == (6 if out else 0)
    assert all(check.passed for check in checks if check.blocking)


def test_an_out_prompt_has_every_behaviour_out(results_of):
    prompts = [labelled(1e-5, 1e-5, 0.4, 0.3, f"p{i}") for i in range(3)]
    _, _, section = section_of(results_of, run_of(*prompts, **BEHAVIOURS))
    assert section["escape"]["value"] > 5
    assert section["tilt"]["value"] == 0.0


def dense_run(*prompts, **changes):
    """Reward i/10 + j/100 of the text "ij"; a success from 0.5 on."""
    run = run_of(*prompts, **changes)
    run.spec = replace(run.spec, signal={**run.spec.signal, "success_threshold": 0.5})

    def verify(samples):
        table = verify_samples(run.spec, samples, lambda _: None)
        rewards = [int(t[0]) / 10 + int(t[1]) / 100 for t in samples["text"].to_pylist()]
        columns = {name: table[name] for name in table.schema.names}
        columns["reward"] = rewards
        columns["outcome"] = ["correct" if r >= 0.5 else "incorrect" for r in rewards]
        return type(table).from_pydict(columns, schema=table.schema)

    run.verify = verify
    return run


REWARD = np.arange(10)[:, None] / 10 + np.arange(10)[None, :] / 100


def test_dense_rewards_have_their_own_tilt_and_partition_function(results_of):
    rng = np.random.default_rng(3)
    prompts = []
    for i in range(12):
        p, noise = random_law(rng, 10), random_law(rng, 10)
        joint = noise.joint * np.exp(2.0 * REWARD)
        first = joint.sum(axis=1) / joint.sum()
        prompts.append(PlantedPrompt(f"p{i}", p, Law(first, joint / joint.sum(axis=1, keepdims=True))))
    run = dense_run(*prompts, budget={"samples_per_prompt": 200, "max_samples_per_prompt": 200, "k_probe": 8})
    results, checks, section = section_of(results_of, run)
    assert {r.reference.probe.label for r in results} == {"in"}
    tilts = [matched_tilt(REWARD.ravel(), float((p.q.joint * REWARD).sum()), log_of(p.p))[1] for p in prompts]
    assert near(section["tilt"], np.mean(tilts))
    assert near(section["drift"], np.mean([p.kl for p in prompts]) - np.mean(tilts))
    assert near(section["mean_energy"]["candidate"], -np.mean([(p.q.joint * REWARD).sum() for p in prompts]))
    for row in section["by_inverse_temperature"]:
        beta = row["inverse_temperature"]
        log_z = np.mean([math.log((p.p.joint * np.exp(beta * REWARD)).sum()) for p in prompts])
        assert near(row["log_partition"], log_z)
        free = np.mean([p.kl / beta - (p.q.joint * REWARD).sum() for p in prompts])
        assert near(row["free_energy"], free)
    for point in section["response"][:: len(section["response"]) - 1]:
        beta = point["inverse_temperature"]
        moments = [tilted_moments(REWARD.ravel(), beta, log_of(p.p)) for p in prompts]
        assert near(point["mean_reward"], np.mean([mean for mean, _ in moments]))
        assert near(point["heat_capacity"], np.mean([variance for _, variance in moments]))
    assert all(check.passed for check in checks if check.blocking)


def log_of(law):
    with np.errstate(divide="ignore"):
        return np.log(law.joint.ravel())


def test_a_partition_function_that_one_sample_carries_is_integrated(results_of):
    """Reward 0.99 has chance 1 % under p and 90 % under q: one sample of p that shows it is all of its Z."""
    p, q = law_with({"99": 0.01, "00": 0.98}), law_with({"99": 0.9, "00": 0.09})
    prompts = [PlantedPrompt(f"p{i}", p, q) for i in range(6)]
    beta = 8.0
    run = dense_run(*prompts, inverse_temperatures=[beta], budget={"k_probe": 8})
    results, _, _ = section_of(results_of, run)
    truth = math.log((prompts[0].p.joint * np.exp(beta * REWARD)).sum())
    integrated = 0
    for result in results:
        (row,) = result.terms.rows
        rewards = result.observed.reference.rewards[: result.observed.reference.pilot_n]
        alone = dense_log_partition(rewards, beta, BootstrapWeights(np.random.default_rng(0)))
        if alone.status != "unreliable":
            assert row.log_partition.value == pytest.approx(alone.value, abs=1e-12)
            continue
        integrated += 1
        assert row.log_partition.value == pytest.approx(truth, abs=0.2)
        assert abs(alone.value - truth) > abs(row.log_partition.value - truth)
    assert integrated > 0


def test_response_of_a_verifier_peaks_at_the_price(results_of):
    prompts = [planted(f"p{i}", math.exp(-4), 0.9) for i in range(4)]
    budget = {"samples_per_prompt": 2000, "max_samples_per_prompt": 2000}
    _, _, section = section_of(results_of, run_of(*prompts, budget=budget))
    peak = max(section["response"], key=lambda point: point["heat_capacity"]["value"])
    assert peak["inverse_temperature"] == pytest.approx(4.0, abs=0.5)
    assert section["response"][0]["mean_reward"]["value"] == pytest.approx(math.exp(-4), abs=0.004)
    for point in section["response"]:  # a chance stays one, and its variance at most a quarter
        assert 0 <= point["mean_reward"]["ci_low"] <= point["mean_reward"]["ci_high"] <= 1
        assert 0 <= point["heat_capacity"]["ci_low"] <= point["heat_capacity"]["ci_high"] <= 0.25
