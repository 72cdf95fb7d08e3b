"""Galleries on the wire: many small pictures in one, and what each of them shows."""

from typing import Final, Literal, TypeAlias

from pydantic import ConfigDict, Field

from app.schemas.work import Reply

GALLERY_JSON: Final = "gallery.json"
GALLERY_WEBP: Final = "gallery.webp"
SIDE: Final = 64
"""Pixels of a thumbnail, which is square."""
COLUMNS: Final = 25
MOST_IMAGES: Final = 1000
"""How many images a gallery may have."""

Split: TypeAlias = Literal["pool", "test"]


class GalleryImage(Reply):
    """What one thumbnail shows."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    id: str = Field(description="The sample's name, stable over re-reading.")
    class_name: str | None = Field(
        alias="class", description="Its class, or the pseudo-class that it was chosen from, where there are any."
    )
    split: Split | None = Field(description="Where it lies in its dataset.")
    score: float | None = Field(description="What it was ranked by, where it was chosen and the strategy ranks.")
    reason: str | None = Field(description="Why it was chosen, where it was.", examples=["far"])


class Gallery(Reply):
    """What gallery.webp shows: image i in column ``i % columns`` and row ``i // columns``."""

    side: int = Field(default=SIDE, description="Width and height of one image, in pixels.")
    columns: int = Field(default=COLUMNS, description="Images in a row; the sheet is as wide as so many.")
    images: list[GalleryImage] = Field(max_length=MOST_IMAGES)
