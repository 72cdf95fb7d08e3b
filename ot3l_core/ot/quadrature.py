"""Square roots as sums of fractions, so that sums of singular values need no singular values.

``sqrt(x) = 2/pi  integral of x / (x + u^2) du`` over ``u > 0``. With ``u = e^y`` the integrand is analytic in a strip
of half-width pi/2 about the real line and decays on both sides, so the trapezoidal rule in y errs by
``2 exp(-pi^2 / h)`` at step h, for every x at once.

Source:
    trefethen2014trapezoidal, section 5; hale2008computing.
"""

from math import exp, expm1, pi

LOG_STEP = 0.3
"""Errs by ``1e-14`` of each root."""

_LEAST, _MOST = -116, 39

NODES = tuple(exp(LOG_STEP * j) for j in range(_LEAST, _MOST + 1))
"""From 1e-15 to 1e5, for x in [0, 1]: beyond, the sums are those of geometric series."""

WEIGHT = 2 / pi * LOG_STEP
"""``sqrt(x) = WEIGHT * (sum of u x / (x + u^2) over the nodes + BEYOND * x)``."""

BEYOND = 1 / (NODES[-1] * expm1(LOG_STEP))
"""Sum of ``1 / u`` over all later nodes, where ``x / (x + u^2)`` is ``x / u^2``."""
