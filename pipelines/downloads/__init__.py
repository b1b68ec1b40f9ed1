"""Downloads of the open zone: the masked table as files that people can open, release by release. Where they lie and
which of them hold is `lake.releases`."""

from pipelines.downloads.releasing import release

__all__ = ["release"]
