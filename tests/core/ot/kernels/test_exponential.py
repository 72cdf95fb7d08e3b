"""Powers of two, against NumPy's."""

import numpy as np
import pytest

numba = pytest.importorskip("numba")

from ot3l_core.ot.kernels.exponential import OFFSET, exp2  # noqa: E402


@numba.njit
def powers(shifted):
    found = np.empty(len(shifted), np.float32)
    for place in range(len(shifted)):
        found[place] = exp2(shifted[place])
    return found


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_powers_over_the_whole_range(dtype):
    exponents = np.concatenate([np.linspace(-86, 126, 40_001), np.arange(-86, 127), np.arange(-86, 126) + 0.5])
    shifted = (exponents + float(OFFSET)).astype(dtype)
    # Of the exponent as a kernel sees it: float32 resolves it to 1.5e-5 at most.
    seen = shifted.astype(np.float32).astype(np.float64) - float(OFFSET)
    np.testing.assert_allclose(powers(shifted), np.exp2(seen), rtol=4e-7)


def test_powers_rise_with_their_exponents():
    shifted = np.linspace(-20, 20, 20_001).astype(np.float32) + OFFSET
    # A falling step is no more than the polynomial's error where two pieces meet.
    steps = np.diff(powers(shifted).astype(np.float64)) / powers(shifted)[1:]
    assert steps.min() > -4e-7


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_lies_outside_counts_as_the_nearest(dtype):
    outside = np.array([-1e30, -1e4, -127.5, -86.001, 126.001, 1e4, 1e30], dtype) + dtype(OFFSET)
    inside = np.array([-86] * 4 + [126] * 3, dtype) + dtype(OFFSET)
    np.testing.assert_allclose(powers(outside), powers(inside), rtol=0)
    assert powers(np.array([-np.inf, np.inf], dtype)).tolist() == powers(inside[[0, -1]]).tolist()
