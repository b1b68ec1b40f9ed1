"""The stages on Apache Spark: the same record-batch functions on many machines, the same commits on one.

Workers read and write files of the lake by `lake.store` and `lake.datafiles`, as the local engine does; no row passes
through the driver but those that are set aside and those that a gate looks at. What only one process may decide
(counts, the brake, certificates, the commit) stays in the stage, on the driver. What workers run imports neither the
ledger nor the table library nor Great Expectations.
"""
