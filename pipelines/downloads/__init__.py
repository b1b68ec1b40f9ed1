"""Downloads of the open zone: the masked table as files that people can open, release by release
(`releases`)."""

from pipelines.downloads.releases import datasets, holding, release, withdraw

__all__ = ["datasets", "holding", "release", "withdraw"]
