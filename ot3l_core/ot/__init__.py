"""Optimal transport between two clouds of points, with a certificate for every value."""

from ot3l_core.ot.certificate import Certificate
from ot3l_core.ot.cost import squared_distances
from ot3l_core.ot.exact import exact_transport
from ot3l_core.ot.marginals import Marginals, uniform_marginals
from ot3l_core.ot.plan import Plan, Transport, block_sums, marginal_costs
from ot3l_core.ot.sinkhorn import sinkhorn_transport

__all__ = [
    "Certificate",
    "Marginals",
    "Plan",
    "Transport",
    "block_sums",
    "exact_transport",
    "marginal_costs",
    "sinkhorn_transport",
    "squared_distances",
    "uniform_marginals",
]
