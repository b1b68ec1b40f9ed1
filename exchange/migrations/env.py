"""Alembic's environment: on the connection that `exchange.state.migrate` hands over."""

from alembic import context

from exchange.schema import METADATA

context.configure(
    connection=context.config.attributes["connection"], target_metadata=METADATA, render_as_batch=True
)
context.run_migrations()
