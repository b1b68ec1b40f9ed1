"""Objections and their events; notices about them."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

MOMENT = sa.String(32)


def upgrade() -> None:
    op.create_table(
        "objections",
        sa.Column("number", sa.Integer, autoincrement=True, nullable=False),
        sa.Column("dataset", sa.String(100), nullable=False),
        sa.Column("zone", sa.String(8), nullable=False),
        sa.Column("policy", sa.String(64), nullable=False),
        sa.Column("department", sa.String(64), nullable=False),
        sa.Column("provider", sa.String(64), nullable=False),
        sa.Column("snapshot", sa.String(20), nullable=False),
        sa.Column("columns", sa.JSON, nullable=False),
        sa.Column("rows", sa.JSON, nullable=False),
        sa.Column("wrong", sa.Text, nullable=False),
        sa.Column("proposed", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_objections"),
    )
    op.create_index("ix_objections_department", "objections", ["department"])
    op.create_index("ix_objections_provider", "objections", ["provider"])
    op.create_table(
        "objection_events",
        sa.Column("objection", sa.Integer, nullable=False),
        sa.Column("number", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("step", sa.String(32), nullable=False),
        sa.Column("by", sa.String(100), nullable=False),
        sa.Column("side", sa.String(16), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("said", sa.JSON, nullable=False),
        sa.ForeignKeyConstraint(
            ["objection"], ["objections.number"], name="fk_objection_events_objection_objections"
        ),
        sa.PrimaryKeyConstraint("objection", "number", name="pk_objection_events"),
    )
    with op.batch_alter_table("notices") as table:
        table.add_column(sa.Column("objection", sa.Integer))
        table.create_foreign_key("fk_notices_objection_objections", "objections", ["objection"], ["number"])


def downgrade() -> None:
    op.execute("DELETE FROM deliveries WHERE notice IN (SELECT id FROM notices WHERE objection IS NOT NULL)")
    op.execute("DELETE FROM notices WHERE objection IS NOT NULL")
    with op.batch_alter_table("notices") as table:
        table.drop_constraint("fk_notices_objection_objections", type_="foreignkey")
        table.drop_column("objection")
    op.drop_table("objection_events")
    op.drop_table("objections")
