"""How tight every inequality gets: `python -m tests.theory.tightness` prints the table of docs/theory.md."""

import warnings

import numpy as np
from tests.theory.instances import LOSSES, NORMS, make_instance
from tests.theory.lemmas import NAMES, evaluate, worst_cases

from steepest import Method, PolynomialDecay, descend
from steepest.errors import SteepestWarning
from steepest.theory.descent_lemma import descent_errors
from steepest.theory.effective_margin import Constants, effective_margin
from steepest.theory.inequality import Inequality

STATEMENTS = {
    "C.1": "‖A‖_max ≤ ‖A‖ ≤ ‖A‖_sum",
    "C.3": "variance of Δx under s ≤ 4 (1-s_c) R² ‖Δ‖²",
    "C.5": "γ ≤ ‖∇L‖_* / G ≤ 2R",
    "C.6": "change of L ≤ 2R ‖W'-W‖",
    "C.7": "(1-e^{-nL})/(nL) ≤ G/L ≤ 1; L ≤ 2 log 2 · G",
    "C.8": "e^{-margin} ≤ e^{nL} - 1",
    "C.9": "change of log G ≤ 2R ‖W'-W‖",
    "C.10": "‖∇L(W')-∇L(W)‖_* ≤ 2R (e^{2R‖W'-W‖} - 1) G",
    "Taylor": "second-order remainder ≤ (e^{2Rη} - 1 - 2Rη) G",
    "C.11": "‖Ξ_B‖_* ≤ 2 (m-1) R G",
    "C.12": "momentum's noise ≤ 2R K(β, m) G",
    "C.13": "‖V-∇L‖_* ≤ 2 (m-1) R (e^{2R‖W-W̃‖} - 1) G",
    "C.14": "momentum's snapshot errors",
    "E.1": "momentum's drift",
}
METHODS = {
    "D.1": ("descent lemma, no momentum", {}),
    "E.1 (step)": ("descent lemma, momentum", {"momentum": 0.9}),
    "F.1": ("descent lemma, variance reduction", {"variance_reduction": True}),
    "G.1": ("descent lemma, both", {"momentum": 0.9, "variance_reduction": True}),
}


def built(name):
    """Largest ratio over the cases built for the lemma, over norms and losses."""
    return max(claim.ratio for norm_ in NORMS for loss in LOSSES for claim in worst_cases(name, norm_, loss))


def random_instances(name, count=300):
    """Largest ratio over random instances, norms and losses in turn."""
    largest = 0.0
    for seed in range(count):
        rng = np.random.default_rng(seed)
        instance = make_instance(rng, NORMS[seed % len(NORMS)], LOSSES[seed // len(NORMS) % len(LOSSES)])
        largest = max(largest, *(claim.ratio for claim in evaluate(name, instance, rng)))
    return largest


def descent_claim(problem, method, trajectory, margin, constants: Constants = "sharp"):
    """γ + (L_{t+1} - L_t) / (η_t G_t) ≤ (γ - ρ) + δ_t: what a step loses, and may lose, of γ."""
    steps = int(trajectory.steps[-1])
    sizes = method.schedule(np.arange(steps))
    ahead = trajectory.log_loss[:-1] - trajectory.log_proxy[:-1]
    change = np.exp(ahead) * np.expm1(np.diff(trajectory.log_loss))
    rho = effective_margin(problem, method, margin, constants)
    errors = descent_errors(problem, method, steps, constants)
    return Inequality("descent", margin + change / sizes, rho.noise + errors)


def random_runs(signal, count=150):
    """Largest ratio of the descent lemma at the steps of short runs, with small batches."""
    largest = 0.0
    for seed in range(count):
        rng = np.random.default_rng(seed)
        norm_, loss = NORMS[seed % len(NORMS)], LOSSES[seed // len(NORMS) % len(LOSSES)]
        problem = make_instance(rng, norm_, loss).problem
        size = max(1, problem.samples // 2) if seed % 3 else 1
        schedule = PolynomialDecay(float(rng.choice([0.003, 0.03, 0.3])), 0.5)
        method = Method(norm_, batch_size=size, loss=loss, schedule=schedule, seed=seed, **signal)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SteepestWarning)
            trajectory = descend(problem, method, 30, records=range(31), engine="reference")
        margin = float(np.max(problem.normalized_margin(trajectory.weights[1:], norm_)))
        if margin > 0:
            largest = max(largest, descent_claim(problem, method, trajectory, margin).ratio)
    return largest


def table():
    """Rows (lemma, statement, largest ratio built, largest ratio at random)."""
    rows = [(name, STATEMENTS[name], built(name), random_instances(name)) for name in NAMES]
    return rows + [(name, text, None, random_runs(signal)) for name, (text, signal) in METHODS.items()]


def main():
    print("| lemma | inequality | built to be tight | 300 random instances |\n| --- | --- | --- | --- |")  # noqa: T201
    for name, statement, worst, random in table():
        print(f"| {name} | {statement} | {'' if worst is None else f'{worst:.4f}'} | {random:.4f} |")  # noqa: T201


if __name__ == "__main__":
    main()
