"""Policies: whole models in one optimiser, each parameter once and by its kind."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from tests.optim.models import ResidualNetwork, Transformer, VisionTransformer
from torch import nn
from torch.nn.utils import parametrizations

from steepest.errors import InvalidArgument, SteepestWarning
from steepest.optim import Layout, Muon, Policy, Route, Signum, SteepestDescent, spectral_direction


def routes(model, **options):
    """Return the norm and the logical matrices of each parameter by its name."""
    optimizer = SteepestDescent(model, **options)
    return {row.parameter: (row.norm, row.matrices) for row in optimizer.routing()}


@pytest.mark.parametrize("make", [Transformer, VisionTransformer, ResidualNetwork])
@pytest.mark.parametrize("cls", [SteepestDescent, Muon])
def test_one_optimiser_trains_every_parameter_of_a_model(make, cls):
    torch.manual_seed(0)
    model = make()
    optimizer = cls(model, lr=0.05, momentum=0.9)
    before = {name: param.detach().clone() for name, param in model.named_parameters()}
    assert {row.parameter for row in optimizer.routing()} == set(before)
    inputs, targets = model.batch()
    losses = []
    for _ in range(20):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(inputs).flatten(0, -2), targets)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]
    for name, param in model.named_parameters():
        assert not torch.equal(param, before[name]), name


def test_a_transformer_is_routed_by_its_modules():
    found = routes(Transformer(tied=False))
    assert found["wte.weight"] == ("row-2/inf", ((1, 30, 8),))
    assert found["wpe.weight"] == ("row-2/inf", ((1, 6, 8),))
    assert found["lm_head.weight"] == ("row-2/inf", ((1, 30, 8),))
    assert found["blocks.1.attn.qkv.weight"] == ("spectral", ((1, 8, 8),) * 3)
    assert found["blocks.1.attn.qkv.bias"] == ("frobenius", ((1, 8, 1),) * 3)
    assert found["blocks.0.mlp.0.weight"] == ("spectral", ((1, 32, 8),))
    assert found["norm.weight"] == ("frobenius", ((1, 8, 1),))


def test_a_tied_weight_is_trained_once_and_alike_in_any_order():
    for head_first in (False, True):
        found = routes(Transformer(head_first=head_first))
        tied = {name: route for name, route in found.items() if name in ("wte.weight", "lm_head.weight")}
        assert list(tied.values()) == [("row-2/inf", ((1, 30, 8),))]
        by_pattern = Policy(patterns={"lm_head.weight": Route("max")})
        assert "max" in {
            norm for norm, _ in routes(Transformer(head_first=head_first), policy=by_pattern).values()
        }
        # Also where the routes of embeddings and of heads are not the same.
        apart = Policy(embeddings=Route("column-2/inf"), heads=Route("max"))
        norms = {norm for norm, _ in routes(Transformer(head_first=head_first), policy=apart).values()}
        assert norms == {"column-2/inf", "spectral", "frobenius"}


def test_a_vision_transformer_and_a_residual_network_are_routed_by_their_modules():
    found = routes(VisionTransformer())
    assert found["patch_embed.weight"] == ("spectral", ((1, 8, 48),))
    assert found["cls_token"] == ("row-2/inf", ((1, 1, 8),))
    assert found["pos_embed"] == ("row-2/inf", ((1, 5, 8),))
    assert found["head.weight"] == ("row-2/inf", ((1, 10, 8),))
    found = routes(ResidualNetwork())
    assert found["conv1.weight"] == ("spectral", ((1, 6, 27),))
    assert found["conv2.weight"] == ("spectral", ((2, 3, 27),))
    assert found["depthwise.weight"] == ("spectral", ((6, 1, 9),))
    assert found["up.weight"] == ("spectral", ((1, 6, 24),))
    assert found["fc.weight"] == ("row-2/inf", ((1, 10, 6),))
    assert found["bn1.weight"] == ("frobenius", ((1, 6, 1),))


def test_other_modules_of_pytorch():
    model = nn.ModuleDict(
        {
            "attention": nn.MultiheadAttention(8, 2, add_bias_kv=True),
            "cell": nn.LSTM(4, 3, proj_size=2),
            "gated": nn.GRU(4, 3),
            "step": nn.LSTMCell(4, 3),
            "gated_step": nn.GRUCell(4, 3),
            "bag": nn.EmbeddingBag(9, 4),
            "pair": nn.Bilinear(2, 3, 4),
            "out": nn.Linear(8, 5),
        }
    )
    found = routes(model)
    assert found["attention.in_proj_weight"] == ("spectral", ((1, 8, 8),) * 3)
    assert found["attention.in_proj_bias"] == ("frobenius", ((1, 8, 1),) * 3)
    assert found["attention.bias_k"] == ("frobenius", ((1, 8, 1),))
    assert found["cell.weight_ih_l0"] == ("spectral", ((1, 3, 4),) * 4)
    assert found["cell.weight_hr_l0"] == ("spectral", ((1, 2, 3),))
    assert found["cell.bias_hh_l0"] == ("frobenius", ((1, 3, 1),) * 4)
    assert found["gated.weight_hh_l0"] == ("spectral", ((1, 3, 3),) * 3)
    assert found["step.weight_ih"] == ("spectral", ((1, 3, 4),) * 4)
    assert found["gated_step.bias_hh"] == ("frobenius", ((1, 3, 1),) * 3)
    assert found["bag.weight"] == ("row-2/inf", ((1, 9, 4),))
    assert found["pair.weight"] == ("spectral", ((1, 4, 6),))
    assert found["out.weight"] == ("row-2/inf", ((1, 5, 8),))


@pytest.mark.filterwarnings("ignore:.*weight_norm:FutureWarning")
def test_what_a_weight_is_computed_from_belongs_to_the_module_of_the_weight():
    """Parametrised embeddings, heads and grouped convolutions are what they were, and gains are vectors."""
    plain = parametrizations.weight_norm
    model = nn.ModuleDict(
        {
            "table": plain(nn.Embedding(9, 4)),
            "grouped": plain(nn.Conv1d(6, 6, 3, groups=3)),
            "older": nn.utils.weight_norm(nn.Conv1d(6, 6, 3, groups=3)),
            "qkv": plain(nn.Linear(4, 12)),
            "normed": parametrizations.spectral_norm(nn.Linear(4, 4)),
            "out": parametrizations.orthogonal(nn.Linear(4, 5)),
            "own": nn.ParameterDict({"pos_embed": nn.Parameter(torch.zeros(1, 7, 4))}),
        }
    )
    found = routes(model)
    assert found["table.parametrizations.weight.original1"] == ("row-2/inf", ((1, 9, 4),))
    assert found["table.parametrizations.weight.original0"] == ("frobenius", ((1, 9, 1),))
    assert found["grouped.parametrizations.weight.original1"] == ("spectral", ((3, 2, 6),))
    assert found["grouped.parametrizations.weight.original0"] == ("frobenius", ((1, 6, 1),))
    assert found["older.weight_v"] == ("spectral", ((3, 2, 6),))
    assert found["older.weight_g"] == ("frobenius", ((1, 6, 1),))
    assert found["qkv.parametrizations.weight.original1"] == ("spectral", ((1, 4, 4),) * 3)
    assert found["normed.parametrizations.weight.original"] == ("spectral", ((1, 4, 4),))
    assert found["out.parametrizations.weight.original"] == ("row-2/inf", ((1, 5, 4),))
    assert found["own.pos_embed"] == ("row-2/inf", ((1, 7, 4),))


class Attention(nn.Module):
    def __init__(self, outputs, config=None, **heads):
        super().__init__()
        self.qkv_proj = nn.Linear(16, outputs)
        self.config = config
        vars(self).update(heads)


@pytest.mark.parametrize(
    ("module", "parts"),
    [
        (Attention(32, n_heads=4, n_kv_heads=2), (2, 1, 1)),
        (Attention(60, num_heads=12, num_kv_heads=4), (3, 1, 1)),
        (Attention(40, SimpleNamespace(num_attention_heads=8, num_key_value_heads=1)), (8, 1, 1)),
        (Attention(48, num_heads=4), (1, 1, 1)),
    ],
)
def test_numbers_of_heads_tell_how_grouped_queries_are_fused(module, parts):
    outputs = module.qkv_proj.out_features
    lengths = [outputs * part // sum(parts) for part in parts]
    found = routes(nn.Sequential(module))
    assert found["0.qkv_proj.weight"] == ("spectral", tuple((1, length, 16) for length in lengths))
    assert found["0.qkv_proj.bias"] == ("frobenius", tuple((1, length, 1) for length in lengths))


def test_a_gate_is_known_by_name_and_what_looks_fused_otherwise_warns():
    gated = nn.ModuleDict({"gate_up_proj": nn.Linear(4, 12), "down_proj": nn.Linear(6, 4)})
    assert routes(nn.Sequential(gated, gated))["0.gate_up_proj.weight"] == ("spectral", ((1, 6, 4),) * 2)
    experts = nn.ParameterDict({"gate_up_proj": nn.Parameter(torch.zeros(2, 12, 4))})
    unsaid = nn.ModuleList([Attention(32), Attention(32), experts])
    with pytest.warns(SteepestWarning) as caught:
        SteepestDescent(unsaid)
    (warning,) = caught
    assert str(warning.message) == (
        "0.qkv_proj.weight of shape [32, 16] and 2 more: fused by name, but nothing says how the parts lie, "
        "and so trained as one matrix; say it, as in "
        "policy=Policy(layouts={'*.qkv_proj.weight': Layout.fused((4, 1, 1))})"
    )
    said = {"*.qkv_proj.weight": Layout.fused((2, 1, 1)), "*.gate_up_proj": Layout.experts((1, 1))}
    found = routes(unsaid, policy=Policy(layouts=said))
    assert found["2.gate_up_proj"] == ("spectral", ((2, 6, 4),) * 2)
    assert found["0.qkv_proj.weight"] == ("spectral", ((1, 16, 16), (1, 8, 16), (1, 8, 16)))
    assert found["0.qkv_proj.bias"] == ("frobenius", ((1, 16, 1), (1, 8, 1), (1, 8, 1)))
    Signum(unsaid)


class StackedExperts(nn.Module):
    """As transformers has them: gates entry by entry or one after the other, [inputs, outputs] or not."""

    def __init__(self, is_transposed, is_concatenated):
        super().__init__()
        self.is_transposed, self.is_concatenated = is_transposed, is_concatenated
        shape = (2, 4, 12) if is_transposed else (2, 12, 4)
        self.gate_up_proj = nn.Parameter(torch.zeros(shape))
        self.gate_up_proj_bias = nn.Parameter(torch.zeros(2, 12))
        self.down_proj = nn.Parameter(torch.zeros((2, 6, 4) if is_transposed else (2, 4, 6)))
        self.A_log = nn.Parameter(torch.zeros(5, 3))


@pytest.mark.parametrize("is_transposed", [False, True])
@pytest.mark.parametrize("is_concatenated", [False, True])
def test_stacked_experts_say_how_they_lie(is_transposed, is_concatenated):
    module = StackedExperts(is_transposed, is_concatenated)
    optimizer = SteepestDescent(module, lr=1.0, scale="unit")
    assert {row.parameter: (row.norm, row.matrices) for row in optimizer.routing()} == {
        "gate_up_proj": ("spectral", ((2, 6, 4),) * 2),
        "gate_up_proj_bias": ("frobenius", ((2, 12, 1),)),
        "down_proj": ("spectral", ((2, 4, 6),)),
        "A_log": ("frobenius", ((5, 3, 1),)),
    }
    gradient = torch.randn(2, 12, 4, generator=torch.Generator().manual_seed(0))
    module.gate_up_proj.grad = gradient.mT if is_transposed else gradient
    optimizer.step()
    moved = module.gate_up_proj.detach().mT if is_transposed else module.gate_up_proj.detach()
    for expert, grad in zip(moved, gradient, strict=True):
        gate = slice(0, 6) if is_concatenated else slice(0, None, 2)
        expected = -spectral_direction(grad[gate])
        assert torch.allclose(expert[gate], expected, atol=1e-5)


class Conv1D(nn.Module):
    """As GPT-2's linear layer in transformers: its weight is stored [inputs, outputs]."""

    def __init__(self, outputs, inputs):
        super().__init__()
        self.nf = outputs
        self.weight = nn.Parameter(torch.zeros(inputs, outputs))
        self.bias = nn.Parameter(torch.zeros(outputs))


class Experts(nn.Module):
    def __init__(self):
        super().__init__()
        self.c_attn = Conv1D(12, 4)
        self.c_proj = Conv1D(8, 4)
        self.w1 = nn.Parameter(torch.zeros(3, 4, 5))
        self.router = nn.Linear(4, 3)
        self.query_key_value = nn.Linear(4, 24)
        self.temperature = nn.Parameter(torch.zeros(()))
        self.frozen = nn.Parameter(torch.zeros(4, 4), requires_grad=False)


def test_the_last_linear_layer_is_a_head_unless_it_is_one_of_many():
    blocks = nn.Sequential(*(nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 4)) for _ in range(2)))
    assert {norm for norm, matrices in routes(blocks).values()} == {"spectral", "frobenius"}
    assert routes(nn.Linear(4, 3))["weight"][0] == "spectral"
    perceptron = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    assert routes(perceptron)["2.weight"][0] == "row-2/inf"


class Odd(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.LayerNorm([3, 4])
        self.layer_scale = nn.Parameter(torch.ones(8, 1, 1))
        self.queries = nn.Parameter(torch.zeros(5, 8))
        self.w12 = nn.Linear(4, 12)
        self.last = nn.Linear(6, 3)
        self.lora_A = nn.ModuleDict({"default": nn.Linear(8, 2, bias=False)})
        self.lora_B = nn.ModuleDict({"default": nn.Linear(2, 12, bias=False)})


def test_gains_of_any_shape_learned_queries_and_adapters():
    found = routes(Odd())
    assert found["norm.weight"] == found["norm.bias"] == ("frobenius", ((1, 12, 1),))
    assert found["layer_scale"] == ("frobenius", ((1, 8, 1),))
    assert found["queries"] == ("row-2/inf", ((1, 5, 8),))
    assert found["w12.weight"] == ("spectral", ((1, 6, 4),) * 2)
    # An adapter is no head, though it be the last linear layer that is trained.
    assert found["last.weight"] == ("row-2/inf", ((1, 3, 6),))
    assert found["lora_A.default.weight"] == ("spectral", ((1, 2, 8),))
    assert found["lora_B.default.weight"] == ("spectral", ((1, 12, 2),))


def test_what_modules_do_not_tell_names_and_the_user_do():
    policy = Policy(
        heads=Route("max", scale=1e-2),
        patterns={"router.*": Route("frobenius", lr_factor=0.5, weight_decay=0.0)},
        layouts={"query_key_value.*": Layout.fused((4, 1, 1), interleaved=2)},
    )
    optimizer = SteepestDescent(Experts(), lr=0.5, weight_decay=0.1, policy=policy)
    found = {row.parameter: (row.norm, row.matrices) for row in optimizer.routing()}
    assert found == {
        "w1": ("spectral", ((3, 4, 5),)),
        "temperature": ("frobenius", ((1, 1, 1),)),
        "c_attn.weight": ("spectral", ((1, 4, 4),) * 3),
        "c_attn.bias": ("frobenius", ((1, 4, 1),) * 3),
        "c_proj.weight": ("spectral", ((1, 8, 4),)),
        "c_proj.bias": ("frobenius", ((1, 8, 1),)),
        "router.weight": ("frobenius", ((1, 3, 4),)),
        "router.bias": ("frobenius", ((1, 3, 1),)),
        "query_key_value.weight": ("max", ((1, 16, 4), (1, 4, 4), (1, 4, 4))),
        "query_key_value.bias": ("frobenius", ((1, 16, 1), (1, 4, 1), (1, 4, 1))),
    }
    decays = {
        name: group["weight_decay"] for group in optimizer.param_groups for name in group["param_names"]
    }
    rates = {name: group["lr"] for group in optimizer.param_groups for name in group["param_names"]}
    assert (decays["router.bias"], decays["w1"]) == (0.0, 0.1)
    assert (rates["router.bias"], rates["w1"]) == (0.25, 0.5)


def test_without_a_policy_a_norm_that_is_not_spectral_is_that_of_all_parameters():
    for model in (Transformer(), ResidualNetwork()):
        rows = list(Signum(model).routing())
        assert {(row.norm, row.scale) for row in rows} == {("max", "unit")}
    assert {row.matrices for row in rows if row.parameter == "conv2.weight"} == {((2, 3, 27),)}
    scales = {row.norm: row.scale for row in Muon(Transformer(), scale="spectral-width").routing()}
    assert scales == {"spectral": "spectral-width", "row-2/inf": "matched-rms", "frobenius": "matched-rms"}


def test_the_table_of_routes():
    table = str(
        SteepestDescent(nn.Sequential(nn.Embedding(9, 4), nn.Linear(4, 4), nn.Linear(4, 9))).routing()
    )
    assert table.splitlines() == [
        "parameter   shape   matrices   norm        scale",
        "0.weight    9×4     9×4        row-2/inf   matched-rms",
        "1.weight    4×4     4×4        spectral    matched-rms",
        "1.bias      4       4×1        frobenius   matched-rms",
        "2.bias      9       9×1        frobenius   matched-rms",
        "2.weight    9×4     9×4        row-2/inf   matched-rms",
    ]


@pytest.mark.parametrize(
    "params",
    [
        [nn.Parameter(torch.zeros(4096, 64))],
        [("transformer.wte.weight", nn.Parameter(torch.zeros(65, 64)))],
        [("tok_emb.weight", nn.Parameter(torch.zeros(65, 64)))],
        [("model.embed_tokens.weight", nn.Parameter(torch.zeros(65, 64)))],
        [("lm_head.weight", nn.Parameter(torch.zeros(65, 64)))],
    ],
)
def test_an_embedding_in_the_spectral_norm_warns(params):
    with pytest.warns(
        SteepestWarning, match="looks like an embedding or a head, and is to be trained in the spec"
    ):
        Muon(params)
    Signum(params)


def test_hidden_layers_in_the_spectral_norm_do_not_warn():
    Muon(Transformer().blocks.parameters())
    Muon(Transformer().blocks.named_parameters())
    Muon([("patch_embed.proj.weight", nn.Parameter(torch.zeros(8, 3, 4, 4)))])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Policy(matrices=cast(Any, "spectral")), "matrices='spectral': give a Route"),
        (lambda: Policy(patterns=cast(Any, {"*": "max"})), "give a Route, such as Route"),
        (lambda: Route("maxx"), 'did you mean "max"'),
        (lambda: Route("max", lr_factor=0), "lr_factor=0: give a number above 0"),
        (
            lambda: Policy(patterns={"blok*": Route("max")}).groups(Transformer()),
            "no parameter has such a name",
        ),
        (lambda: Route("max", scale="wide"), "scale='wide': give one of unit, aspect"),
        (lambda: Route("max", scale=cast(Any, None)), "scale=None: give one of unit, aspect"),
        (lambda: Route("max", scale=0.0), "scale=0.0: give one of unit, aspect"),
        (lambda: Route("max", weight_decay=-1.0), "weight_decay=-1.0: give a finite number of at least 0"),
        (lambda: Route("max", weight_decay=cast(Any, "no")), "weight_decay='no': give a finite number"),
        (lambda: Route("max", layout="rows"), "layout='rows': give a Layout"),
        (lambda: Policy(patterns=cast(Any, [Route("max")])), "patterns=.*: give a mapping from patterns"),
        (lambda: Policy(layouts=cast(Any, {3: "parts=1,1"})), "layouts=3: give a mapping from patterns"),
        (lambda: Policy().groups(cast(Any, [nn.ReLU()])), "model='list': give a torch.nn.Module"),
        (lambda: Policy().groups(nn.ReLU()), "no parameter of this model is to be trained"),
    ],
)
def test_policies_that_cannot_be_used(make, message):
    with pytest.raises(InvalidArgument, match=message):
        make()
