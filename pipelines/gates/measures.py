"""k, l and t in SQL, over `units`: a relation of (class, s0, s1 …, size), the rows of each class by what they hold of
the sensitive fields. One row a unit or many, the measures are the same, so that coarser classes are judged as well.

t is the earth mover's distance of a class from the whole (Li, Li and Venkatasubramanian 2007): by equal distances
where the values have no order, by ordered distances (ranks, 0 to 1) where they are numbers. An empty value is a value
like others, the lowest.
"""

from __future__ import annotations

from pipelines.gates.limits import Limits

ROUNDING = 1e-9
"""Sums of shares are not exact: a distance counts as above the limit only beyond this."""


def failing(units: str, limits: Limits) -> str:
    """The classes that are too small, not diverse, or too far from the whole."""
    diverse = "".join(f" OR {_distinct(n)} < {limits.l}" for n in range(len(limits.sensitive)))
    parts = [f"SELECT class FROM {units} GROUP BY class HAVING sum(size) < {limits.k}{diverse}"]
    if limits.t < 1:
        far = f"WHERE distance > {limits.t + ROUNDING}"
        parts += [
            f"SELECT class FROM ({distance(units, n, limits)}) {far}" for n in range(len(limits.sensitive))
        ]
    return " UNION ".join(parts)


def diversity(units: str, n: int) -> str:
    """The least distinct values in a class."""
    return f"SELECT min(d) FROM (SELECT {_distinct(n)} AS d FROM {units} GROUP BY class)"


def distance(units: str, n: int, limits: Limits) -> str:
    """(class, distance) of the nth sensitive field."""
    template = _ORDERED if limits.sensitive[n] in limits.ordered else _EQUAL
    return template.format(units=units, n=n)


def _distinct(n: int) -> str:
    return f"count(DISTINCT s{n}) + max((s{n} IS NULL)::INT)"


_EQUAL = """
    WITH valued AS (SELECT class, s{n} IS NULL AS empty, coalesce(s{n}::VARCHAR, '') AS value, sum(size) AS size
                    FROM {units} GROUP BY ALL),
         shares AS (SELECT empty, value, sum(size) / (SELECT sum(size) FROM valued) AS p FROM valued GROUP BY ALL),
         sizes AS (SELECT class, sum(size) AS whole FROM valued GROUP BY class)
    SELECT class, (1 + sum(abs(size / whole - p) - p)) / 2 AS distance
    FROM valued JOIN sizes USING (class) JOIN shares USING (empty, value) GROUP BY class"""
_ORDERED = """
    WITH valued AS (SELECT class, s{n} AS value, sum(size) AS size FROM {units} GROUP BY ALL),
         counted AS (SELECT value, sum(size) AS size FROM valued GROUP BY value),
         ranked AS (SELECT value, row_number() OVER up AS rank,
                           sum(size) OVER up / (SELECT sum(size) FROM counted) AS below
                    FROM counted WINDOW up AS (ORDER BY value NULLS FIRST ROWS UNBOUNDED PRECEDING)),
         ladder AS (SELECT 0 AS rank, 0.0 AS below, 0.0 AS area UNION ALL
                    SELECT rank, below, sum(below) OVER (ORDER BY rank ROWS UNBOUNDED PRECEDING) FROM ranked),
         last AS (SELECT max(rank) AS rank FROM ranked),
         sizes AS (SELECT class, sum(size) AS whole FROM valued GROUP BY class),
         present AS (SELECT class, rank, size / whole AS share FROM valued JOIN sizes USING (class)
                     JOIN ranked ON valued.value IS NOT DISTINCT FROM ranked.value),
         starts AS (SELECT class, rank, share FROM present UNION ALL SELECT class, 1, 0.0 FROM sizes),
         merged AS (SELECT class, rank, sum(share) AS share FROM starts GROUP BY ALL),
         steps AS (SELECT class, rank, sum(share) OVER up AS here,
                          lead(rank) OVER (PARTITION BY class ORDER BY rank) AS next
                   FROM merged WINDOW up AS (PARTITION BY class ORDER BY rank ROWS UNBOUNDED PRECEDING)),
         spans AS (SELECT class, rank, coalesce(next - 1, (SELECT rank FROM last)) AS until, here FROM steps),
         crossed AS (SELECT spans.*, greatest(spans.rank - 1, least(until, ladder.rank)) AS turn
                     FROM spans ASOF JOIN ladder ON here >= below)
    SELECT class, sum(here * (2 * turn - crossed.rank + 1 - until)
                      + first.area + third.area - 2 * second.area)
                  / greatest((SELECT rank FROM last) - 1, 1) AS distance
    FROM crossed
    JOIN ladder AS first ON first.rank = crossed.rank - 1
    JOIN ladder AS second ON second.rank = turn
    JOIN ladder AS third ON third.rank = until
    GROUP BY class"""
"""Between two values that a class has, its share below is the same, and the whole's rises: their difference is summed
from prefix sums (`area`), turning where the whole overtakes. So only values that a class has are looked at."""
