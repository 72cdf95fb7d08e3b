"""Files of datasets."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply; datasets that are there have no files."""
    op.create_table(
        "dataset_artifacts",
        sa.Column("dataset_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("key", sa.String(300), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("media_type", sa.String(100), nullable=False),
        sa.PrimaryKeyConstraint("dataset_id", "name", name="pk_dataset_artifacts"),
        sa.ForeignKeyConstraint(["dataset_id"], ["datasets.id"], name="fk_dataset_artifacts_dataset_id_datasets"),
    )


def downgrade() -> None:
    """Take back; datasets stay, without their files."""
    op.drop_table("dataset_artifacts")
