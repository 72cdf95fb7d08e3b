"""Datasets, distances, jobs and their artifacts."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

document = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")
moment = sa.DateTime(timezone=True)


def work_table(name: str, *more: sa.Column | sa.Constraint) -> None:
    """Create a table of work that a worker claims, keeps and finishes."""
    op.create_table(
        name,
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("phase", sa.String(16)),
        sa.Column("progress", sa.Double(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.Column("lease_expires_at", moment),
        sa.Column("enqueued_at", moment, nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("started_at", moment),
        sa.Column("finished_at", moment),
        sa.Column("timings", document),
        sa.Column("error", document),
        sa.Column("request", document, nullable=False),
        sa.Column("result", document),
        *more,
        sa.PrimaryKeyConstraint("id", name=f"pk_{name}"),
        sa.CheckConstraint(
            "state IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')", name=op.f(f"ck_{name}_state")
        ),
    )
    op.create_index(f"ix_{name}_state_lease_expires_at", name, ["state", "lease_expires_at"])


def dataset_column(table: str, role: str, *, nullable: bool = False) -> tuple[sa.Column, sa.Constraint]:
    """Return a reference to a dataset."""
    column = f"{role}_id"
    return (
        sa.Column(column, sa.Uuid(), nullable=nullable),
        sa.ForeignKeyConstraint([column], ["datasets.id"], name=f"fk_{table}_{column}_datasets"),
    )


def upgrade() -> None:
    """Apply."""
    work_table(
        "datasets",
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("digest", sa.String(64)),
        sa.UniqueConstraint("name", name="uq_datasets_name"),
    )
    work_table("distances", *dataset_column("distances", "source"), *dataset_column("distances", "target"))
    work_table(
        "jobs",
        sa.Column("strategy", sa.String(32), nullable=False),
        sa.Column("alpha", sa.Double(), nullable=False),
        *dataset_column("jobs", "target"),
        *dataset_column("jobs", "source", nullable=True),
    )
    for table in ("distances", "jobs"):
        for role in ("source", "target"):
            op.create_index(f"ix_{table}_{role}_id", table, [f"{role}_id"])
    op.create_table(
        "artifacts",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("key", sa.String(300), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("media_type", sa.String(100), nullable=False),
        sa.PrimaryKeyConstraint("job_id", "name", name="pk_artifacts"),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_artifacts_job_id_jobs"),
    )


def downgrade() -> None:
    """Take back."""
    for table in ("artifacts", "jobs", "distances", "datasets"):
        op.drop_table(table)
