"""Backbones, the heads trained on their features, and what becomes of them."""
