"""What docs/performance.md says besides its numbers: how to measure, and how it was measured."""

HEAD = """# Performance: how fast, beside what, and where the time goes

This page is written by `python -m benchmarks.page` from the files in `benchmarks/results`; no number in it is typed.

```sh
make bench ROWS=2000000 REPEAT=3      # collection and the whole way beside their peers, and the day after
make bench ROWS=2000000 ONLY=way      # some of it (collect, csv, way, day …), put beside what was measured today
python -m benchmarks.masks            # tokens, beside a Python loop
python -m benchmarks.gate             # a share publication, with the leak gate and without it
python -m benchmarks.small            # starting, 10,000 entries, 1,000 DAGs, 100 rows
python -m benchmarks.upkeep           # a table of 300 daily batches, before and after upkeep
python -m benchmarks.load             # the exchange: calls a second, beside a static file server
python -m benchmarks.delivery         # deliveries into PostgreSQL and MariaDB
make demo && python -m benchmarks.airflow .demo    # what Airflow takes beside the stages
python -m benchmarks.flame            # the flame graph
python -m benchmarks.page             # this page
```

`make bench` and `benchmarks.delivery` need PostgreSQL and MariaDB servers in which they may create a database
(`BENCH_POSTGRES`, `BENCH_MARIADB`), and `make bench` Java for Spark; what is missing is left out and said. It makes the
peers' environments itself, from pinned requirements. Each result names the commit that it was taken of; what has
changed since in the measured code says `git diff --stat COMMIT -- schemas expectations lake pipelines exchange`.
"""
UNMET = """## Why what is not met is not met

*dlt, from MariaDB.* Two processor cores are shared by three: the server, which writes rows into its protocol (the
column of servers' seconds), Xuanwu, which makes columns of them, and Parquet. They run at the same time, so that the
sum is what counts, and the floor, which does nothing else, is not twice as fast either. PostgreSQL's server joins whole
columns ([decision 44](adr/0044-postgresql-is-read-by-its-blocks.md)), which is less work for it and for us; MariaDB's
`GROUP_CONCAT` takes it two and a half times as long as the rows. *Received alone* is what libpq takes to get
PostgreSQL's rows, one by one, and drop them.

*pandas.* The way keeps both cores busy for five sixths of its time. What it takes is spread over five zones that are
read and written as Parquet, which the floor does too, over casts, checks and masks, and over importing Great
Expectations. Ratios of one run differ by a tenth and more between hours: where a machine is shared, two busy cores lose
more of it than pandas' one.
"""
METHOD = """## Method

- **Sources** are generated residents of 15 columns, the same in PostgreSQL, MariaDB, CSV and Parquet; one id in a
  thousand has a wrong check character, one remark in five holds a phone or an id. Nobody in them is real.
- **Each contender is a process of its own**, started from nothing, on the same sources in the same run, in turns; every
  second repetition goes backwards. Ratios are between runs of one repetition; the table shows medians. *Starting* is
  what loading Python, libraries or Spark took; ratios are told with and without it. Xuanwu loads Great Expectations
  while it collects: that is counted there. What a machine compiles once is compiled before: the bytecode of all
  contenders, and Xuanwu's kernel of SM3, which takes some three seconds.
- **The floor** of collection is the source as an Arrow stream into one Parquet file; that of the whole way reads the
  bytes of every zone once and writes them once, with Arrow and nothing else: no cast, no check, no mask, no order.
- **Received alone** are PostgreSQL's rows as binary COPY, taken off the connection by libpq and dropped: no reader of
  rows can be faster.
- **Peers do the same work** and are set up as their own documentation says: dlt's `sql_table` with its ConnectorX and
  PyArrow backends and its `filesystem` source; pandas with Great Expectations on the frame; Spark on two local threads
  with 4 GB, reading a Parquet export, since its JDBC driver is not on a Python package index. *Same rows* says whether
  the published rows are Xuanwu's, by digest.
- **Memory** is the kernel's high-water mark, or where a contender starts processes the highest sum of their PSS,
  sampled twenty times a second, if that is higher.
- **Processor seconds** are of the contender's processes; those of the database servers and of other programs are told
  beside them, so that a disturbed run shows. On a busy machine the ratio of processor seconds says more than that of
  seconds.
- **The day after** changes the residents of one police station in a hundred, whose rows lie scattered over all files,
  and runs the next day's batch the whole way.
"""
