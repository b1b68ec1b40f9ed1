"""Accounts and tokens that come from an identity provider; logins of a browser."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("accounts") as table:
        table.add_column(sa.Column("said", sa.String(32)))
    with op.batch_alter_table("tokens") as table:
        table.add_column(sa.Column("kind", sa.String(8), nullable=False, server_default="personal"))
    with op.batch_alter_table("tokens") as table:
        table.alter_column("kind", server_default=None)


def downgrade() -> None:
    with op.batch_alter_table("tokens") as table:
        table.drop_column("kind")
    with op.batch_alter_table("accounts") as table:
        table.drop_column("said")
