"""Every inequality of the theory on an instance, and the worst cases that show how tight each is."""

import numpy as np
from tests.theory.instances import Instance

from steepest import Classification
from steepest.theory import loss_lemmas, noise_lemmas


def path_of(instance, rng, scale):
    """Weights at the steps of the history: a walk with updates of the instance's norm."""
    W = instance.W.copy()
    path = [W]
    for step in range(len(instance.history) - 1):
        move = rng.normal(size=W.shape)
        W = W + scale / (step + 1) * move / instance.norm(move)
        path.append(W)
    return path


def evaluate(name, instance, rng):
    """The inequalities of that name on an instance."""
    i = instance
    data = (i.problem, i.loss)
    last = i.history[-1]
    if name == "C.1":
        return list(loss_lemmas.norm_comparison(i.norm, i.W))
    if name == "C.3":
        s = rng.dirichlet(np.exp(rng.uniform(-3, 2)) * np.ones(i.problem.n_classes))
        x = i.X[int(rng.integers(len(i.y)))]
        return [loss_lemmas.softmax_variance(s, i.W, x, int(rng.integers(len(s))), i.norm)]
    if name == "C.5":
        best = max(float(i.problem.normalized_margin(W, i.norm)) for W in (i.W, i.W_new, -i.W))
        return [*loss_lemmas.gradient_and_proxy(*data, i.W, best, i.norm)]
    if name in ("C.6", "C.9", "C.10"):
        function = {
            "C.6": loss_lemmas.loss_difference,
            "C.9": loss_lemmas.proxy_stability,
            "C.10": loss_lemmas.gradient_stability,
        }[name]
        return [function(*data, i.W, i.W_new, i.norm)]
    if name == "C.7":
        small = loss_lemmas.small_loss_ratio(*data, i.W)
        return [*loss_lemmas.proxy_and_loss(*data, i.W), *([small] if small else [])]
    if name == "C.8":
        return [loss_lemmas.separation(*data, i.W)]
    if name == "Taylor":
        move = i.W_new - i.W
        size = float(i.norm(move))
        return [loss_lemmas.taylor_remainder(*data, i.W, -move / size, min(size, 50.0), i.norm)]
    if name == "C.11":
        return [noise_lemmas.sampling_noise(*data, i.W, last, i.batches, i.norm)]
    if name == "C.12":
        return [noise_lemmas.accumulated_noise(*data, i.W, i.history, i.batches, i.momentum, i.norm)]
    if name == "C.13":
        return [noise_lemmas.variance_reduced_deviation(*data, i.W, i.W_new, last, i.batches, i.norm)]
    path = path_of(i, rng, scale=float(np.exp(rng.uniform(-5, 0))))
    function = {"C.14": noise_lemmas.accumulated_deviation, "E.1": noise_lemmas.momentum_drift}[name]
    return [function(*data, path, i.history, i.batches, i.momentum, i.norm)]


NAMES = (
    "C.1",
    "C.3",
    "C.5",
    "C.6",
    "C.7",
    "C.8",
    "C.9",
    "C.10",
    "Taylor",
    "C.11",
    "C.12",
    "C.13",
    "C.14",
    "E.1",
)


def one_hard_sample(norm_, loss, *, margin, batches=4, momentum=0.0, move=1e-3, history=None) -> Instance:
    """Sample 0 has all of the proxy and the largest features; W' lowers its margin as fast as can be."""
    X = np.zeros((batches, 2))
    X[0, 0] = 1.0
    X[1:, 1] = -0.5
    y = np.array([0] + [1] * (batches - 1))
    pair = np.array([[1.0, 0.0], [-1.0, 0.0]])
    W = 0.5 * margin * pair + np.array([[0.0, 2000.0], [0.0, -2000.0]])
    if history is None:
        history = [np.array([j]) for j in range(1, batches)] + [np.array([0])]
    W_new = W - move * norm_.direction(pair)
    return Instance(Classification(X, y), W, W_new, batches, history, momentum, norm_, loss)


def late_then_fresh(batches, epochs):
    """Sample 0 comes last in every epoch, then first: the worst history for momentum just after an epoch."""
    epoch = [np.array([j]) for j in [*range(1, batches), 0]]
    return epoch * epochs + [np.array([0])]


def early_then_missing(batches, epochs):
    """Sample 0 comes first in every epoch, and last in the unfinished one."""
    epoch = [np.array([j]) for j in range(batches)]
    return epoch * epochs + [np.array([j]) for j in range(1, batches)]


def worst_cases(name, norm_, loss):
    """Inequalities near equality, by hand: each lemma's proof read backwards."""
    hard = one_hard_sample(norm_, loss, margin=25.0)
    data = (hard.problem, loss)
    pair = norm_.direction(np.array([[1.0, 0.0], [-1.0, 0.0]]))
    if name == "C.1":
        return list(loss_lemmas.norm_comparison(norm_, np.array([[0.0, 3.0], [0.0, 0.0]])))
    if name == "C.3":
        s = np.array([1 - 1e-4, 1e-4])
        return [loss_lemmas.softmax_variance(s, pair[:, :1], np.array([1.0]), 0, norm_)]
    if name == "C.5":
        problem = Classification([[1.0], [-1.0]], [0, 1])
        margin = float(norm_.dual(np.array([[1.0], [-1.0]])))
        return list(loss_lemmas.gradient_and_proxy(problem, loss, np.zeros((2, 1)), margin, norm_))
    if name == "C.6":
        problem = Classification([[1.0, 0.0], [-1.0, 0.0]], [0, 1])
        W = np.array([[-12.0, 0.0], [12.0, 0.0]])  # both samples on the wrong side
        return [loss_lemmas.loss_difference(problem, loss, W, W - 1e-3 * pair, norm_)]
    if name == "C.7":
        quiet = one_hard_sample(norm_, loss, margin=0.0)
        cases = [*loss_lemmas.proxy_and_loss(quiet.problem, loss, quiet.W)]
        just = one_hard_sample(norm_, loss, margin=1e-9)
        small = loss_lemmas.small_loss_ratio(just.problem, loss, just.W)
        return [*cases, *([small] if small else [])]
    if name == "C.12":
        beta, m = 0.9, 4
        return [
            noise_lemmas.accumulated_noise(*data, hard.W, history, m, beta, norm_)
            for history in (late_then_fresh(m, 40), early_then_missing(m, 40))
        ]
    if name == "C.14":
        path = [hard.W - 0.01 * (3 - t) * pair for t in range(4)]
        return [noise_lemmas.accumulated_deviation(*data, path, hard.history, 4, 0.01, norm_)]
    if name == "E.1":
        path = [hard.W - 0.01 * (1 - t) * pair for t in range(2)]
        return [noise_lemmas.momentum_drift(*data, path, [np.arange(4)] * 2, 1, 0.9, norm_)]
    if name == "Taylor":
        return [loss_lemmas.taylor_remainder(*data, hard.W, pair, 0.02, norm_)]
    return evaluate(name, hard, np.random.default_rng(0))
