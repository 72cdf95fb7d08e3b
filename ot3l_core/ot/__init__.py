"""Optimal transport between two clouds of points, with a certificate for every value."""

from ot3l_core.ot.certificate import Certificate
from ot3l_core.ot.cost import GroupCost, squared_distances
from ot3l_core.ot.exact import exact_transport
from ot3l_core.ot.marginals import Marginals, uniform_marginals
from ot3l_core.ot.plan import Plan, Transport
from ot3l_core.ot.sinkhorn import sinkhorn_transport
from ot3l_core.ot.tally import Tally, tally

__all__ = [
    "Certificate",
    "GroupCost",
    "Marginals",
    "Plan",
    "Tally",
    "Transport",
    "exact_transport",
    "sinkhorn_transport",
    "squared_distances",
    "tally",
    "uniform_marginals",
]
