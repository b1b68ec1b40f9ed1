"""Sources: one red case for each rule."""

from __future__ import annotations

import pytest

from tests.schemas.conftest import CITY, COUPLES, MARRIAGE, RESIDENT, Edit, Spoil

CASES: dict[str, tuple[list[Edit], list[str]]] = {
    "cursor_unknown": (
        [(RESIDENT, "cursor: updated_at", "cursor: updated")],
        [
            "public_security/resident.yaml:6: source.cursor: `updated` is no field of this dataset; did you mean `updated_at`?; expected: a field under `fields`"
        ],
    ),
    "cursor_snapshot": (
        [(RESIDENT, "merge: {kind: upsert, order_by: updated_at}", "merge: {kind: snapshot}")],
        [
            "public_security/resident.yaml:6: source.cursor: an incremental read cannot feed a snapshot: rows not read again would count as deleted; expected: `merge: {kind: append}` or upsert, or no `cursor`"
        ],
    ),
    "cursor_type": (
        [
            (
                RESIDENT,
                'updated_at: {type: timestamp, grade: 1, formats: ["%Y-%m-%d %H:%M:%S"], timezone: Asia/Shanghai}',
                "updated_at: {type: boolean, grade: 1}",
            )
        ],
        [
            "public_security/resident.yaml:6: source.cursor: `updated_at` is of type boolean, which does not grow; expected: a number, date or timestamp"
        ],
    ),
    "cursor_grade": (
        [
            (
                RESIDENT,
                "updated_at: {type: timestamp, grade: 1",
                "updated_at: {type: timestamp, grade: 3, mask: {share: {kind: generalise, to: month}, open: drop}",
            )
        ],
        [
            "public_security/resident.yaml:6: source.cursor: `updated_at` is graded 3, and a cursor's highest value is kept plain in each record; expected: a field graded 1 or 2, such as the row's time of change, or no `cursor`"
        ],
    ),
    "overlap_type": (
        [
            (
                RESIDENT,
                'updated_at: {type: timestamp, grade: 1, formats: ["%Y-%m-%d %H:%M:%S"], timezone: Asia/Shanghai}',
                "updated_at: {type: integer, grade: 1}",
            )
        ],
        [
            "public_security/resident.yaml:6: source.overlap: is a time, and the cursor `updated_at` is of type integer; expected: a cursor of type date or timestamp, or no `overlap`"
        ],
    ),
    "overlap_alone": (
        [(RESIDENT, "cursor: updated_at, ", "")],
        [
            "public_security/resident.yaml:6: source.overlap: says nothing without `cursor`; expected: `cursor` too, or no `overlap`"
        ],
    ),
    "schedule_missing": (
        [(MARRIAGE, 'schedule: {cron: "0 2 * * *"}\n', "")],
        [
            'civil_affairs/marriage.yaml:1: schedule: is missing; expected: {cron: "0 2 * * *", late_after: 6h}'
        ],
    ),
    "schedule_lake": (
        [(COUPLES, "key: [reg_year]", 'schedule: {cron: "0 2 * * *"}\nkey: [reg_year]')],
        [
            "theme/couples.yaml:14: schedule: a derived dataset runs when its inputs change; expected: no `schedule`"
        ],
    ),
    "cron": (
        [(MARRIAGE, "0 2 * * *", "0 25 * * *")],
        [
            'civil_affairs/marriage.yaml:10: schedule.cron: `0 25 * * *` is no cron; expected: "minute hour day month weekday": "0 2 * * *"'
        ],
    ),
    "cron6": (
        [(MARRIAGE, "0 2 * * *", "0 2 * * * *")],
        [
            'civil_affairs/marriage.yaml:10: schedule.cron: `0 2 * * * *` is no cron; expected: "minute hour day month weekday": "0 2 * * *"'
        ],
    ),
    "cron_zone": (
        [(MARRIAGE, '"0 2 * * *"', '"0 2 * * *", timezone: Asia')],
        [
            "civil_affairs/marriage.yaml:10: schedule.timezone: no time zone `Asia`; expected: such as Asia/Shanghai or UTC"
        ],
    ),
    "file_sheet": (
        [(MARRIAGE, "format: csv", "format: csv\n  sheet: a")],
        [
            "civil_affairs/marriage.yaml:10: source.sheet: says nothing to csv; expected: `format` excel, or no `sheet`"
        ],
    ),
    "file_encoding": (
        [(MARRIAGE, "format: csv", "format: csv\n  encoding: gb2313")],
        [
            "civil_affairs/marriage.yaml:10: source.encoding: no encoding `gb2313`; expected: such as utf-8, gb18030 or big5"
        ],
    ),
    "file_encoding2": (
        [(MARRIAGE, "format: csv", "format: csv\n  encoding: base64")],
        [
            "civil_affairs/marriage.yaml:10: source.encoding: no encoding `base64`; expected: such as utf-8, gb18030 or big5"
        ],
    ),
    "file_delim": (
        [(MARRIAGE, "format: csv", 'format: csv\n  delimiter: "||"')],
        [
            'civil_affairs/marriage.yaml:10: source.delimiter: is not one character; expected: "," or ";" or "\\t" (one character)'
        ],
    ),
    "file_columns": (
        [(MARRIAGE, "format: csv", "format: csv\n  header: null")],
        [
            "civil_affairs/marriage.yaml:6: source.columns: is missing: the file has no header; expected: [its column names, in order]"
        ],
    ),
    "file_footer": (
        [(MARRIAGE, "format: csv", 'format: csv\n  footer_pattern: "("')],
        [
            "civil_affairs/marriage.yaml:10: source.footer_pattern: is no regular expression; expected: a regex as RE2 reads it, without look-ahead, look-behind and back-references, such as ^合计"
        ],
    ),
    "file_path": (
        [(MARRIAGE, "{date}", "{dat}")],
        [
            "civil_affairs/marriage.yaml:8: source.path: `{dat}` is not the batch's; did you mean `date`, `day`?; expected: one of `date`, `year`, `month`, `day`, `hour` in braces"
        ],
    ),
    "file_brace": (
        [(MARRIAGE, "{date}", "{date")],
        [
            "civil_affairs/marriage.yaml:8: source.path: has a brace that is not closed; expected: {date}, {year}, {month}, {day} or {hour}"
        ],
    ),
    "lake_unknown": (
        [
            (
                COUPLES,
                "inputs: [civil_affairs.marriage, public_security.resident]",
                "inputs: [civil_affairs.mariage, civil_affairs.marriage, public_security.resident]",
            )
        ],
        [
            "theme/couples.yaml:8: source.inputs[0]: no dataset `civil_affairs.mariage`; did you mean `civil_affairs.marriage`?; expected: a dataset of the catalogue"
        ],
    ),
    "lake_extra": (
        [(COUPLES, "FROM m JOIN public_security.resident USING (id_no)", "FROM m")],
        [
            "theme/couples.yaml:8: source.inputs[1]: the SQL does not read `public_security.resident`; expected: the tables that it reads"
        ],
    ),
    "lake_missing": (
        [(COUPLES, ", public_security.resident]", "]")],
        [
            "theme/couples.yaml:9: source.sql: reads `public_security.resident`, which is not among `inputs`; expected: the same tables"
        ],
    ),
    "lake_two": (
        [(COUPLES, "    GROUP BY reg_year\n", "    GROUP BY reg_year;\n    SELECT 1\n")],
        [
            "theme/couples.yaml:9: source.sql: holds several statements; expected: one SELECT over curated tables named department.dataset"
        ],
    ),
    "lake_insert": (
        [(COUPLES, "WITH m AS", "INSERT INTO x WITH m AS")],
        [
            "theme/couples.yaml:9: source.sql: is not a SELECT; expected: one SELECT over curated tables named department.dataset"
        ],
    ),
    "lake_syntax": (
        [(COUPLES, "WITH m AS", "WIHT m AS")],
        [
            'theme/couples.yaml:9: source.sql: is not SQL: syntax error at or near "WIHT"; expected: one SELECT over curated tables named department.dataset'
        ],
    ),
    "lake_file": (
        [(COUPLES, "FROM m JOIN", "FROM read_csv('/etc/passwd'), m JOIN")],
        ["theme/couples.yaml:9: source.sql: reads from read_csv(); expected: curated tables only"],
    ),
    "lake_file2": (
        [(COUPLES, "FROM m JOIN", "FROM '/etc/passwd', m JOIN")],
        [
            "theme/couples.yaml:9: source.sql: reads `/etc/passwd`, which is not among `inputs`; expected: the same tables"
        ],
    ),
    "lake_column": (
        [(COUPLES, "year(reg_date)", "year(reg_dat)")],
        [
            'theme/couples.yaml:9: source.sql: does not fit its inputs: Binder Error: Referenced column "reg_dat" not found in FROM clause! Candidate bindings: "reg_date", "reg_no"; expected: columns of the inputs'
        ],
    ),
    "lake_grade": (
        [
            (COUPLES, "year(reg_date) AS reg_year", "year(reg_date) AS reg_year, id_no AS who"),
            (COUPLES, "count(*) AS registered", "min(m.who) AS least, who, count(*) AS registered"),
            (COUPLES, "GROUP BY reg_year", "GROUP BY reg_year, who"),
            (
                COUPLES,
                "  registered: {",
                "  least: {type: string, grade: 1}\n  who: {type: string, grade: 2}\n  registered: {",
            ),
            (COUPLES, "USING (id_no)", "ON who = resident.id_no"),
        ],
        [
            "theme/couples.yaml:21: fields.who.grade: loosens its origin: grade 2 is below the 4 of `civil_affairs.marriage.id_no`; expected: 4 or more"
        ],
    ),
    "lake_output": (
        [(COUPLES, "AS registered", "AS registred")],
        [
            "theme/couples.yaml:20: fields.registered: the SQL gives no column `registered`; did you mean `registred`?; expected: a column of the SQL by this name or by `source`"
        ],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_red_case(spoil: Spoil, case: str) -> None:
    edits, problems = CASES[case]
    assert [str(problem) for problem in spoil(*edits)] == problems


def test_a_nul_in_the_sql(spoil: Spoil) -> None:
    start, rest = CITY[COUPLES].split("  sql: |\n")
    text = start + '  sql: "SELECT \\0"\n' + rest[rest.index("key:") :]
    assert [(p.key, p.message) for p in spoil(**{COUPLES: text})] == [("source.sql", "holds a NUL")]
