"""Capabilities: what a norm, a signal or a loss may offer beyond the little that it must have.

A norm needs its value, its dual norm and its direction, and everything runs with them. Whatever is faster or
stronger, such as compiled code, a projection on the ball or a barrier, is a capability: declared where it is
used, and offered, type by type, in the files of the part that has it. An engine or a solver asks for what it
needs, takes the general way where that is missing, or refuses with the name of what is missing. So no code
outside a norm's own files asks what kind of norm it was given.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from steepest.errors import MissingCapability

__all__ = ["Capability", "offered_capabilities"]

Offer = TypeVar("Offer")
Maker = TypeVar("Maker", bound=Callable[..., Any])

_ALL: list[Capability[Any]] = []


class Capability(Generic[Offer]):
    """Something that parts of some types offer.

    Args:
        name: what messages call it, such as "a projection on its unit ball".
        meaning: one sentence that says what is offered, for documentation.

    >>> doubled = Capability[int]("its double", "Twice the number.")
    >>> @doubled.offered_by(int)
    ... def _(number):
    ...     return 2 * number
    >>> doubled.of(4), doubled.of("text")
    (8, None)
    """

    def __init__(self, name: str, meaning: str):
        self.name, self.meaning = name, meaning
        self._makers: dict[type, Callable[[Any], Offer | None]] = {}
        _ALL.append(self)

    def offered_by(self, *owners: type) -> Callable[[Maker], Maker]:
        """Return a decorator for the function that makes the offer for parts of the types ``owners``.

        The function returns None for those parts of the types that cannot offer it.
        """

        def decorator(make: Maker) -> Maker:
            self._makers.update(dict.fromkeys(owners, make))
            return make

        return decorator

    def of(self, part: object) -> Offer | None:
        """Return what the part offers, or None."""
        for kind in type(part).__mro__:
            if kind in self._makers:
                return self._makers[kind](part)
        return None

    def required_of(self, argument: str, part: object, purpose: str, remedy: str) -> Offer:
        """Return what ``part``, given as ``argument``, offers.

        Raises:
            MissingCapability: it does not; the message names the capability, the purpose and the remedy.
        """
        offer = self.of(part)
        if offer is None:
            raise MissingCapability(argument, part, self.name, purpose, remedy)
        return offer

    def __repr__(self) -> str:
        return f"Capability({self.name!r})"


def offered_capabilities(part: object) -> dict[str, bool]:
    """Return for every capability that was declared so far whether the part offers it.

    >>> halved = Capability[int]("its half", "Half of an even number.")
    >>> @halved.offered_by(int)
    ... def _(number):
    ...     return number // 2 if number % 2 == 0 else None
    >>> offered_capabilities(6)["its half"], offered_capabilities(7)["its half"]
    (True, False)
    """
    return {each.name: each.of(part) is not None for each in _ALL}
