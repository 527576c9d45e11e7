import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from tests.experiments.synthetic import as_the_paper_says, results

from steepest.errors import InvalidArgument
from steepest.experiments import paper_experiment
from steepest.experiments.claims.check import check_claims
from steepest.experiments.claims.measurement import Measurement
from steepest.experiments.claims.statistics import mean_interval
from steepest.experiments.claims.verdict import Judged, Outcome, Verdict, decide, judge

FIGURE_1 = paper_experiment("figure1").claims
WIDE = np.random.default_rng(1).standard_normal(10)


def row_of(dataset, name):
    (result,) = check_claims(dataset, [name])
    return result


def effect_of(row):
    assert row.effect is not None
    return row.effect


def changed(settings, factor):
    """Return errors as the paper says, those of some settings multiplied by a factor of the seed."""

    def error(b, m, v, s):
        times = factor(s) if (b, m, v) == settings else 1.0
        return as_the_paper_says(b, m, v, s) * times

    return error


def test_every_sentence_is_supported_by_results_that_follow_the_paper():
    rows = check_claims(results(), FIGURE_1)
    assert {row.name: row.verdict for row in rows} == dict.fromkeys(FIGURE_1, Verdict.SUPPORTED)
    assert all(row.reason and row.measured and row.threshold and row.effect for row in rows)
    assert all(row.data_sets == 10 and row.more_data_sets is None and not row.refutes for row in rows)
    assert all(row.sentence for row in rows if row.name != "worst-case-condition-is-vacuous")


# One departure from the paper for each sentence, on the average over data sets.
DEPARTURES = {
    "mini-batch-without-momentum-lags": (
        lambda b, m, v, s: as_the_paper_says(100 if m == 0 else b, m, v, s),
        "error / full batch",
    ),
    "moderate-momentum-helps-partly": (
        lambda b, m, v, s: as_the_paper_says(b, 0.0 if m == 0.5 else m, v, s),
        "error / that without momentum",
    ),
    "moderate-momentum-helps-partly, not fully": (
        lambda b, m, v, s: as_the_paper_says(100 if m == 0.5 else b, m, v, s),
        "error / full batch",
    ),
}


@pytest.mark.parametrize("name", DEPARTURES)
def test_the_opposite_contradicts_and_is_named(name):
    final_error, quantity = DEPARTURES[name]
    row = row_of(results(final_error), name.split(",")[0])
    assert row.verdict is Verdict.CONTRADICTED
    assert row.refutes
    assert row.reason.startswith("the opposite is shown of ")
    assert quantity in {each.quantity for each in row.effects if each.outcome is Outcome.REFUTED}


def test_one_data_set_that_departs_is_no_contradiction():
    row = row_of(results(changed((10, 0.0, False), lambda s: 0.4 if s == 2 else 1.0)), FIGURE_1[1])
    assert row.verdict is Verdict.SUPPORTED
    (effect,) = (e for e in row.effects if e.quantity.startswith("error /") and e.where.startswith("b = 10"))
    assert (effect.on_its_side, effect.data_sets) == (10, 10)
    assert effect.least < 1.3 < effect.mean


def test_what_differs_too_much_is_undecided_and_says_how_many_data_sets_more():
    row = row_of(results(changed((10, 0.5, False), lambda s: 0.65 * math.exp(0.6 * WIDE[s]))), FIGURE_1[2])
    assert row.verdict is Verdict.UNDECIDED
    assert not row.refutes
    # About (t sd / log 1.15)² data sets, ten of which are there.
    spread = math.log(1.15) / (0.6 * np.std(WIDE, ddof=1))
    assert row.more_data_sets == pytest.approx((1.96 / spread) ** 2 - 10, rel=0.2)
    assert f"about {row.more_data_sets} more would decide it" in row.reason
    assert "b = 10" in effect_of(row).where


def test_fewer_than_ten_data_sets_decide_nothing_about_a_mean():
    rows = check_claims(results().isel(seed=slice(0, 4)), FIGURE_1)
    decided = [row.name for row in rows if row.verdict is not Verdict.UNDECIDED]
    assert decided == ["worst-case-condition-is-vacuous"]  # which is proven of each data set
    assert rows[0].more_data_sets == 6
    assert rows[0].reason.startswith("4 data sets, where a verdict needs 10 at least; so far ")


def test_recovery_is_equivalence_at_every_batch_size_and_slow_where_it_is_on_its_way():
    def late(b, m, v, s):
        return as_the_paper_says(b, m, v, s) * (2.0 if (b, m) == (1, 0.99) and not v else 1.0)

    dataset = results(late)
    steps = dataset["step"].values
    name = "large-momentum-recovers"
    row = row_of(dataset, name)
    # Twice the error, falling as the full batch's does: it is not nearing it, and it still falls.
    assert (row.verdict, effect_of(row).outcome) == (Verdict.UNDECIDED, Outcome.AWAY)
    place = {"batch_size": 0, "momentum": 2, "signal": 0}
    nearing = np.concatenate([[1.0], (steps[1:] / steps[-1]) ** -0.3])
    dataset["relative_margin_error"][place] *= nearing
    row = row_of(dataset, name)
    assert (row.verdict, effect_of(row).outcome) == (Verdict.UNDECIDED, Outcome.SLOW)
    assert "still on its way there: more steps would tell" in row.reason
    assert row.more_data_sets is None
    dataset["relative_margin_error"][place] = 0.2  # and one that stays where it is
    row = row_of(dataset, name)
    assert (row.verdict, effect_of(row).outcome) == (Verdict.CONTRADICTED, Outcome.REFUTED)
    assert effect_of(row).quantity == "error / full batch"


def test_a_floor_under_a_long_run_contradicts_recovery():
    dataset = results(steps=300_000)
    steps = dataset["step"].values[1:]
    curve = 0.3 + 0.3 * (steps / steps[-1]) ** -0.5
    for seed in range(10):
        wave = 1 + 1e-4 * np.random.default_rng(seed).standard_normal(len(steps))
        place = {"batch_size": 1, "momentum": 2, "signal": 0, "seed": seed}
        dataset["relative_margin_error"][place] = np.concatenate([[1.0], curve * wave])
    row = row_of(dataset, "large-momentum-recovers")
    assert (row.verdict, effect_of(row).outcome) == (Verdict.CONTRADICTED, Outcome.FLOOR)
    assert "it has come to a floor" in row.reason


def test_the_claim_of_a_floor_is_decided_by_long_runs_alone():
    name = "mini-batch-without-momentum-has-a-floor"
    row = row_of(results(), name)
    assert (row.verdict, row.reason) == (
        Verdict.UNDECIDED,
        "too few steps: 20,000 were run, the claim is about 200,000",
    )
    assert row_of(results(steps=300_000), name).verdict is not Verdict.SUPPORTED


def test_rates_are_non_inferior_in_the_mean():
    name = "full-batch-converges"
    assert row_of(results(exponent=0.47), name).verdict is Verdict.SUPPORTED
    slower = row_of(results(exponent=0.4), name)
    assert slower.verdict is Verdict.CONTRADICTED
    assert effect_of(slower).quantity == "fitted exponent"
    faster = row_of(results(exponent=0.7), name)
    assert faster.verdict is Verdict.SUPPORTED
    assert faster.remarks == (
        "fitted exponent expected from 0.4 to 0.6: 30 of 30 values are outside, from 0.7 to 0.7",
    )
    attained = "full-batch-rate-is-attained"
    assert row_of(results(steps=300_000), attained).verdict is Verdict.SUPPORTED
    assert row_of(results(steps=300_000, exponent=0.7), attained).verdict is Verdict.CONTRADICTED


def test_a_cosine_that_stops_short_contradicts_convergence_where_the_solution_is_unique():
    dataset = results()
    dataset["cosine"] = dataset["cosine"].clip(max=0.97)
    assert row_of(dataset, "full-batch-converges").verdict is Verdict.CONTRADICTED
    dataset["unique_optimum"] = dataset["unique_optimum"] * math.nan
    row = row_of(dataset, "full-batch-converges")
    assert row.verdict is Verdict.SUPPORTED
    assert any("not known to be unique" in m.quantity for m in row.measurements)


def test_single_samples_that_stop_falling_do_not_get_there():
    row = row_of(results(exponent=0.01), "batch-one-needs-longer")
    assert row.verdict is Verdict.CONTRADICTED
    needed = [m for m in row_of(results(), row.name).measurements if m.quantity.startswith("steps to")]
    # At 1.2 × full they were within 1.3 × full's last error a little before the end.
    assert all(16_000 < value < 20_001 for m in needed for value in m.values)


def test_too_few_steps_leave_claims_about_runs_undecided():
    rows = check_claims(results(steps=2_000), FIGURE_1)
    decided = [row.name for row in rows if row.verdict is not Verdict.UNDECIDED]
    assert decided == ["worst-case-condition-is-vacuous"]  # which is about settings, not about runs
    assert "too few steps: 2,000 were run" in rows[0].reason
    assert rows[0].measured  # what was seen is reported all the same


def test_runs_that_are_missing_leave_a_claim_undecided_with_the_reason():
    row = row_of(results().sel(momentum=[0.0, 0.5]), "large-momentum-recovers")
    assert (row.verdict, row.effect, row.reason) == (
        Verdict.UNDECIDED,
        None,
        "no run of batch size 1 at momentum 0.99 without variance reduction",
    )
    row = row_of(results().sel(batch_size=[50, 100]), "mini-batch-without-momentum-lags")
    assert row.reason == "the experiment has no mini-batch size of at most n/10 (n = 100)"


def test_a_value_that_is_not_a_number_decides_nothing():
    dataset = results(lambda b, m, v, s: math.nan if (b, s) == (20, 1) else as_the_paper_says(b, m, v, s))
    row = row_of(dataset, "large-momentum-recovers")
    assert row.verdict is Verdict.UNDECIDED
    assert "b = 20" in row.reason


def test_errors_below_the_certified_gap_are_not_compared():
    # 1e-9 is certified: 4e-9 against 1e-9 is four times as much, and says nothing.
    dataset = results(lambda b, m, v, s: 1e-9 if b == 100 else 4e-9)
    assert row_of(dataset, "large-momentum-recovers").verdict is Verdict.SUPPORTED
    dataset = results(lambda b, m, v, s: 1e-8 if b == 100 else 4e-8)
    assert row_of(dataset, "large-momentum-recovers").verdict is not Verdict.SUPPORTED


def test_one_exception_refutes_what_is_said_of_every_data_set():
    dataset = results()
    dataset["effective_margin"][{"batch_size": 1, "momentum": 0, "signal": 0, "seed": 2}] = 0.1
    row = row_of(dataset, "worst-case-condition-is-vacuous")
    assert row.verdict is Verdict.CONTRADICTED
    assert "effective margin ρ at b = 5 is from -1 to 0.1" in row.reason
    assert "so it is on 9 of 10 data sets" in row.reason


@given(
    some.lists(
        some.floats(-3, 3) | some.sampled_from([math.inf, -math.inf, math.nan]), min_size=1, max_size=5
    ),
    some.floats(-2, 2) | some.just(-math.inf),
    some.floats(-2, 2) | some.just(math.inf),
)
def test_what_is_asked_of_every_data_set_is_refuted_by_infinity_and_left_open_by_no_number(values, low, high):
    one = Measurement("slope", "b = 1", tuple(range(len(values))), tuple(values), low, high)
    ((verdict, (effect,)),) = decide([[judge(one)]])
    outside = [value for value in values if value < low or value > high]
    if outside:
        assert verdict is Verdict.CONTRADICTED
    else:
        assert verdict is (Verdict.UNDECIDED if any(map(math.isnan, values)) else Verdict.SUPPORTED)
    assert effect.on_its_side == sum(low <= value <= high for value in values)
    assert effect.proven


def test_data_of_another_kind_is_shown_and_refutes_nothing():
    final_error, _ = DEPARTURES["mini-batch-without-momentum-lags"]
    dataset = results(final_error).assign(generalises=("data", [1.0]))
    row = row_of(dataset, "mini-batch-without-momentum-lags")
    assert (row.verdict, row.generalises, row.refutes) == (Verdict.CONTRADICTED, True, False)


def test_all_that_a_figure_asks_is_corrected_together():
    one = Measurement("error", "b = 1", tuple(range(10)), tuple(1 + 0.1 * WIDE), at_most=9.0)

    def claim(p_for, p_against):
        return [Judged(one, p_for, p_against, mean_interval(one.values))]

    def verdicts(*claims):
        return [verdict for verdict, _ in decide(claims)]

    shown, refuted = claim(0.02, 1.0), claim(1.0, 0.02)
    assert verdicts(shown) == [Verdict.SUPPORTED]
    assert verdicts(shown, shown) == [Verdict.UNDECIDED] * 2
    assert verdicts(shown, claim(0.001, 1.0)) == [Verdict.SUPPORTED] * 2
    assert verdicts(refuted) == [Verdict.CONTRADICTED]
    assert verdicts(refuted, refuted) == [Verdict.UNDECIDED] * 2
    # All parts of a claim have to be shown, which needs no correction; one refuted part is enough.
    assert verdicts([*shown, *claim(0.01, 1.0)]) == [Verdict.SUPPORTED]
    assert verdicts([*shown, *claim(0.5, 1.0)]) == [Verdict.UNDECIDED]
    assert verdicts([*shown, *claim(1.0, 0.001)]) == [Verdict.CONTRADICTED]


def test_an_unknown_claim_is_refused():
    with pytest.raises(InvalidArgument, match="known claims: full-batch-converges"):
        check_claims(results(), ["full-batch"])
