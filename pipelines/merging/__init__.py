"""The parts of a merge: `pipelines.merge` says which is where."""
