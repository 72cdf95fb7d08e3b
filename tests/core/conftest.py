"""Both implementations of the engine."""

import pytest

from ot3l_core.ot import native


@pytest.fixture(scope="module", params=["compiled", "torch"])
def engine(request):
    """The engine with its compiled kernels, and as it is where Numba is not installed."""
    if request.param == "compiled":
        pytest.importorskip("numba")
        yield request.param
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(native, "find_spec", lambda _: None)
        native._has_numba.cache_clear()
        yield request.param
    native._has_numba.cache_clear()
