"""Who owns the parameters of a model: modules and names, of parametrised and of shared weights too."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn
from torch.nn.utils.parametrize import ParametrizationList, type_before_parametrizations

__all__ = ["Owned", "is_transposed", "owners"]


class Owned(NamedTuple):
    """A parameter under one of its names: the module that owns it, its name there, and what that is in."""

    name: str
    module: nn.Module
    own_name: str
    param: Tensor
    parent: nn.Module | None = None

    @property
    def path(self) -> str:
        """Name of the module."""
        return self.name.removesuffix(self.own_name).removesuffix(".")

    @property
    def is_raw(self) -> bool:
        """Whether a module of the user's own holds the parameter, of which only the name tells what it is."""
        kinds = (kind.__module__ for kind in type(self.module).__mro__)
        return not any(map(_is_of_pytorch, kinds)) and not is_transposed(self.module)

    @property
    def is_gain(self) -> bool:
        """Whether weight normalisation multiplies the rows of a weight by it, be it of several axes."""
        by_name = self.own_name == "weight_g" or self.own_name.endswith(".original0")
        return by_name and sum(side > 1 for side in self.param.shape) <= 1


def owners(model: nn.Module) -> list[list[Owned]]:
    """Return each trained parameter once, with all its owners in the order of their names.

    What a parametrisation, as of ``torch.nn.utils.parametrizations``, computes a weight from belongs to the
    module of that weight; so does the weight of the older ``torch.nn.utils.weight_norm``.

    >>> from torch.nn.utils.parametrizations import weight_norm
    >>> [(each[0].own_name, type(each[0].parent).__name__) for each in owners(nn.Sequential(nn.PReLU()))]
    [('weight', 'Sequential')]
    >>> [isinstance(each[0].module, nn.Linear) for each in owners(weight_norm(nn.Linear(2, 2)))]
    [True, True, True]
    """
    modules = dict(model.named_modules(remove_duplicate=False))
    found: dict[int, list[Owned]] = {}
    for path, module in modules.items():
        for own_name, param in module._parameters.items():
            if param is None or not param.requires_grad:
                continue
            owner, inner = path, own_name
            if isinstance(module, ParametrizationList):
                # OWNER.parametrizations.WEIGHT
                owner = path.rpartition(".")[0].rpartition(".")[0]
                inner = f"{path}.{own_name}".removeprefix(f"{owner}.")
            parent = modules.get(owner.rpartition(".")[0]) if owner else None
            name = f"{owner}.{inner}" if owner else inner
            found.setdefault(id(param), []).append(Owned(name, modules[owner], inner, param, parent))
    return list(found.values())


def is_transposed(module: nn.Module) -> bool:
    """Whether a module is the linear layer of GPT-2 in transformers, which stores [inputs, outputs]."""
    return type_before_parametrizations(module).__name__ == "Conv1D" and hasattr(module, "nf")


def _is_of_pytorch(place: str) -> bool:
    # Containers and whole transformers are bases of the user's own modules.
    bases = ("module", "container", "transformer")
    return place.startswith("torch.nn.modules.") and place.rpartition(".")[2] not in bases
