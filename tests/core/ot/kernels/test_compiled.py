"""Machine code compiled just now and machine code kept from before give equal bytes."""

import os
import subprocess
import sys

PROGRAM = """
import torch
from ot3l_core.ot.gibbs import Gibbs
from ot3l_core.ot.marginals import uniform_marginals

generator = torch.Generator().manual_seed(0)
cost = 100 * torch.rand(64, 300, generator=generator)
masses = uniform_marginals(cost)
gibbs = Gibbs(cost, tuple(map(torch.zeros_like, masses)), 10.0, masses)
factors = torch.rand(300, generator=generator).double()
print(torch.stack(gibbs.price(factors, factors.flip(0))).numpy().tobytes().hex())
"""


def test_whoever_compiles_a_kernel_gets_what_others_get(tmp_path):
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    first, second = (
        subprocess.run([sys.executable, "-c", PROGRAM], env=environment, check=True, capture_output=True).stdout
        for _ in range(2)
    )
    assert list(tmp_path.rglob("*.nbc"))
    assert first == second
