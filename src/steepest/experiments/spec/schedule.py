"""The step sizes of an experiment: given outright, or times 1/γ so that one setting serves every norm."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, model_validator

from steepest.experiments.spec import values as accept

__all__ = ["ScheduleChoice"]

StepSize = Annotated[float | dict[str, float] | None, BeforeValidator(accept.step_size)]


class ScheduleChoice(BaseModel):
    """Step sizes η_t = η₀ (t+1)^(-exponent), with η₀ = ``initial`` or η₀ = ``initial_times_margin`` / γ.

    Either is one number or a table with a number for each norm; γ is the max margin in the run's own norm.

    >>> ScheduleChoice(initial_times_margin=0.15).initial_step_size("max", margin=0.5)
    0.3
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    initial: StepSize = None
    initial_times_margin: StepSize = None
    exponent: Annotated[float, BeforeValidator(accept.exponent)] = 0.5

    @model_validator(mode="after")
    def _exactly_one_scale(self) -> ScheduleChoice:
        if (self.initial is None) == (self.initial_times_margin is None):
            raise ValueError("give one of initial (η₀ itself) and initial_times_margin (η₀ · γ)")
        return self

    def initial_step_size(self, norm: str, margin: float) -> float:
        """Return η₀ for a norm (canonical name) whose max margin is ``margin``."""
        if self.initial is not None:
            return _for_norm(self.initial, norm)
        return _for_norm(self.initial_times_margin, norm) / margin

    def for_norm(self, norm: str) -> ScheduleChoice:
        """Return the schedule of one norm, free of the numbers of the others."""
        chosen = "initial" if self.initial is not None else "initial_times_margin"
        return ScheduleChoice(exponent=self.exponent, **{chosen: _for_norm(getattr(self, chosen), norm)})

    def missing_norms(self, norms: Iterable[str]) -> list[str]:
        """Return the norms that a table of step sizes leaves out."""
        table = self.initial if self.initial is not None else self.initial_times_margin
        return [norm for norm in norms if isinstance(table, Mapping) and norm not in table]


def _for_norm(choice: float | Mapping[str, float] | None, norm: str) -> float:
    assert choice is not None
    return choice[norm] if isinstance(choice, Mapping) else choice
