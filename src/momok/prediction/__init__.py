"""Using a trained model: predictions and what led to them."""
