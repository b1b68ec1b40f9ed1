"""Deliveries of published snapshots: into a recipient's own table (库表交换), or as files to its folder or bucket."""
