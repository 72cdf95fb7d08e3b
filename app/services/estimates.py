"""What work will cost, from what like work has cost: right to an order of magnitude, and said to be no better."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import combinations
from types import MappingProxyType
from typing import Any, Final

from app.schemas.work import Estimate
from app.services.network_sizes import SIZES
from ot3l_core.catalogue import find_backbone
from ot3l_core.names import Phase

_FLOAT: Final = 4
_PROCESS_BYTES: Final = 400 << 20
"""What a worker holds before it begins."""
_BATCH: Final = 64
_TUNED_COPIES: Final = 4
"""A network that learns: its weights, their gradients, and two moments of each."""
_KEPT_LAYERS: Final = 60
"""How many times its picture a network holds in a forward pass, of which tuning keeps all until it goes back."""

_CALCULATIONS_A_SECOND: Final = 25.0
"""Billions of multiplications; here and below: of a machine with 2 cores, from benchmarks/results/job.md."""
_SECONDS_A_PICTURE: Final = 1e-3
_ROUGH: Final[Mapping[Phase, float]] = MappingProxyType(
    {
        Phase.READING: 1e-4,
        Phase.MEASURING: 1e-6,
        Phase.SELECTING: 1e-4,
        Phase.SWEEPING: 5e-5,
        Phase.TRAINING: 5e-5,
        Phase.EVALUATING: 5e-5,
        Phase.EXPORTING: 20.0,
        Phase.SAVING: 1.0,
    }
)
"""Seconds for a unit of each phase, but for those that go by the network."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many samples work computes on.

    Attributes:
        pool: To choose from, or to train on.
        test: To evaluate on.
        source: To measure from.
        each: Of a distance's datasets.
    """

    pool: int = 0
    test: int = 0
    source: int = 0
    each: tuple[int, ...] = ()

    @property
    def total(self) -> int:
        """All that pass through the network."""
        return self.pool + self.test + self.source + sum(self.each)


@dataclass(frozen=True, slots=True)
class Network:
    """A backbone as it is used; work with the same one costs alike."""

    backbone: str
    input_size: int
    precision: str


@dataclass(frozen=True, slots=True)
class Load:
    """What work has to do.

    Attributes:
        kind: Of the work.
        network: What it embeds with; None where nothing is embedded.
        units: By phase, of what its time is proportional to: pictures, samples in an epoch, pairs of samples.
        memory_bytes: The most that it holds at once.
    """

    kind: str
    network: Network | None
    units: Mapping[Phase, float]
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class Past:
    """Work that has succeeded, and the seconds that its phases took."""

    load: Load
    timings: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class History:
    """What work has cost, latest first."""

    past: tuple[Past, ...] = field(default=())


def load_of(kind: str, request: Mapping[str, Any], sizes: Sizes) -> Load:
    """What work of a kind has to do.

    Args:
        kind: The table of its record.
        request: Every setting, as it is stored.
        sizes: How many samples it computes on.
    """
    if "backbone" not in request:
        return Load(kind, None, {Phase.READING: 1.0}, _PROCESS_BYTES)
    entry = find_backbone(request["backbone"])
    network = Network(entry.name, request["input_size"] or entry.input_size, request["precision"])
    chosen = min(request.get("budget", 0), sizes.pool)
    units = {Phase.READING: sizes.total, Phase.EMBEDDING: sizes.total, Phase.SAVING: 1.0}
    if kind == "distances":
        units[Phase.MEASURING] = sum(one * other for one, other in combinations(sizes.each, 2))
    else:
        units[Phase.MEASURING] = entry.feature_dim * (sizes.pool + sizes.source) if sizes.source else 0
        units[Phase.SELECTING] = sizes.pool
    if kind == "jobs":
        units |= _learning(request, sizes, chosen)
    return Load(kind, network, {p: float(n) for p, n in units.items() if n}, _memory(request, sizes, network))


def _learning(request: Mapping[str, Any], sizes: Sizes, chosen: int) -> dict[Phase, float]:
    seeds, tuning = len(request["seeds"]), request.get("fine_tune")
    alpha = request.get("alpha")
    n_alphas = 5 if alpha == "auto" else len(alpha) if isinstance(alpha, list) else 0
    steps = chosen * request["training"]["epochs"] * seeds
    return {
        Phase.SWEEPING: steps * n_alphas,
        Phase.TRAINING: steps,
        Phase.EVALUATING: sizes.test * seeds,
        Phase.TUNING: chosen * tuning["epochs"] * seeds if tuning else 0,
        Phase.EXPORTING: len(request.get("exports", ())),
    }


def _memory(request: Mapping[str, Any], sizes: Sizes, network: Network) -> int:
    # Features are held as they came and as they are scaled.
    features = 2 * sizes.total * find_backbone(network.backbone).feature_dim * _FLOAT
    weights = SIZES[network.backbone][1] * 1e6 * _FLOAT
    picture = 3 * network.input_size**2 * _FLOAT
    tuning = request.get("fine_tune")
    if tuning:
        at_work = _TUNED_COPIES * weights + tuning["batch_size"] * picture * _KEPT_LAYERS
    else:
        at_work = weights + _BATCH * picture * 4
    # Costs and plan of the largest pair, in double precision.
    plan = 2 * 2 * _FLOAT * max((one * other for one, other in combinations(sizes.each, 2)), default=0)
    return int(_PROCESS_BYTES + features + max(at_work, plan))


def estimate(load: Load, history: History) -> Estimate:
    """What work will cost: by the rates of like work where there is any, by rough ones elsewhere.

    Embedding goes by the slowest that is known, since features that were kept from earlier work took no time.
    """
    like = [past for past in history.past if past.load.network == load.network]
    seconds, rough, used = {}, [], 0
    for phase, units in load.units.items():
        known = _rates(phase, load.kind, like)
        used = max(used, len(known))
        if not known:
            rough.append(phase.value)
            seconds[phase] = units * _rough_rate(phase, load.network)
        elif phase is Phase.EMBEDDING:
            seconds[phase] = units * max(took / done for took, done in known)
        else:
            seconds[phase] = units * sum(took for took, _ in known) / sum(done for _, done in known)
    return Estimate(
        seconds=round(sum(seconds.values()), 3),
        seconds_by_phase={phase: round(value, 3) for phase, value in seconds.items()},
        memory_bytes=load.memory_bytes,
        basis=_basis(load, used, rough),
    )


def _rates(phase: Phase, kind: str, like: Iterable[Past]) -> list[tuple[float, float]]:
    """Seconds and units of a phase in earlier work; reading and embedding are the same in all kinds."""
    shared = phase in {Phase.READING, Phase.EMBEDDING}
    found = [past for past in like if shared or past.load.kind == kind]
    return [
        (past.timings[phase], past.load.units[phase])
        for past in found
        if phase in past.timings and phase in past.load.units
    ]


def _rough_rate(phase: Phase, network: Network | None) -> float:
    if network is None:
        return 10.0
    forward = _SECONDS_A_PICTURE + _calculations(network) / _CALCULATIONS_A_SECOND
    match phase:
        case Phase.EMBEDDING:
            return forward
        case Phase.TUNING:
            # Back is twice the way forth.
            return 3 * forward
        case _:
            return _ROUGH[phase]


def _calculations(network: Network) -> float:
    """Billions of multiplications for one picture; they grow with its area."""
    own_size = find_backbone(network.backbone).input_size
    return SIZES[network.backbone][0] * (network.input_size / own_size) ** 2


def _basis(load: Load, used: int, rough: list[str]) -> str:
    like = "" if load.network is None else f" with {load.network.backbone} at {load.network.input_size} pixels"
    told = [f"measured on {used} {load.kind if used != 1 else 'piece of work'} of yours{like}"] if used else []
    if rough:
        told.append(f"rough rates of a machine with 2 cores: {', '.join(rough)}")
    return "; ".join(told) + "; to an order of magnitude"
