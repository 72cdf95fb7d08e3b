"""Distances between many datasets, and their files."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

ROLES = ("source", "target")

distances = sa.table(
    "distances", sa.column("id", sa.Uuid()), sa.column("kind"), *(sa.column(f"{role}_id", sa.Uuid()) for role in ROLES)
)
members = sa.table(
    "distance_datasets",
    sa.column("distance_id", sa.Uuid()),
    sa.column("position", sa.Integer()),
    sa.column("dataset_id", sa.Uuid()),
)
# SQLite cannot alter a table: it is made again, and checks are not among what is read off the old one.
made_again = {
    "table_args": [
        sa.CheckConstraint(
            "state IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')", name=op.f("ck_distances_state")
        )
    ]
}


def upgrade() -> None:
    """Apply; a distance keeps its source and target as the first two of its list."""
    # Read now and written last: SQLite makes no table again that others refer to.
    pairs = op.get_bind().execute(sa.select(distances.c.id, distances.c.source_id, distances.c.target_id)).all()
    for role in ROLES:
        op.drop_index(f"ix_distances_{role}_id", "distances")
    with op.batch_alter_table("distances", **made_again) as batch:
        batch.add_column(sa.Column("kind", sa.String(16), nullable=False, server_default="pair"))
        for role in ROLES:
            batch.drop_constraint(f"fk_distances_{role}_id_datasets", type_="foreignkey")
            batch.drop_column(f"{role}_id")
    with op.batch_alter_table("distances", **made_again) as batch:
        batch.alter_column("kind", server_default=None)
    _create_members()
    _create_artifacts()
    rows = [
        {"distance_id": pair.id, "position": position, "dataset_id": dataset_id}
        for pair in pairs
        for position, dataset_id in enumerate((pair.source_id, pair.target_id))
    ]
    op.bulk_insert(members, rows)


def downgrade() -> None:
    """Take back; distances between many datasets have no place in the older tables and are deleted."""
    connection = op.get_bind()
    of_pairs = sa.select(members).join(distances, distances.c.id == members.c.distance_id)
    rows = connection.execute(of_pairs.where(distances.c.kind == "pair")).all()
    op.drop_table("distance_artifacts")
    op.drop_table("distance_datasets")
    connection.execute(distances.delete().where(distances.c.kind != "pair"))
    with op.batch_alter_table("distances", **made_again) as batch:
        batch.drop_column("kind")
        for role in ROLES:
            batch.add_column(sa.Column(f"{role}_id", sa.Uuid(), nullable=True))
    for row in rows:
        column = f"{ROLES[row.position]}_id"
        connection.execute(distances.update().where(distances.c.id == row.distance_id).values({column: row.dataset_id}))
    with op.batch_alter_table("distances", **made_again) as batch:
        for role in ROLES:
            batch.alter_column(f"{role}_id", existing_type=sa.Uuid(), nullable=False)
            batch.create_foreign_key(f"fk_distances_{role}_id_datasets", "datasets", [f"{role}_id"], ["id"])
    for role in ROLES:
        op.create_index(f"ix_distances_{role}_id", "distances", [f"{role}_id"])


def _create_members() -> None:
    op.create_table(
        "distance_datasets",
        sa.Column("distance_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("dataset_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("distance_id", "position", name="pk_distance_datasets"),
        sa.ForeignKeyConstraint(
            ["distance_id"], ["distances.id"], name="fk_distance_datasets_distance_id_distances"
        ),
        sa.ForeignKeyConstraint(["dataset_id"], ["datasets.id"], name="fk_distance_datasets_dataset_id_datasets"),
    )
    op.create_index("ix_distance_datasets_dataset_id", "distance_datasets", ["dataset_id"])


def _create_artifacts() -> None:
    op.create_table(
        "distance_artifacts",
        sa.Column("distance_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("key", sa.String(300), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("media_type", sa.String(100), nullable=False),
        sa.PrimaryKeyConstraint("distance_id", "name", name="pk_distance_artifacts"),
        sa.ForeignKeyConstraint(
            ["distance_id"], ["distances.id"], name="fk_distance_artifacts_distance_id_distances"
        ),
    )
