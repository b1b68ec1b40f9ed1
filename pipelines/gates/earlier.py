"""A release held against every one before it: whoever has both can subtract them, and must find nobody.

Of the rows that the new release has and an earlier one has not, and of those that only the earlier one had, every
class has none or at least `k`. Too few new rows wait. Where too few are gone, more of their class are left out, so that
nobody can say which of them it was; they come back once enough others have gone. Which ones is settled by a secret of
the lake and by the rows, not by the day: the same ones again would else be told from those who are gone by what two
releases both lack; and whoever could say which rows are left out would know who is gone.

All earlier releases of one form are looked at in one pass: from one to the next, what a class has in common with the
new release changes only where rows changed. Releases under other masks are compared by the columns that both have, in
the coarser form of the two (`forms`).
"""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.gates import released
from pipelines.gates.classes import PLACE, Release
from pipelines.gates.forms import Pair, Shape, common


@dataclass(frozen=True)
class Earlier:
    """Releases of one form, in the table `held<number>`: each row's digest and class, and how many there were from
    each release on. `digest` and `class_` are those of the new release's rows in SQL."""

    number: int
    digest: str
    class_: str


def prepare(release: Release, kept: list[released.Kept], shapes: dict[str, Shape]) -> list[Earlier]:
    """Make ready to hold the release against those that were written down, a form at a time."""
    found = (_held(release, number, form, shapes) for number, form in enumerate(released.forms(kept)))
    return [each for each in found if each is not None]


def _held(
    release: Release, number: int, form: list[released.Kept], shapes: dict[str, Shape]
) -> Earlier | None:
    connection = release.connection
    connection.execute("DROP TABLE IF EXISTS changes")
    released.load(connection, "changes", form)
    pairs = _identity(common(form[0].shapes, shapes), release)
    if not pairs:
        return None
    connection.execute(f"""
        CREATE OR REPLACE TABLE held{number} AS
        WITH events AS (SELECT {_hash(pairs, old=True)} AS digest, {_hash(_quasi(pairs), old=True)} AS class,
                               _release AS release, sum(_change) AS change FROM changes GROUP BY ALL)
        SELECT digest, class, release,
               (sum(change) OVER (PARTITION BY digest ORDER BY release))::BIGINT AS times FROM events""")
    connection.execute("DROP TABLE changes")
    return Earlier(number, _hash(pairs, old=False), _hash(_quasi(pairs), old=False))


def _identity(pairs: list[Pair], release: Release) -> list[Pair]:
    """The columns by which a row is the same in both: where they have a token in common, it and what tells of a
    person."""
    named = release.limits.identity
    if named is None or not {pair.name for pair in pairs} & set(release.limits.tokens):
        return pairs
    return [pair for pair in pairs if pair.name in named or pair.quasi]


def _quasi(pairs: list[Pair]) -> list[Pair]:
    return [pair for pair in pairs if pair.quasi]


def _hash(pairs: list[Pair], *, old: bool) -> str:
    columns = ", ".join(pair.old if old else pair.new for pair in pairs)
    return f"hash({columns})" if columns else "0::UBIGINT"


def wait(release: Release, earlier: Earlier) -> None:
    """Take out rows that are new since one of these releases where they are too few of a class; against the newest such
    release of each class."""
    _take_out(release, earlier, "added", _WAIT)


def hide(release: Release, earlier: Earlier, secret: str) -> None:
    """Where too few of a class are gone since one of these releases, take out others that it had, in an order that none
    can tell without the secret. To be asked once nothing has to wait any more: what waited before is what hides others
    still."""
    _take_out(release, earlier, "lost", _HIDE, secret)


def _take_out(release: Release, earlier: Earlier, what: str, sql: str, secret: str = "") -> None:
    k = release.limits.k
    bad = (
        f"SELECT class, max(release) AS release, arg_max({what}, release) AS few "
        f"FROM ({_differences(release, earlier)}) WHERE {what} BETWEEN 1 AND {k - 1} GROUP BY class"
    )
    names = {"place": PLACE, "digest": earlier.digest, "class_": earlier.class_}
    given = {"secret": secret} if secret else None
    release.connection.execute(sql.format(bad=bad, n=earlier.number, k=k, **names), given)


def differs(release: Release, earlier: Earlier) -> bool:
    """Whether too few rows of a class are new, or gone, since one of these releases."""
    few = f"BETWEEN 1 AND {release.limits.k - 1}"
    found = f"SELECT 1 FROM ({_differences(release, earlier)}) WHERE added {few} OR lost {few} LIMIT 1"
    return bool(release.number(f"SELECT count(*) FROM ({found})"))


def departed(release: Release, earlier: Earlier) -> int:
    """Rows of an earlier release that can be told by their absence, whatever is left out: the earlier release had
    fewer than k of their class itself. The most of any release; a class that did not change in a release is as it was
    in the one before."""
    few = f"CASE WHEN lost BETWEEN 1 AND {release.limits.k - 1} THEN lost ELSE 0 END"
    return release.number(f"""
        WITH states AS (SELECT class, release, {few} AS few FROM ({_differences(release, earlier)})),
             steps AS (SELECT release, few - lag(few, 1, 0) OVER (PARTITION BY class ORDER BY release) AS step
                       FROM states),
             sums AS (SELECT release, sum(step) AS step FROM steps GROUP BY release)
        SELECT coalesce(max(rows), 0)::BIGINT FROM (SELECT sum(step) OVER (ORDER BY release) AS rows FROM sums)""")


def _differences(release: Release, earlier: Earlier) -> str:
    """(class, release, added, lost) for every class, at every release where something changed in it."""
    return f"""
        WITH new AS (SELECT {earlier.digest} AS digest, {earlier.class_} AS class, {release.size} AS times
                     FROM kept GROUP BY ALL),
             meets AS (SELECT held.digest, held.class, release, held.times AS old,
                             least(held.times, coalesce(new.times, 0)) AS common
                      FROM held{earlier.number} AS held LEFT JOIN new USING (digest)),
             steps AS (SELECT class, release,
                              old - coalesce(lag(old) OVER same, 0) AS old,
                              common - coalesce(lag(common) OVER same, 0) AS common
                       FROM meets WINDOW same AS (PARTITION BY digest ORDER BY release)),
             events AS (SELECT class, release, sum(old) AS old, sum(common) AS common FROM steps GROUP BY ALL),
             states AS (SELECT class, release, sum(old) OVER up AS old, sum(common) OVER up AS common
                        FROM events WINDOW up AS (PARTITION BY class ORDER BY release)),
             sizes AS (SELECT class, sum(times) AS size FROM new GROUP BY class)
        SELECT class, release, (coalesce(size, 0) - common)::BIGINT AS added, (old - common)::BIGINT AS lost
        FROM states LEFT JOIN sizes USING (class)"""


_WAIT = """
    INSERT INTO gone
    WITH bad AS MATERIALIZED ({bad}),
         numbered AS (SELECT {place}, digest, release,
                             row_number() OVER (PARTITION BY digest ORDER BY {place}) AS nth
                      FROM (SELECT {place}, {digest} AS digest, {class_} AS class FROM kept) JOIN bad USING (class))
    SELECT numbered.{place} FROM numbered ASOF LEFT JOIN held{n} AS held
        ON numbered.digest = held.digest AND numbered.release >= held.release
    WHERE nth > coalesce(held.times, 0)"""
_HIDE = """
    INSERT INTO gone
    WITH bad AS MATERIALIZED ({bad}),
         numbered AS (SELECT {place}, digest, class, release, few,
                             row_number() OVER (PARTITION BY digest ORDER BY {place}) AS nth,
                             count(*) OVER (PARTITION BY digest) AS times
                      FROM (SELECT {place}, {digest} AS digest, {class_} AS class FROM kept) JOIN bad USING (class)),
         there AS (SELECT numbered.{place}, few, row_number() OVER (
                              PARTITION BY numbered.class
                              ORDER BY numbered.times > held.times,
                                       sha256(concat_ws('|', $secret::VARCHAR, numbered.digest, nth))) AS turn
                   FROM numbered ASOF JOIN held{n} AS held
                       ON numbered.digest = held.digest AND numbered.release >= held.release
                   WHERE held.times > 0)
    SELECT {place} FROM there WHERE turn <= {k} - few"""
"""Of equal rows any will do: the last ones are the new ones."""
