"""`make bench`: the way and its peers, measured in one run. See docs/performance.md."""
