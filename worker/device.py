"""The device of a worker process."""

import torch


def choose_device() -> torch.device:
    """The GPU where there is one. Never call this before the fork: a CUDA context does not survive it."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
