"""Using a trained model: predictions and what led to them."""

from momok.prediction.explanation import (
    Evidence,
    ExpertGates,
    ExplainedEntity,
    ExplainedFact,
    Explanation,
    FusionWeights,
    HeadPart,
    ModalityPart,
    SimilarEntity,
    SourceState,
    SupportingFact,
)
from momok.prediction.model_explanation import ModelExplanation, explain_model
from momok.prediction.new_entities import NewEntity, NewPredictions
from momok.prediction.predictor import Predictor
from momok.prediction.questions import Question
from momok.prediction.relations import RelationPrediction, RelationPredictions
from momok.prediction.results import FactScores, Prediction, Predictions
from momok.prediction.vectors import (
    Vectors,
    find_candidate_vectors,
    find_query_vectors,
    find_vectors,
)

__all__ = [
    "Evidence",
    "ExpertGates",
    "ExplainedEntity",
    "ExplainedFact",
    "Explanation",
    "FactScores",
    "FusionWeights",
    "HeadPart",
    "ModalityPart",
    "ModelExplanation",
    "NewEntity",
    "NewPredictions",
    "Prediction",
    "Predictions",
    "Predictor",
    "Question",
    "RelationPrediction",
    "RelationPredictions",
    "SimilarEntity",
    "SourceState",
    "SupportingFact",
    "Vectors",
    "explain_model",
    "find_candidate_vectors",
    "find_query_vectors",
    "find_vectors",
]
