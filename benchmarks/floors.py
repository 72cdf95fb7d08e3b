"""What no implementation can beat on a machine: operations and bytes over the machine's own ceilings."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Floor:
    """The least work of a case.

    Attributes:
        single: Operations in float32.
        double: Operations in float64.
        n_bytes: Bytes that must come from or go to memory.
        formula: Where these come from, for the reader.
    """

    single: float
    double: float
    n_bytes: float
    formula: str

    def seconds(self, ceilings: dict[str, float]) -> float:
        """The slower of computing and reading, as if these overlapped perfectly."""
        computing = self.single / ceilings["flops_float32"] + self.double / ceilings["flops_float64"]
        return max(computing, self.n_bytes / ceilings["bytes"])


def gaussian_floor(n_classes: tuple[int, int], class_sizes: tuple[int, int], n_features: int) -> Floor:
    """All products of samples in the features' float32, and the bidiagonal form of each in float64."""
    (n_source, n_target), (n, m) = n_classes, class_sizes
    n, m = max(n, m), min(n, m)
    pairs = n_source * n_target
    products = 2 * pairs * n * m * n_features
    bidiagonal = pairs * (4 * n * m**2 - 4 * m**3 / 3)
    return Floor(
        products,
        bidiagonal,
        4 * n_features * (n_source * class_sizes[0] + n_target * class_sizes[1]) + 8 * pairs,
        "flops: 2 KL n m d (products, float32) + KL (4 n m² - 4/3 m³) (bidiagonal, float64); bytes: features once",
    )


def exact_floor(n_classes: tuple[int, int], class_sizes: tuple[int, int], n_features: int) -> Floor:
    """All products of samples, and one look at each; an assignment has no better known bound in general."""
    pairs = n_classes[0] * n_classes[1]
    entries = pairs * class_sizes[0] * class_sizes[1]
    return Floor(
        2 * entries * n_features,
        entries,
        4 * n_features * (n_classes[0] * class_sizes[0] + n_classes[1] * class_sizes[1]) + 8 * pairs,
        "flops: 2 KL n m d (products, float32) + KL n m (one look at each, float64); bytes: features once",
    )


_FLOPS_PER_ENTRY = 15
"""Of one iteration: two multiply-adds, a scaled difference, and an exponential of about ten operations."""


def dataset_floor(n: int, m: int, n_features: int, n_iterations: int) -> Floor:
    """Build the cost, then read it once for each iteration that was needed."""
    entries = n * m
    return Floor(
        entries * (2 * n_features + _FLOPS_PER_ENTRY * n_iterations),
        0,
        4 * entries * (1 + n_iterations),
        f"flops: N M (2 d + {_FLOPS_PER_ENTRY} iterations); bytes: 4 N M (1 + iterations); "
        f"{n_iterations} iterations as ours needed",
    )


def iteration_floor(n: int, m: int) -> Floor:
    """Read the cost once."""
    return Floor(_FLOPS_PER_ENTRY * n * m, 0, 4 * n * m, f"flops: {_FLOPS_PER_ENTRY} N M; bytes: 4 N M, the cost once")
