"""Jobs whose alpha is still to be chosen."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

USUAL = 0.5

jobs = sa.table("jobs", sa.column("alpha", sa.Double()), sa.column("new_alpha", sa.Double()))


def upgrade() -> None:
    """Apply."""
    _replace_alpha(sa.Column("new_alpha", sa.Double()))


def downgrade() -> None:
    """Take back; where alpha was never chosen, it becomes the usual one."""
    _replace_alpha(sa.Column("new_alpha", sa.Double(), nullable=False, server_default=sa.text(str(USUAL))))
    if op.get_bind().dialect.name == "postgresql":
        op.alter_column("jobs", "alpha", server_default=None)


def _replace_alpha(column: sa.Column) -> None:
    """Put another column in its place: SQLite alters none, and makes no table again that others refer to."""
    op.add_column("jobs", column)
    op.execute(sa.update(jobs).where(jobs.c.alpha.is_not(None)).values(new_alpha=jobs.c.alpha))
    op.drop_column("jobs", "alpha")
    op.alter_column("jobs", "new_alpha", new_column_name="alpha")
