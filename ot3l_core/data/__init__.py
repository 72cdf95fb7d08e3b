"""Labelled images: reading them, dividing them, and turning them into feature vectors."""
