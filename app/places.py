"""Where the paths of requests may lead."""

from pathlib import Path


def places_below(path: str, roots: tuple[Path, ...]) -> list[Path]:
    """Every place below a root that a path can mean, those where something is first; relative to each root in turn.

    Args:
        path: What a client sent, relative or absolute.
        roots: Where may be read from.

    Raises:
        ValueError: If it is not a path.
    """
    try:
        # Joining an absolute path to a root gives that path, so both kinds go the same way.
        below = [place for root in roots if (place := (root.resolve() / path).resolve()).is_relative_to(root.resolve())]
        return sorted(below, key=lambda place: not place.exists())
    except OSError as error:
        raise ValueError(f"{path!r} is not a path") from error
