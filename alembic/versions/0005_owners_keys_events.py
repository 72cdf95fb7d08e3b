"""Owners and their keys, events, uploads, webhooks; names, tags and notes; what retries and reuse need."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

WORK = ("datasets", "distances", "selections", "jobs")
DESCRIBED = ("datasets", "jobs")
LOCAL = "local"

document = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")
moment = sa.DateTime(timezone=True)
named = sa.String(200).with_variant(sa.String(200, collation="C"), "postgresql")
datasets = sa.table("datasets", sa.column("id", sa.Uuid()), sa.column("name", sa.String()))
# SQLite cannot alter a table: it is made again, and checks are not among what is read off the old one.
made_again = {
    "table_args": [
        sa.CheckConstraint(
            "state IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')", name=op.f("ck_datasets_state")
        )
    ]
}


def upgrade() -> None:
    """Apply; what is there belongs to the local owner."""
    _create_uploads()
    for table in WORK:
        _add(table, "owner", sa.String(64), LOCAL)
        _add(table, "priority", sa.Integer(), "5")
        _add(table, "forgiven", sa.Integer(), "0")
        _add(table, "last_event", sa.Integer(), "1")
        op.add_column(table, sa.Column("request_id", sa.String(64)))
        op.add_column(table, sa.Column("reuse_key", sa.String(64)))
    for table in DESCRIBED:
        _add(table, "tags", document, "[]")
        _add(table, "notes", document, "{}")
    op.add_column("jobs", sa.Column("name", named))
    with op.batch_alter_table("datasets", **made_again) as batch:
        batch.add_column(sa.Column("upload_id", sa.Uuid()))
        batch.create_foreign_key("fk_datasets_upload_id_uploads", "uploads", ["upload_id"], ["id"])
        batch.drop_constraint("uq_datasets_name", type_="unique")
        batch.create_unique_constraint("uq_datasets_owner_name", ["owner", "name"])
    _collate("C")
    for name, table, columns in _work_indexes():
        op.create_index(name, table, columns)
    for name, table, how in _tag_indexes():
        op.create_index(name, table, ["tags"], **how)
    _create_events()
    _create_access()
    _create_webhooks()
    op.create_table(
        "chores",
        sa.Column("name", sa.String(40), nullable=False),
        sa.Column("due_at", moment, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_chores"),
    )


def downgrade() -> None:
    """Take back; of datasets that share a name, all but the oldest get their id for a name."""
    for table in ("chores", "webhook_deliveries", "webhooks", "idempotency_keys", "api_keys", "events"):
        op.drop_table(table)
    connection = op.get_bind()
    taken: set[str] = set()
    for row in connection.execute(sa.select(datasets.c.id, datasets.c.name).order_by(datasets.c.id)).all():
        if row.name in taken:
            connection.execute(sa.update(datasets).where(datasets.c.id == row.id).values(name=str(row.id)))
        taken.add(row.name)
    for name, table, _ in (*_work_indexes(), *_tag_indexes()):
        op.drop_index(name, table)
    _collate(None)
    with op.batch_alter_table("datasets", **made_again) as batch:
        batch.drop_constraint("uq_datasets_owner_name", type_="unique")
        batch.create_unique_constraint("uq_datasets_name", ["name"])
        batch.drop_constraint("fk_datasets_upload_id_uploads", type_="foreignkey")
        batch.drop_column("upload_id")
    op.drop_column("jobs", "name")
    for table in DESCRIBED:
        for column in ("tags", "notes"):
            op.drop_column(table, column)
    for table in WORK:
        for column in ("owner", "priority", "forgiven", "last_event", "request_id", "reuse_key"):
            op.drop_column(table, column)
    for table in ("upload_parts", "uploads"):
        op.drop_table(table)


def _add(table: str, column: str, kind: sa.types.TypeEngine, default: str) -> None:
    """Add a column that is never empty; rows that are there need a value, later ones say theirs."""
    op.add_column(table, sa.Column(column, kind, nullable=False, server_default=default))
    if op.get_bind().dialect.name == "postgresql":
        op.alter_column(table, column, server_default=None)


def _collate(collation: str | None) -> None:
    """How the names of datasets are compared; SQLite compares them letter by letter anyway."""
    if op.get_bind().dialect.name == "postgresql":
        op.alter_column("datasets", "name", type_=sa.String(200, collation=collation))


def _work_indexes() -> list[tuple[str, str, list[str]]]:
    indexes = [("datasets", ["upload_id"]), ("jobs", ["owner", "name"])]
    indexes += [("jobs", ["owner", column, "created_at", "id"]) for column in ("strategy", "target_id")]
    for table in WORK:
        order = ["created_at", "id"]
        indexes += [(table, ["owner", *order]), (table, ["owner", "state", *order]), (table, ["reuse_key"])]
        indexes += [(table, ["owner", "finished_at", "id"])]
    return [(f"ix_{table}_{'_'.join(columns)}", table, columns) for table, columns in indexes]


def _tag_indexes() -> list[tuple[str, str, dict[str, Any]]]:
    how = {"postgresql_using": "gin", "postgresql_ops": {"tags": "jsonb_path_ops"}, "sqlite_where": sa.text("tags != '[]'")}
    return [(f"ix_{table}_tags", table, how) for table in DESCRIBED]


def _create_uploads() -> None:
    op.create_table(
        "uploads",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("filename", sa.String(255), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("part_size", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(64)),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("expires_at", moment, nullable=False),
        sa.Column("completed_at", moment),
        sa.PrimaryKeyConstraint("id", name="pk_uploads"),
    )
    op.create_index("ix_uploads_owner_id", "uploads", ["owner", "id"])
    op.create_index("ix_uploads_expires_at", "uploads", ["expires_at"])
    op.create_table(
        "upload_parts",
        sa.Column("upload_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("key", sa.String(300), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(64)),
        sa.Column("e_tag", sa.String(200)),
        sa.PrimaryKeyConstraint("upload_id", "number", name="pk_upload_parts"),
        sa.ForeignKeyConstraint(["upload_id"], ["uploads.id"], name="fk_upload_parts_upload_id_uploads"),
    )


def _create_events() -> None:
    op.create_table(
        "events",
        sa.Column("work_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", moment, nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("body", document, nullable=False),
        sa.PrimaryKeyConstraint("work_id", "number", name="pk_events"),
    )
    op.create_index("ix_events_at", "events", ["at"])


def _create_access() -> None:
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("hint", sa.String(16), nullable=False),
        sa.Column("scopes", document, nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("expires_at", moment),
        sa.Column("last_used_at", moment),
        sa.Column("revoked_at", moment),
        sa.PrimaryKeyConstraint("id", name="pk_api_keys"),
        sa.UniqueConstraint("digest", name="uq_api_keys_digest"),
    )
    op.create_index("ix_api_keys_owner_id", "api_keys", ["owner", "id"])
    op.create_table(
        "idempotency_keys",
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("key", sa.String(255), nullable=False),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.PrimaryKeyConstraint("owner", "key", name="pk_idempotency_keys"),
    )
    op.create_index("ix_idempotency_keys_created_at", "idempotency_keys", ["created_at"])


def _create_webhooks() -> None:
    op.create_table(
        "webhooks",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("url", sa.String(2000), nullable=False),
        sa.Column("secret", sa.String(200), nullable=False),
        sa.Column("old_secret", sa.String(200)),
        sa.Column("old_secret_until", moment),
        sa.Column("events", document, nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_webhooks"),
    )
    op.create_index("ix_webhooks_owner_id", "webhooks", ["owner", "id"])
    op.create_table(
        "webhook_deliveries",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("webhook_id", sa.Uuid(), nullable=False),
        sa.Column("event", sa.String(40), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("payload", document, nullable=False),
        sa.Column("n_attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", moment),
        sa.Column("status_code", sa.Integer()),
        sa.Column("error", sa.String(300)),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("delivered_at", moment),
        sa.PrimaryKeyConstraint("id", name="pk_webhook_deliveries"),
        sa.ForeignKeyConstraint(
            ["webhook_id"], ["webhooks.id"], name="fk_webhook_deliveries_webhook_id_webhooks", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_webhook_deliveries_webhook_id_id", "webhook_deliveries", ["webhook_id", "id"])
    op.create_index("ix_webhook_deliveries_next_attempt_at", "webhook_deliveries", ["next_attempt_at"])
    op.create_index("ix_webhook_deliveries_created_at", "webhook_deliveries", ["created_at"])
