"""Dates and timestamps: forms, calendars, Excel's serial days, zones, typed values."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import settings as budget
from hypothesis import strategies as st

from tests.pipelines.casting.making import FAILS, field, result

CHINA = ZoneInfo("Asia/Shanghai")
DATE_FORMS = [
    "%Y年%m月%d日",
    "%Y%m%d",
    "%Y-%m-%d",
    "%Y/%m/%d",
    "%d.%m.%Y",
    "%m/%d/%Y",
    "%d%m%Y",
    "%Y.%m.%d",
    "%d-%b-%Y",
]
TIME_FORMS = [
    "%Y-%m-%d %H:%M:%S",
    "%Y%m%d%H%M%S",
    "%Y-%m-%dT%H:%M:%S.%f",
    "%d/%m/%Y %I:%M:%S %p",
    "%Y年%m月%d日 %H时%M分%S秒",
]
DATES = st.dates(date(1000, 1, 1))


def written(moment: date, form: str) -> str:
    return moment.strftime(form)


@budget(max_examples=200)
@given(st.lists(DATES), st.sampled_from(DATE_FORMS))
def test_dates_round_trip_in_each_form(days: list[date], form: str) -> None:
    assert result([written(d, form) for d in days], field("date", formats=(form,))) == days


@budget(max_examples=200)
@given(st.lists(st.tuples(DATES, st.integers(0, 3))))
def test_dates_of_four_forms_in_one_column(days: list[tuple[date, int]]) -> None:
    texts = [written(day, DATE_FORMS[form]) for day, form in days]
    assert result(texts, field("date")) == [day for day, _ in days]


@budget(max_examples=200)
@given(st.lists(st.datetimes(datetime(1992, 1, 1), datetime(2200, 1, 1))), st.sampled_from(TIME_FORMS))
def test_timestamps_round_trip_in_each_form(moments: list[datetime], form: str) -> None:
    exact = [m if "%f" in form else m.replace(microsecond=0) for m in moments]
    got = result([written(m, form) for m in exact], field("timestamp", formats=(form,)))
    assert got == [m.replace(tzinfo=CHINA) for m in exact]


def test_unpadded_dates_need_a_mark() -> None:
    assert result(["2026-3-1", "2026/3/01", "2026年3月1日"], field("date")) == [date(2026, 3, 1)] * 3
    assert result(["2026311", "26-3-1", "2026-003-1"], field("date")) == [FAILS] * 3


@pytest.mark.parametrize("form", DATE_FORMS[:4])
def test_only_days_of_the_calendar(form: str) -> None:
    parts = [(y, m, d) for y in (0, 1900, 2000, 2023, 2024) for m in range(14) for d in range(33)]
    texts = [
        form.replace("%Y", f"{y:04}").replace("%m", f"{m:02}").replace("%d", f"{d:02}") for y, m, d in parts
    ]
    assert result(texts, field("date", formats=(form,))) == [real(*p) for p in parts]


def real(year: int, month: int, day: int) -> Any:
    try:
        return date(year, month, day)
    except ValueError:
        return FAILS


@budget(max_examples=300)
@given(st.lists(st.text("0123456789-/年月日 :T", max_size=12)), st.sampled_from(DATE_FORMS[:4]))
def test_hostile_dates_agree_with_python_where_python_is_strict(texts: list[str], form: str) -> None:
    pattern = re.escape(form).replace("%Y", r"\d{4}").replace("%m", r"\d\d?").replace("%d", r"\d\d?")
    for text, got in zip(texts, result(texts, field("date", formats=(form,))), strict=True):
        value = text.strip()
        if not value:
            assert got is None
        elif got != FAILS:
            assert datetime.strptime(value, form).date() == got
        elif re.fullmatch(pattern, value) and form != "%Y%m%d":
            with pytest.raises(ValueError):
                datetime.strptime(value, form)


def test_a_listed_form_is_the_only_one() -> None:
    assert result(["20260301", "2026-03-01"], field("date", formats=("%Y%m%d",))) == [date(2026, 3, 1), FAILS]


def test_the_first_form_that_fits_wins() -> None:
    texts = ["01/02/2026", "13/02/2026"]
    assert result(texts, field("date", formats=("%m/%d/%Y", "%d/%m/%Y"))) == [
        date(2026, 1, 2),
        date(2026, 2, 13),
    ]


def test_excel_serial_days() -> None:
    days = field("date")
    assert result(["46082", "2026", "46082.5", "9999"], days, excel=True) == [
        date(2026, 3, 1),
        FAILS,
        FAILS,
        FAILS,
    ]
    assert result(pa.array([46082.0, 20260301.0, None]), days, excel=True) == [
        date(2026, 3, 1),
        date(2026, 3, 1),
        None,
    ]
    assert result(pa.array([46082]), days) == [FAILS]
    noon = datetime(2026, 3, 1, 12, tzinfo=CHINA)
    assert result(pa.array([46082.5]), field("timestamp"), excel=True) == [noon]
    assert result(["46082.520833333336"], field("timestamp"), excel=True) == [noon + timedelta(minutes=30)]


def test_a_time_of_day_is_dropped_only_where_a_form_names_it() -> None:
    moments = pa.array([datetime(2026, 3, 1), datetime(2026, 3, 1, 5)])
    assert result(moments, field("date")) == [date(2026, 3, 1), FAILS]
    named = field("date", formats=("%Y-%m-%d %H:%M:%S",))
    assert result(moments, named) == [date(2026, 3, 1)] * 2
    assert result(["2026-03-01 05:00:00"], named) == [date(2026, 3, 1)]


def test_the_day_of_an_instant_is_that_of_the_field_zone() -> None:
    instants = pa.array([datetime(2026, 3, 1, 16, tzinfo=UTC)])
    assert result(instants, field("date")) == [date(2026, 3, 2)]
    aware = field("date", formats=("%Y-%m-%dT%H:%M:%S%z",))
    assert result(["2026-03-01T16:00:00Z", "2026-03-02T01:00:00+09:00"], aware) == [date(2026, 3, 2)] * 2


def test_instants_keep_their_own_zone() -> None:
    texts = [
        "2026-03-01T08:00:00+08:00",
        "2026-03-01T00:00:00Z",
        "2026-02-28T18:30:00-0530",
        "2026-03-01 08:00:00",
    ]
    assert result(texts, field("timestamp")) == [datetime(2026, 3, 1, tzinfo=UTC)] * 4


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-01 24:00:00",
        "2026-03-01 23:60:00",
        "2026-03-01 23:59:60",
        "2026-03-01T08:00:00+25:00",
        "2026-03-01T08:00:00.1234567",
    ],
)
def test_times_that_no_clock_shows(text: str) -> None:
    assert result([text], field("timestamp")) == [FAILS]


def test_nanoseconds_that_are_nought_are_no_loss() -> None:
    assert result(["2026-03-01 08:00:00.1234560"], field("timestamp")) == [
        datetime(2026, 3, 1, 0, 0, 0, 123456, tzinfo=UTC)
    ]
    ns = pa.array([10**18, 10**18 + 1, None], pa.timestamp("ns", "UTC"))
    assert result(ns, field("timestamp")) == [datetime(2001, 9, 9, 1, 46, 40, tzinfo=UTC), FAILS, None]


@budget(max_examples=100)
@given(
    st.lists(
        st.datetimes(datetime(1900, 1, 1), datetime(2037, 1, 1)).map(
            lambda m: m.replace(microsecond=0, fold=0)
        ),
        min_size=1,
    ),
    st.sampled_from(["Asia/Shanghai", "America/New_York", "Australia/Lord_Howe", "America/Sao_Paulo", "UTC"]),
)
def test_zones_agree_with_zoneinfo(moments: list[datetime], zone: str) -> None:
    texts = [m.strftime("%Y-%m-%d %H:%M:%S") for m in moments]
    for moment, got in zip(moments, result(texts, field("timestamp", timezone=zone)), strict=True):
        instant = moment.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
        shown = instant.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
        assert got == (instant if shown == moment else FAILS)


def test_summer_time_in_china_and_elsewhere() -> None:
    texts = ["1988-04-17 01:59:59", "1988-09-11 00:30:00", "1992-06-01 08:00:00"]
    instants = [datetime.fromisoformat(t).replace(tzinfo=CHINA).astimezone(UTC) for t in texts]
    assert result(texts, field("timestamp")) == instants
    skipped = ["2026-03-08 02:30:00", "2026-03-08 03:30:00"]
    got = result(skipped, field("timestamp", timezone="America/New_York"))
    assert got == [FAILS, datetime(2026, 3, 8, 7, 30, tzinfo=UTC)]


def test_typed_times() -> None:
    day = datetime(2026, 2, 28, 16, tzinfo=UTC)
    assert result(pa.array([date(2026, 3, 1), None]), field("timestamp")) == [day, None]
    assert result(pa.array([datetime(2026, 3, 1)], pa.timestamp("s")), field("timestamp")) == [day]
    assert result(pa.array([20260301, 20260230]), field("date")) == [date(2026, 3, 1), FAILS]
    assert result(pa.array([date(2026, 3, 1)], pa.date64()), field("date")) == [date(2026, 3, 1)]


def test_years_that_others_cannot_hold_are_set_aside() -> None:
    assert result(
        pa.array([2_932_896, 2_932_897, -719_162, -719_163], pa.date32()).cast(pa.date32()), field("date")
    )[0::2] == [date.max, date.min]
    far = pa.array([2**62, 0], pa.timestamp("us", "UTC"))
    assert result(far, field("timestamp")) == [FAILS, datetime(1970, 1, 1, tzinfo=UTC)]
    assert result(pa.array([2**62, 0], pa.timestamp("us")), field("timestamp"))[0] == FAILS
    assert result(["0000-01-01", "0001-01-01"], field("date")) == [FAILS, date(1, 1, 1)]
