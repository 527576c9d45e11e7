"""The Newton systems, whatever they eliminate, against the whole system solved densely."""

from __future__ import annotations

import numpy as np
import pytest

import steepest as st
from steepest.maxmargin.forms.pairs import Pairs
from steepest.maxmargin.forms.reduced import reduce
from steepest.maxmargin.interior.balls import EntryPoint
from steepest.maxmargin.interior.barriers import hessian
from steepest.maxmargin.interior.newton import Newton, WeightsSystem
from steepest.maxmargin.polyhedral.sample_system import SamplesSystem
from steepest.maxmargin.polyhedral.vertex_system import VertexSystem


class Instance:
    """A random system of 6 samples, 8 features and 3 classes, near a vertex if asked."""

    def __init__(self, bordered, vertex=False, seed=0):
        generator = np.random.default_rng(seed)
        y = np.arange(6) % 3
        problem = st.Classification(generator.normal(size=(6, 8)), y)
        self.pairs = Pairs(reduce(problem, st.norm("max"))).balanced()
        mask = self.pairs.mask
        self.q = np.where(mask, generator.uniform(0.5, 1.5, size=(6, 3)), 0.0)
        self.s = np.where(mask, generator.uniform(0.5, 1.5, size=(6, 3)), 1.0)
        h = generator.uniform(0.5, 2.0, size=24)
        if vertex:
            active = generator.permuted(np.repeat([True, False], [7, 5]))
            self.q[mask] = np.where(active, self.q[mask], 1e-7)
            self.s[mask] = np.where(active, 1e-7, self.s[mask])
            h = np.where(generator.permuted(np.arange(24) < 7), 1e-7 * h, 1e7 * h)
        self.weight, self.u = (3.0, generator.normal(size=24)) if bordered else (0.0, np.zeros(24))
        self.ball = EntryPoint(hessian(h, self.weight, self.u), (3, 8))
        self.right = (
            generator.normal(size=(3, 8)),
            self.pairs.pair_sum(np.where(mask, generator.normal(size=(6, 3)), 0.0)),
            0.3,
            np.where(mask, generator.normal(size=(6, 3)), 0.0),
            0.7 if bordered else 0.0,
        )

    def newton(self, system):
        border = (self.weight, self.u.reshape(3, 8)) if self.weight else None
        built = {
            "weights": lambda: WeightsSystem(self.pairs, self.ball, 1.0, self.q, self.s, border),
            "samples": lambda: SamplesSystem(self.pairs, self.ball, self.q, self.s),
            "vertex": lambda: VertexSystem(self.pairs, self.ball, self.q, self.s, 100),
        }[system]()
        assert built.factored
        diagonal = EntryPoint(hessian(self.ball.barrier.curvature), (3, 8))
        return Newton(self.pairs, diagonal, 1.0, self.q, self.s, built, border, incomplete=system == "vertex")

    def residuals(self, step):
        """What the step leaves of each equation, from its definition."""
        r1, pull, r2, r3, r4 = self.right
        h, u = self.ball.barrier.curvature.reshape(3, 8), self.u.reshape(3, 8)
        ds = np.where(self.pairs.mask, self.pairs.margins(step.dv) - step.dgamma, 0.0)
        rest = [
            r1 + pull - h * step.dv - step.tau * u + self.pairs.pair_sum(step.dq),
            np.array(r2 - step.dq.sum()),
            r3 - self.s * step.dq - self.q * ds,
        ]
        if self.weight:
            rest.append(np.array(r4 - np.sum(u * step.dv) + step.tau / self.weight))
        return rest


@pytest.mark.parametrize("bordered", [False, True])
@pytest.mark.parametrize("system", ["weights", "samples", "vertex"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_solves_every_equation(system, bordered, seed):
    instance = Instance(bordered, seed=seed)
    step, accuracy = instance.newton(system).solve(*instance.right)
    assert accuracy < 1e-12
    for rest in instance.residuals(step):
        np.testing.assert_allclose(rest, 0.0, atol=1e-11)


@pytest.mark.parametrize("bordered", [False, True])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_near_a_vertex_few_unknowns_are_coupled_and_the_solution_is_the_same(bordered, seed):
    instance = Instance(bordered, vertex=True, seed=seed)
    newton = instance.newton("vertex")
    assert isinstance(newton.system, VertexSystem)
    assert newton.system.free.sum() < 24
    step, accuracy = newton.solve(*instance.right)
    expected, _ = instance.newton("weights").solve(*instance.right)
    assert accuracy < 1e-9
    np.testing.assert_allclose(step.dq, expected.dq, rtol=1e-6, atol=1e-9 * np.abs(expected.dq).max())
    np.testing.assert_allclose(step.dv, expected.dv, rtol=1e-6, atol=1e-9 * np.abs(expected.dv).max())
