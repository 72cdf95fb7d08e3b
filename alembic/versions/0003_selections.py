"""Selections with their files, and jobs that train on one."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

document = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")
moment = sa.DateTime(timezone=True)


def reference(table: str, column: str, referred: str) -> sa.Constraint:
    """Return a reference to another table's id."""
    return sa.ForeignKeyConstraint([column], [f"{referred}.id"], name=f"fk_{table}_{column}_{referred}")


def upgrade() -> None:
    """Apply; tables that are there stay as they are, because SQLite could only make them again."""
    _create_selections()
    op.create_table(
        "selection_artifacts",
        sa.Column("selection_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("key", sa.String(300), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("media_type", sa.String(100), nullable=False),
        sa.PrimaryKeyConstraint("selection_id", "name", name="pk_selection_artifacts"),
        reference("selection_artifacts", "selection_id", "selections"),
    )
    op.create_table(
        "job_manifests",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("selection_id", sa.Uuid(), nullable=False),
        sa.Column("test_id", sa.Uuid()),
        sa.Column("labels", document),
        sa.PrimaryKeyConstraint("job_id", name="pk_job_manifests"),
        reference("job_manifests", "job_id", "jobs"),
        reference("job_manifests", "selection_id", "selections"),
        reference("job_manifests", "test_id", "datasets"),
    )
    for column in ("selection_id", "test_id"):
        op.create_index(f"ix_job_manifests_{column}", "job_manifests", [column])


def downgrade() -> None:
    """Take back; jobs that trained on a selection keep their results."""
    for table in ("job_manifests", "selection_artifacts", "selections"):
        op.drop_table(table)


def _create_selections() -> None:
    op.create_table(
        "selections",
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
        sa.Column("target_id", sa.Uuid(), nullable=False),
        sa.Column("source_id", sa.Uuid()),
        sa.PrimaryKeyConstraint("id", name="pk_selections"),
        sa.CheckConstraint(
            "state IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')", name=op.f("ck_selections_state")
        ),
        reference("selections", "target_id", "datasets"),
        reference("selections", "source_id", "datasets"),
    )
    op.create_index("ix_selections_state_lease_expires_at", "selections", ["state", "lease_expires_at"])
    for role in ("source", "target"):
        op.create_index(f"ix_selections_{role}_id", "selections", [f"{role}_id"])
