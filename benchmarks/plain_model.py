"""The model of the plain method: MoMoK straight from the equations, sharing no code with momok.

It spends what the published implementation spends: every candidate encoded in every forward pass,
a relation matrix and a dropout mask on it for every query, experts run one after another.

Method: Zhang et al., "Mixture of Modality Knowledge Experts", arXiv:2405.16869.
Shapes: B queries, N entities, R relations (2R with reciprocals), M modalities, K experts, d widths.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

JOINT = "joint"
BRANCHES = 2


@dataclass(frozen=True, kw_only=True)
class DropoutRates:
    """The five dropout rates; the defaults are the paper's."""

    expert: float = 0.0
    fusion: float = 0.2
    head: float = 0.3
    relation: float = 0.4
    query: float = 0.5

    @classmethod
    def none(cls) -> DropoutRates:
        """All rates zero: training without chance."""
        return cls(expert=0.0, fusion=0.0, head=0.0, relation=0.0, query=0.0)


@dataclass(frozen=True, kw_only=True)
class PlainSizes:
    """Everything that fixes the parameters' shapes."""

    num_entities: int
    num_relations: int  # R, without reciprocals
    widths: Mapping[str, int]  # modality -> d_m
    joint_width: int | None  # None: no joint head
    relation_width: int
    num_experts: int = 3
    score_offset: float = 0.0  # added to every score; none in the paper


@dataclass(frozen=True)
class PlainOutput:
    """What one forward pass yields; gates and expert outputs are those of the query entities."""

    probabilities: dict[str, Tensor]  # head -> [B, N]
    gates: dict[str, Tensor]  # modality -> [B, K]
    expert_outputs: dict[str, Tensor]  # modality -> [B, K, d_m]
    fusion_weights: Tensor | None  # [branches, B, M], of the query entities

    @property
    def answer(self) -> Tensor:
        """Mean of the heads' probabilities, [B, N]."""
        return torch.stack(list(self.probabilities.values())).mean(dim=0)


class PlainExpert(nn.Module):
    """One expert: a linear map of the entity's vector after a learned shift."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(width))
        self.linear = nn.Linear(width, width, bias=False)
        self.dropout = nn.Dropout(dropout)
        nn.init.normal_(self.linear.weight, std=0.02)

    def forward(self, vectors: Tensor) -> Tensor:
        """Map vectors [n, d] to [n, d]."""
        return cast(Tensor, self.linear(self.dropout(vectors) - self.shift))


class PlainExpertBank(nn.Module):
    """The K experts of one modality and their noisy gate."""

    def __init__(self, width: int, num_experts: int, dropout: float) -> None:
        super().__init__()
        self.experts = nn.ModuleList(PlainExpert(width, dropout) for _ in range(num_experts))
        self.gate_weight = nn.Parameter(torch.zeros(width, num_experts))  # U
        self.noise_weight = nn.Parameter(torch.zeros(width, num_experts))  # V
        self.noisy = True

    def run_experts(self, vectors: Tensor) -> Tensor:
        """All experts on vectors [n, d]: [n, K, d]."""
        return torch.stack([expert(vectors) for expert in self.experts], dim=1)

    def forward(
        self, vectors: Tensor, temperatures: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Mixed vectors [n, d], gates [n, K] and expert outputs [n, K, d]."""
        logits = vectors @ self.gate_weight
        if self.training and self.noisy:
            scale = functional.softplus(vectors @ self.noise_weight) + 0.01
            logits = logits + torch.randn_like(logits) * scale
        if temperatures is not None:
            logits = logits / torch.sigmoid(temperatures)
        gates = torch.softmax(logits, dim=1)
        outputs = self.run_experts(vectors)
        return (gates.unsqueeze(2) * outputs).sum(dim=1), gates, outputs


class PlainFusion(nn.Module):
    """MuJoD: each branch projects every modality and mixes the projections by attention."""

    def __init__(self, widths: Sequence[int], joint_width: int, dropout: float) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            nn.ModuleList(
                nn.Sequential(nn.Dropout(dropout), nn.Linear(width, joint_width), nn.ReLU())
                for width in widths
            )
            for _ in range(BRANCHES)
        )
        self.attention = nn.Linear(joint_width, 1, bias=False)  # w, one for all branches

    def forward(self, vectors: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Fuse M tensors [n, d_m] into [n, d_joint]; weights [branches, n, M]."""
        fused, weights = [], []
        for branch in self.branches:
            layers = cast(nn.ModuleList, branch)
            projected = torch.stack(
                [layer(vector) for layer, vector in zip(layers, vectors, strict=True)], dim=1
            )  # [n, M, d_joint]
            alpha = torch.softmax(self.attention(projected).squeeze(2), dim=1)  # [n, M]
            fused.append((alpha.unsqueeze(2) * projected).sum(dim=1))
            weights.append(alpha)
        return torch.stack(fused).sum(dim=0), torch.stack(weights)


class PlainDecoder(nn.Module):
    """TuckER with a relation matrix, and a dropout mask on it, for every query."""

    def __init__(
        self, width: int, relation_width: int, rates: DropoutRates, offset: float = 0.0
    ) -> None:
        super().__init__()
        self.offset = offset
        self.core = nn.Parameter(torch.empty(relation_width, width, width))
        nn.init.xavier_uniform_(self.core)
        self.head_norm = nn.BatchNorm1d(width)
        self.query_norm = nn.BatchNorm1d(width)
        self.head_dropout = nn.Dropout(rates.head)
        self.relation_dropout = nn.Dropout(rates.relation)
        self.query_dropout = nn.Dropout(rates.query)

    def forward(self, heads: Tensor, relations: Tensor, candidates: Tensor) -> Tensor:
        """Probabilities [B, N] of candidates [N, d] for heads [B, d], relations [B, d_r]."""
        width = heads.shape[1]
        heads = self.head_dropout(self.head_norm(heads))
        matrices = (relations @ self.core.view(-1, width * width)).view(-1, width, width)
        matrices = self.relation_dropout(matrices)  # [B, d, d]
        queries = torch.bmm(heads.unsqueeze(1), matrices).squeeze(1)
        queries = self.query_dropout(self.query_norm(queries))
        return torch.sigmoid(queries @ candidates.t() + self.offset)


class PlainMoMoK(nn.Module):
    """The whole model: one tower per modality and, where sizes say so, the joint one."""

    def __init__(
        self,
        sizes: PlainSizes,
        features: Mapping[str, Tensor] | None = None,
        rates: DropoutRates | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        """Build with ``features`` (modality -> [N, d_m]); a modality without any starts random."""
        super().__init__()
        rates = rates or DropoutRates()
        features = features or {}
        self.sizes, widths = sizes, sizes.widths
        self.modalities = tuple(widths)
        self.heads = (*widths, JOINT) if sizes.joint_width else self.modalities
        self.entity_tables = nn.ModuleDict(
            {
                name: _build_table(sizes.num_entities, width, features.get(name))
                for name, width in widths.items()
            }
        )
        self.relation_tables = nn.ModuleDict(
            {name: _build_table(2 * sizes.num_relations, sizes.relation_width) for name in widths}
        )
        self.temperatures = nn.Embedding(2 * sizes.num_relations, 1)  # τ
        self.banks = nn.ModuleDict(
            {n: PlainExpertBank(w, sizes.num_experts, rates.expert) for n, w in widths.items()}
        )
        self.decoders = nn.ModuleDict(
            {
                name: PlainDecoder(w, sizes.relation_width, rates, sizes.score_offset)
                for name, w in widths.items()
            }
        )
        if sizes.joint_width:
            joint = sizes.joint_width
            self.fuse_entities = PlainFusion(list(widths.values()), joint, rates.fusion)
            relation_widths = [sizes.relation_width] * len(widths)
            self.fuse_relations = PlainFusion(relation_widths, joint, rates.fusion)
            self.decoders[JOINT] = PlainDecoder(joint, joint, rates, sizes.score_offset)
        self.to(dtype)

    def set_gate_noise(self, noisy: bool) -> None:
        """Switch the noise of the gates in training on or off."""
        for bank in self.banks.values():
            cast(PlainExpertBank, bank).noisy = noisy

    def run_query_experts(self, heads: Tensor) -> dict[str, Tensor]:
        """Expert outputs [B, K, d_m] of the query entities, by modality."""
        return {
            name: cast(PlainExpertBank, self.banks[name]).run_experts(
                self.entity_tables[name](heads)
            )
            for name in self.modalities
        }

    def forward(self, heads: Tensor, relations: Tensor) -> PlainOutput:
        """Answer queries (head ids [B], relation ids [B] below 2R) over all N entities."""
        temperatures = self.temperatures(relations)  # [B, 1]
        queries, candidates, relation_vectors, gates, outputs = {}, {}, {}, {}, {}
        for name in self.modalities:
            table = cast(nn.Embedding, self.entity_tables[name])
            bank = self.banks[name]
            queries[name], gates[name], outputs[name] = bank(table(heads), temperatures)
            candidates[name], _, _ = bank(table.weight)
            relation_vectors[name] = self.relation_tables[name](relations)
        fusion_weights = None
        if self.sizes.joint_width:
            queries[JOINT], fusion_weights = self.fuse_entities(list(queries.values()))
            candidates[JOINT], _ = self.fuse_entities(list(candidates.values()))
            relation_vectors[JOINT], _ = self.fuse_relations(list(relation_vectors.values()))
        probabilities = {
            name: self.decoders[name](queries[name], relation_vectors[name], candidates[name])
            for name in self.heads
        }
        return PlainOutput(probabilities, gates, outputs, fusion_weights)


def _build_table(rows: int, width: int, features: Tensor | None = None) -> nn.Embedding:
    """An embedding table: the L2-normalised features, or Xavier normal where there are none."""
    table = nn.Embedding(rows, width)
    if features is None:
        nn.init.xavier_normal_(table.weight)
    else:
        with torch.no_grad():
            table.weight.copy_(functional.normalize(features, dim=1))
    return table


class PlainClub(nn.Module):
    """CLUB of one modality: bounds the mutual information of two experts' outputs.

    Source: Cheng et al., "CLUB", ICML 2020, the sampled variant.
    """

    def __init__(self, width: int, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        hidden = width // 2
        self.mean = nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, width))
        self.log_variance = nn.Sequential(
            nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, width), nn.Tanh()
        )
        self.to(dtype)

    def forward(self, given: Tensor, other: Tensor, permutation: Tensor) -> Tensor:
        """The estimate, a scalar, from outputs [B, d] and a permutation [B] of the batch."""
        mean, variance = self.mean(given), self.log_variance(given).exp()
        paired: Tensor = -((mean - other) ** 2) / variance
        shuffled: Tensor = -((mean - other[permutation]) ** 2) / variance
        return (paired.sum(dim=1) - shuffled.sum(dim=1)).mean() / 2

    def compute_own_loss(self, given: Tensor, other: Tensor) -> Tensor:
        """Negative log-likelihood by which the network itself learns (as published: no λ term)."""
        variance = self.log_variance(given).exp()
        squares: Tensor = (self.mean(given) - other) ** 2 / (2 * variance)
        return squares.sum(dim=1).mean()


def build_clubs(sizes: PlainSizes, dtype: torch.dtype = torch.float32) -> nn.ModuleDict:
    """One CLUB network per modality."""
    return nn.ModuleDict({name: PlainClub(w, dtype) for name, w in sizes.widths.items()})


_AUTHORS_PREFIX = {"structure": "", "image": "img_", "text": "txt_"}
_AUTHORS_BANK = {"structure": "structure_moe", "image": "visual_moe", "text": "text_moe"}
_AUTHORS_DECODER = {"structure": "S", "image": "I", "text": "D", JOINT: "MM"}
_AUTHORS_CLUB = {"structure": "str", "image": "img", "text": "txt"}
_AUTHORS_PART = {
    "gate_weight": "w_gate",
    "noise_weight": "w_noise",
    "shift": "bias",
    "linear": "lin",
    "core": "W",
    "head_norm": "bn0",
    "query_norm": "bn1",
    "mean": "p_mu",
    "log_variance": "p_logvar",
    "fuse_entities": "fuse_e",
    "fuse_relations": "fuse_r",
}


def get_authors_name(key: str) -> str:
    """The authors' name of the parameter or buffer ``key`` of a PlainMoMoK or of the CLUB nets."""
    first, second, *others = key.split(".")
    tail = [_AUTHORS_PART.get(part, part) for part in others]
    match first:
        case "entity_tables" | "relation_tables":
            kind = first.removesuffix("_tables")
            parts = [f"{_AUTHORS_PREFIX[second]}{kind}_embeddings", *tail]
        case "temperatures":
            parts = ["rel_gate", second]
        case "banks":
            parts = [_AUTHORS_BANK[second], *tail]
        case "decoders":
            parts = [f"TuckER_{_AUTHORS_DECODER[second]}", *tail]
        case "fuse_entities" | "fuse_relations" if second == "attention":
            parts = [_AUTHORS_PART[first], "ent_attn", *tail]
        case "fuse_entities" | "fuse_relations":
            branch, modality, layer, kind = others
            number = int(modality) + 1
            parts = [_AUTHORS_PART[first], f"modal{number}_layers", branch, layer, kind]
        case _:  # a CLUB network: modality.net.layer.kind
            parts = [f"{_AUTHORS_CLUB[first]}_estimator", _AUTHORS_PART[second], *tail]
    return ".".join(parts)


def load_authors_checkpoint(
    folder: Path, *, rates: DropoutRates | None = None, dtype: torch.dtype = torch.float32
) -> tuple[PlainMoMoK, nn.ModuleDict]:
    """The model and CLUB networks of ``RMoE.pth`` and ``MIEstimator.pth``, sizes read from them."""
    state = torch.load(folder / "RMoE.pth", weights_only=True)
    club_state = torch.load(folder / "MIEstimator.pth", weights_only=True)
    tables = {name: state[f"{p}entity_embeddings.weight"] for name, p in _AUTHORS_PREFIX.items()}
    relations = state["relation_embeddings.weight"]
    sizes = PlainSizes(
        num_entities=tables["structure"].shape[0],
        num_relations=relations.shape[0] // 2,
        widths={name: table.shape[1] for name, table in tables.items()},
        joint_width=state["TuckER_MM.W"].shape[1],
        relation_width=relations.shape[1],
        num_experts=state["structure_moe.w_gate"].shape[1],
    )
    model, clubs = PlainMoMoK(sizes, rates=rates, dtype=dtype), build_clubs(sizes, dtype)
    model.load_state_dict({key: state[get_authors_name(key)] for key in model.state_dict()})
    clubs.load_state_dict({key: club_state[get_authors_name(key)] for key in clubs.state_dict()})
    return model, clubs
