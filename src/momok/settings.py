"""Every setting of a run, typed, with what it does."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator


def _named(default: str, *others: str) -> Any:
    """A setting that names an entry of a dict, to which others may be added (docs/extending.md).

    ``training.build.check_parts`` knows the dicts and checks it.
    """
    return Field(default=default, examples=[default, *others])


def _split_names(value: Any) -> Any:
    """Also take ``structure,text``, which needs no quotes on a command line."""
    if not isinstance(value, str):
        return value
    return tuple(filter(None, (name.strip() for name in value.split(","))))


class _Section(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False
    )


class DataSettings(_Section):
    """Which facts are used."""

    split: Literal["clean", "published"] = "clean"
    """``clean`` mends a broken validation split and takes test facts out of train; ``published``
    leaves the files as they are."""


class FeatureSettings(_Section):
    """How the features of a modality enter the model. ``[features]`` holds for all modalities,
    ``[modality.NAME]`` overrides it for one."""

    normalise: bool = True
    """Bring every vector to length one first."""
    reduce: Literal["none", "pca", "pool", "paper", "project"] = "pca"
    """How vectors wider than ``width`` are narrowed: ``pca`` (principal components of the
    present rows), ``pool`` (average pooling), ``paper`` (pooling on the grids that the authors of
    the paper have for their vectors), ``project`` (a learned linear map), or ``none`` (kept at
    their own width)."""
    width: int = Field(default=128, ge=1)
    """The width to reduce to; narrower vectors are kept as they are."""
    pool_grid: tuple[int, int] | None = None
    """With ``pool``: see the vector as rows x columns; by default as one row. With ``paper``: in
    the place of its grid."""
    pool_target: tuple[int, int] | None = None
    """With ``pool``: the grid to pool to; its cells replace ``width``."""
    missing: Literal["mean", "zero", "random"] = "random"
    """What stands for an entity without features: the ``mean`` vector, ``zero``, or a ``random``
    vector each. docs/results.md compares them."""
    trainable: bool = True
    """Whether the vectors are trained (the paper) or kept as given."""
    mapped: bool = False
    """Whether an entity's vector is one of its own plus a learned linear map of its features,
    which then stay as given: what is learned from others' features reaches entities that train
    hardly shows. Its width is ``model.structure_width``, and ``reduce`` may be ``none``."""


class ModelSettings(_Section):
    """Sizes and parts of the model; every part can be switched off for an ablation."""

    modalities: tuple[str, ...] = ()
    """Which modalities are used, in order (``structure,text``); none given: structure and all
    that the graph has."""
    structure_width: int = Field(default=128, ge=1)
    """Width of the structure vectors."""
    relation_width: int = Field(default=128, ge=1)
    """Width of the relation vectors."""
    members: int = Field(default=1, ge=1)
    """How many models every head has, each with vectors of its own and trained apart; the head's
    score is the mean of theirs. For heads that share nothing (``heads = modalities``,
    ``experts = 0``) and a decoder that multiplies number by number, trained by a softmax."""
    heads: Literal["all", "joint", "modalities"] = "all"
    """Which decision heads there are: one per modality and a joint one over the fused modalities
    (the paper), the joint one alone, or those of the modalities alone."""
    decoder: str = _named("tucker", "distmult", "complex", "rotate")
    """How a head scores a fact. All but ``tucker`` (the paper) ignore ``relation_width`` and the
    three dropouts of the decoder but the first."""
    fusion: str = _named("mujod", "concat", "mean")
    """How the modalities become the joint vector: attention in branches (the paper), a linear map
    of all side by side, or the mean of a linear map of each."""
    initial_scale: float = Field(default=0.0, ge=0.0)
    """Standard deviation of the entity and relation vectors at the start; 0 draws them as the
    paper does (Xavier)."""
    joint_width: int = Field(default=128, ge=1)
    """Width of the fused vectors."""
    branches: int = Field(default=2, ge=1)
    """Branches of the fusion."""
    experts: int = Field(default=3, ge=0)
    """Experts per modality (ReMoKE); 0 leaves out experts, gates and temperatures: a modality's
    vectors are those of its table."""
    relation_temperature: bool = True
    """Whether a query's relation sharpens or flattens the gate over experts."""
    gate_noise: bool = True
    """Whether gates are noisy in training."""
    expert_dropout: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Dropout on the input of the experts."""
    fusion_dropout: float = Field(default=0.2, ge=0.0, lt=1.0)
    """Dropout on the input of the fusion."""
    input_dropout: float = Field(default=0.2, ge=0.0, lt=1.0)
    """Dropout on the query entity in the decoder."""
    relation_dropout: float = Field(default=0.2, ge=0.0, lt=1.0)
    """Dropout on the relation matrix in the decoder."""
    query_dropout: float = Field(default=0.3, ge=0.0, lt=1.0)
    """Dropout on the query vector."""
    score_prior: bool = True
    """Whether scores start at ``-ln N``, the log-odds of one entity among all N: a fixed number
    that every score has on top. Without it (the paper) they start at 0, and the first thousand
    steps go into pushing all of them down there."""

    _split_names = field_validator("modalities", mode="before")(_split_names)


class TrainingSettings(_Section):
    """How the model is trained."""

    epochs: int = Field(default=60, ge=1)
    """At most this many passes over all queries."""
    batch_size: int = Field(default=512, ge=2)
    """Queries in a batch; every query carries all of its training answers (1-N)."""
    optimizer: Literal["adam", "adagrad"] = "adam"
    """``adam`` (the paper) or ``adagrad``, whose rates shrink with what a parameter has moved."""
    learning_rate: float = Field(default=8e-3, gt=0)
    """Of the optimizer, for the model and the CLUB networks."""
    map_learning_rate: float = Field(default=0.1, gt=0)
    """Of the maps of features (``features.mapped``), as a share of ``learning_rate``."""
    learning_rate_decay: float = Field(default=0.98, gt=0.0, le=1.0)
    """What the learning rate is multiplied by after every epoch."""
    beta2: float = Field(default=0.9, ge=0.0, lt=1.0)
    """Adam's memory of squared gradients. Without ``model.score_prior`` all scores fall from 0
    to about ``-log N`` in the first steps, with gradients a thousand times those that follow;
    0.999 (the paper) remembers them for thousands of steps and learns little meanwhile."""
    label_smoothing: float = Field(default=0.1, ge=0.0, lt=1.0)
    """Positives count ``1 - label_smoothing``, and every pair ``1/N``."""
    loss: str = _named("logits", "probabilities", "softmax")
    """``logits`` is the binary cross-entropy of every pair of query and entity; ``probabilities``
    is the published code's form of it, which saturates where float32 probabilities do (beyond a
    score of 16.6); ``softmax`` is the cross-entropy of each answer among all entities (with
    sampled candidates: among a sample that stands for all), without label smoothing."""
    regulariser: str = _named("none", "n3", "dura", "l2")
    """What keeps vectors short, per fact: the nuclear 3-norm or DURA (which also sees the products
    of entity and relation), both for ``distmult`` and ``complex``, or squared lengths."""
    regularisation: float = Field(default=0.0, ge=0.0)
    """Weight of the regulariser."""
    disentanglement: float = Field(default=1e-4, ge=0.0)
    """Weight of the mutual-information estimate between experts (ExID); 0 switches it off."""
    validate_every: int = Field(default=5, ge=1)
    """Epochs between validations; each also saves a checkpoint."""
    patience: int = Field(default=10, ge=0)
    """Stop after this many validations without a better MRR; 0 never stops early."""
    candidates: Literal["all", "sampled"] = "all"
    """Score a batch against ``all`` entities (the paper), or against the batch's answers and a
    sample of the others, with the expectation of all: for graphs of hundreds of thousands of
    entities. Tables are then updated only where a step used them."""
    negatives: int = Field(default=8192, ge=1)
    """How many other entities are drawn for a batch when ``candidates`` is ``sampled``."""
    memory_mb: int = Field(default=512, ge=16)
    """Memory for the scores and vectors of the candidates that are scored at a time, in MiB;
    does not change results beyond rounding."""
    candidate_block: int = Field(default=0, ge=0)
    """Candidates scored at a time; 0 takes as many as ``memory_mb`` holds, on a CPU at most 2048,
    beyond which its cache is too small."""
    track: tuple[str, ...] = ()
    """Which experiment trackers also get what is written into ``metrics.jsonl``: ``tensorboard``,
    ``wandb``, or several (``tensorboard,wandb``). Changes no result."""

    _split_names = field_validator("track", mode="before")(_split_names)


class EvaluationSettings(_Section):
    """How the model is judged."""

    protocol: Literal["clean", "published"] = "clean"
    """``clean``: one checkpoint, chosen on validation, tested once. ``published``: the habit of
    the published code, for comparison only: chosen on test, best of each metric kept apart."""
    pool: Literal["equal", "heads", "heads+rules"] = "equal"
    """How decision heads trained by a softmax become the answer: all weigh ``equal``, their
    weights are fitted on the validation facts (``heads``), or so together with those of rules that
    are read off the train facts (``heads+rules``)."""
    memory_mb: int = Field(default=256, ge=16)
    """Memory for score buffers while ranking, in MiB."""


class RuntimeSettings(_Section):
    """On what the run computes."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """``auto`` takes a GPU when there is one."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of matrix products in training; losses, weights and ranks are float32 always. ``auto``
    takes bfloat16 where the hardware has it."""
    threads: int = Field(default=0, ge=0, le=1024)
    """CPU threads; 0 takes what ``OMP_NUM_THREADS`` says, else one per core that the process may
    use. For runs side by side give each its share: threads that wait for each other spin."""
    compile: Literal["auto", "on", "off"] = "auto"
    """Training's inner loops by PyTorch's compiler (a C++ compiler on a CPU, Triton on a GPU).
    ``auto``: where there is one and the run is long enough to win back the minute it takes."""


class RunConfig(_Section):
    """All settings of a run."""

    preset: Literal[
        "default", "small", "large", "experts", "paper", "tucker", "distmult", "complex", "rotate"
    ] = "default"
    """Where unset settings come from: ``default`` has a ComplEx head per modality, of two members
    each, pooled with rules; ``small``, for some thousand entities, has one member, half as wide,
    and half the epochs; ``large``, for hundreds of thousands, has that with sampled candidates and
    no rules; ``paper`` is the method as published, with the authors' values for each of the four
    benchmarks, and ``experts`` the method with scores that begin at the prior, narrower and faster;
    the last four are baselines that learn from the facts alone."""
    seed: int = Field(default=0, ge=0, lt=2**63)
    """Fixes everything random."""
    data: DataSettings = DataSettings()
    features: FeatureSettings = FeatureSettings()
    modality: dict[str, FeatureSettings] = {}
    model: ModelSettings = ModelSettings()
    training: TrainingSettings = TrainingSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    runtime: RuntimeSettings = RuntimeSettings()

    def features_of(self, modality: str) -> FeatureSettings:
        """The feature settings of one modality."""
        return self.modality.get(modality, self.features)
