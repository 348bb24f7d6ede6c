"""Finished runs for others: a folder with a model card, and a hub to keep it on."""

from momok.sharing.hub import pull_from_hub, push_to_hub
from momok.sharing.pretrained import save_pretrained

__all__ = ["pull_from_hub", "push_to_hub", "save_pretrained"]
