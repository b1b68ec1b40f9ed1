"""Applications for what is opened on conditions, and their events; notices about them."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

MOMENT = sa.String(32)


def upgrade() -> None:
    op.create_table(
        "applications",
        sa.Column("number", sa.Integer, autoincrement=True, nullable=False),
        sa.Column("dataset", sa.String(100), nullable=False),
        sa.Column("account", sa.String(100), nullable=False),
        sa.Column("provider", sa.String(64), nullable=False),
        sa.Column("applicant", sa.Text, nullable=False),
        sa.Column("use", sa.String(16), nullable=False),
        sa.Column("purpose", sa.Text, nullable=False),
        sa.Column("safeguards", sa.Text, nullable=False),
        sa.Column("until", MOMENT, nullable=False),
        sa.Column("conditions", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_applications"),
    )
    op.create_index("ix_applications_account", "applications", ["account"])
    op.create_index("ix_applications_provider", "applications", ["provider"])
    op.create_table(
        "application_events",
        sa.Column("application", sa.Integer, nullable=False),
        sa.Column("number", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("step", sa.String(32), nullable=False),
        sa.Column("by", sa.String(100), nullable=False),
        sa.Column("side", sa.String(16), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("said", sa.JSON, nullable=False),
        sa.ForeignKeyConstraint(
            ["application"], ["applications.number"], name="fk_application_events_application_applications"
        ),
        sa.PrimaryKeyConstraint("application", "number", name="pk_application_events"),
    )
    with op.batch_alter_table("notices") as table:
        table.add_column(sa.Column("application", sa.Integer))
        table.create_foreign_key(
            "fk_notices_application_applications", "applications", ["application"], ["number"]
        )


def downgrade() -> None:
    op.execute(
        "DELETE FROM deliveries WHERE notice IN (SELECT id FROM notices WHERE application IS NOT NULL)"
    )
    op.execute("DELETE FROM notices WHERE application IS NOT NULL")
    with op.batch_alter_table("notices") as table:
        table.drop_constraint("fk_notices_application_applications", type_="foreignkey")
        table.drop_column("application")
    op.drop_table("application_events")
    op.drop_table("applications")
