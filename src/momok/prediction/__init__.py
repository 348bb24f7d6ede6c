"""Using a trained model: predictions and what led to them."""

from momok.prediction.predictor import Predictor
from momok.prediction.questions import Question
from momok.prediction.results import FactScores, Prediction, Predictions

__all__ = ["FactScores", "Prediction", "Predictions", "Predictor", "Question"]
