"""The scope of a request: its columns, and the territory of its rows."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

ADDED: dict[str, tuple[sa.types.TypeEngine[Any], str]] = {
    "columns": (sa.JSON(), "[]"),
    "division": (sa.String(6), ""),
    "territory": (sa.String(63), ""),
}


def upgrade() -> None:
    with op.batch_alter_table("requests") as table:
        for name, (kind, before) in ADDED.items():
            table.add_column(sa.Column(name, kind, nullable=False, server_default=before))
    with op.batch_alter_table("requests") as table:
        for name in ADDED:
            table.alter_column(name, server_default=None)


def downgrade() -> None:
    with op.batch_alter_table("requests") as table:
        for name in ADDED:
            table.drop_column(name)
