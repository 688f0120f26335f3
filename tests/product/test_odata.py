"""Arguments that become OData: moments, choices, numbers, texts, filters and path segments."""

from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import AzureRiskyUsers as aru  # noqa: N813 - the module bears the name of the integration
from helpers import NOW, STATES_ACCEPTED, Fail, Row, Succeed, only_entry, refused
from warroom.azure.server import Simulator
from warroom.xsoar.runner import WarRoom

FORMS = (
    'ISO 8601 such as 2024-02-27T04:49:26.257525Z or 2024-02-27, "27 Feb 2024", seconds or milliseconds since 1970, '
    '"now", or a time ago such as "10 days", "2 hours", "24h".'
)

# Moments


@pytest.mark.parametrize(
    ("given", "literal"),
    [
        ("2024-02-27T04:49:26.257525Z", "2024-02-27T04:49:26.257525Z"),
        ("2024-02-27T04:49:26Z", "2024-02-27T04:49:26Z"),
        ("2024-02-27T04:49:26.2Z", "2024-02-27T04:49:26.2Z"),
        ("2024-02-27T04:49:26.25Z", "2024-02-27T04:49:26.25Z"),
        ("2024-02-27T04:49:26.250Z", "2024-02-27T04:49:26.250Z"),
        ("2024-02-27T04:49:26.2575Z", "2024-02-27T04:49:26.2575Z"),
        ("2024-02-27T04:49:26.25752Z", "2024-02-27T04:49:26.25752Z"),
        ("2024-02-27T04:49:26.2575257Z", "2024-02-27T04:49:26.2575257Z"),
        ("2024-02-27T04:49:26.2575257", "2024-02-27T04:49:26.2575257Z"),
        ("2024-02-27T04:49:26", "2024-02-27T04:49:26Z"),
        ("2024-02-27T04:49", "2024-02-27T04:49:00Z"),
        ("2024-02-27T04:49Z", "2024-02-27T04:49:00Z"),
        ("2024-02-27", "2024-02-27T00:00:00Z"),
        ("2024-02-29", "2024-02-29T00:00:00Z"),
        (" 2024-02-27 ", "2024-02-27T00:00:00Z"),
        ("2024-02-27T04:49:26+00:00", "2024-02-27T04:49:26Z"),
        ("2024-02-27T01:49:26+02:00", "2024-02-26T23:49:26Z"),
        ("2024-02-27T01:49:26.2575257+0200", "2024-02-26T23:49:26.2575257Z"),
        ("2024-12-31T23:30:00-05:30", "2025-01-01T05:00:00Z"),
        ("2024-02-27T04:49+02:00", "2024-02-27T02:49:00Z"),
    ],
)
def test_an_iso_time_becomes_the_same_moment_in_utc_with_its_own_fraction(given: str, literal: str) -> None:
    assert aru.datetime_literal("updated_after", given) == literal


@pytest.mark.parametrize(
    ("clock", "given", "literal"),
    [
        ("2026-11-20T12:00:00", "10 days", "2026-11-10T12:00:00Z"),
        ("2026-11-20T12:00:00", "5 months", "2026-06-20T12:00:00Z"),
        ("2026-11-20T12:00:00", "2 hours", "2026-11-20T10:00:00Z"),
        ("2026-11-20T12:00:00", "45 minutes", "2026-11-20T11:15:00Z"),
        ("2026-11-20T12:00:00", "3 weeks", "2026-10-30T12:00:00Z"),
        ("2026-11-20T12:00:00", "1 year", "2025-11-20T12:00:00Z"),
        ("2026-11-20T12:00:00", "10 days ago", "2026-11-10T12:00:00Z"),
        ("2026-11-20T12:00:00", "1 day", "2026-11-19T12:00:00Z"),
        ("2026-11-20T12:00:00", "1 days", "2026-11-19T12:00:00Z"),
        ("2026-11-20T12:00:00", " 1 Month AGO ", "2026-10-20T12:00:00Z"),
        ("2026-11-20T12:00:00", "10days", "2026-11-10T12:00:00Z"),
        ("2026-03-31T01:02:03", "1 month", "2026-02-28T01:02:03Z"),
        ("2024-03-31T01:02:03", "1 month", "2024-02-29T01:02:03Z"),
        ("2026-10-31T01:02:03", "1 month ago", "2026-09-30T01:02:03Z"),
        ("2026-01-15T00:00:00", "1 month", "2025-12-15T00:00:00Z"),
        ("2024-02-29T00:00:00", "1 year", "2023-02-28T00:00:00Z"),
        ("2024-02-29T00:00:00", "4 years ago", "2020-02-29T00:00:00Z"),
        ("2024-03-01T00:00:00", "1 day", "2024-02-29T00:00:00Z"),
        ("2026-11-20T12:00:00", "1100 years", "0926-11-20T12:00:00Z"),
    ],
)
def test_a_time_ago_is_counted_back_by_the_calendar(clock: str, given: str, literal: str) -> None:
    now = datetime.fromisoformat(f"{clock}+00:00")
    assert aru.parse_moment(given.strip(), now) == literal


@pytest.mark.parametrize(
    "given",
    [
        "",
        "yesterday",
        "10",
        "2024",
        "2024-02",
        "2023-02-29",
        "2024-13-01",
        "2024-00-10",
        "2024-02-27T24:00:00Z",
        "2024-02-27T04:60:00Z",
        "2024-02-27T04:49:60Z",
        "2024-02-27T04:49:26.Z",
        "2024-02-27T04:49:26+24:00",
        "2024-02-27T04:49:26+05:75",
        "2024-02-27T04:49:26 02:00",
        "27 Feb 2024 04:49 02:00",
        "5",
        "jan",
        "Feb 2024",
        "24 Feb 27",
        "24:00",
        "10:30",
        "Mon, 27 Feb 2024 04:49:26 GMT",
        "2024-02-27 04:49 EST",
        "27 Feb 2024 10:00 IST",
        "2024-W09-2",
        "2024-058",
        "123456789",
        "12345678901",
        "2024-02-27T04:49:26.1234567890Z",
        "5 days 3 days",
        "5 m",
        "m",
        "2024-02-27Z",
        "2024-02-27T04:49:26Z or true",
        "2024-02-27,2024-02-28",
        "٢٠٢٤-02-27",
        "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-01:00",
        "-3 days",
        "3.5 days",
        "three days",
        "3 fortnights",
        "3 days from now",
        "in 3 days",
        "3 daysago",
        "3000 years",
        "999999 days",
        "9999999 minutes",
        # a zone behind a name that means none, or several
        "2024-02-27 10:00:00 Z+3",
        "2024-02-27T10:00 IST+5:30",
        "2024-02-27 10:00 EST-5",
        "27 Feb 2024 10:00 EST",
        "27 Feb 2024 10:00 A",
        "27 Feb 2024 10:00 (Arabian Standard Time)",
        # a range, or two of something
        "2024-02-27/2024-03-01",
        "2024-02-27 - 2024-03-01",
        "2024-02-27 to 2024-03-01",
        "27 Feb 2024 10:00-11:30",
        "27 Feb 2024 10:00 - 11:30",
        "27 Feb 2024 10-11",
        "2024-02-27 10:00-11:30",
        "2024-02-27 10-11",
        "2024-02-27 10 -11",
        "2024-02-27 10am-5",
        "27 Feb 2024 10:00:00 am -5",
        "2024-02-27 2024",
        "6 May 2024 2024",
        "Feb 27 2024 2025",
        "2 3 Jan 2024",
        "9 9 9 2024",
        "27 Feb 2024 10:30 10pm",
        "27 Feb 2024 10:30 am pm",
        # a number that may be several things
        "27 Feb 2024 10",
        "27 Feb 2024 30m",
        "27 Feb 2024 5 minutes",
        "Feb 27 24 1030",
        "Feb 27 1030",
        "27 Feb 1030",
        "02/03/2024 10:00",
        "202402270449",
        # no such time
        "27 Feb 2024 13:00 pm",
        "27 Feb 2024 0:30 am",
        "30 Feb 2024",
        "31/04/2024",
        "20240230",
        "Monday, February 27, 2024",
        "Mon Feb 27 04:49:26 2024",
        "Tues 27 Feb 2024",
        "27 Febr 2024",
        "27 \u017fep 2024",
        "1709009366.",
        "1709009366123.5",
    ],
)
def test_a_date_that_cannot_be_read_is_refused(given: str) -> None:
    message = refused(aru.ArgumentError, aru.datetime_literal, "updated_after", given)
    assert message.startswith(f'updated_after="{given}" cannot be used. Accepted: ')
    assert message.endswith(FORMS)


@pytest.mark.parametrize(
    ("given", "advice"),
    [
        ("30m", '"30 minutes" or "30 months"; else '),
        ("5 mo", '"5 minutes" or "5 months"; else '),
        ("yesterday", 'a date, or a time ago such as "24 hours"; that is, '),
        ("last week", 'a date, or a time ago such as "24 hours"; that is, '),
        ("02/03/2024", "the year first, then month and day, as in "),
        ("02-03-2024 10:00", "the year first, then month and day, as in "),
        ("5", "the year first, then month and day, as in "),
        ("1h 30m", '"30 minutes" or "30 months"; else '),
        ("30 m, 10 seconds ago", '"30 minutes" or "30 months"; else '),
        ("1 hour and 5mon", '"5 minutes" or "5 months"; else '),
        ("2024-02-27/2024-03-01", "one moment and no range; that is, "),
        ("2024-02-27 - 2024-03-01", "one moment and no range; that is, "),
        ("27 Feb 2024 10:00-11:30", "one moment and no range; that is, "),
        ("2024-02-27 10 am - 11 am", "one moment and no range; that is, "),
        ("27 Feb 2024 10:00 IST", 'a zone as an offset such as "+02:00"; that is, '),
        ("2024-02-27 10:00 EST-5", 'a zone as an offset such as "+02:00"; that is, '),
        ("Mon, 27 Feb 2024 04:49:26 GMT", ""),
        ("27 Feb 2024 13:00 pm", ""),
        ("2023-02-29", ""),
        ("24:00", ""),
    ],
)
def test_what_has_two_meanings_is_refused_with_what_to_write_instead(given: str, advice: str) -> None:
    assert refused(aru.ArgumentError, aru.datetime_literal, "updated_after", given) == (
        f'updated_after="{given}" cannot be used. Accepted: {advice}{FORMS}'
    )


@pytest.mark.parametrize(
    ("given", "literal"),
    [
        ("2024-02-27 04:49:26", "2024-02-27T04:49:26Z"),
        ("2024-02-27 04:49", "2024-02-27T04:49:00Z"),
        ("2024-02-27T04", "2024-02-27T04:00:00Z"),
        ("2024-02-27t04:49:26z", "2024-02-27T04:49:26Z"),
        ("2024-02-27T9:15:00Z", "2024-02-27T09:15:00Z"),
        ("2024-02-27 04:49:26 UTC", "2024-02-27T04:49:26Z"),
        ("2024-02-27 04:49:26 +02:00", "2024-02-27T02:49:26Z"),
        ("2024-02-27T04:49:26+2", "2024-02-27T02:49:26Z"),
        ("2024-02-27T04:49:26.12345678Z", "2024-02-27T04:49:26.1234567Z"),
        ("2024-02-27T04:49:26.123456789+01:00", "2024-02-27T03:49:26.1234567Z"),
        ("2024/02/27", "2024-02-27T00:00:00Z"),
        ("2024/02/27 04:49:26.5", "2024-02-27T04:49:26.5Z"),
        ("2024-2-27", "2024-02-27T00:00:00Z"),
        ("27/02/2024", "2024-02-27T00:00:00Z"),
        ("02/02/2024", "2024-02-02T00:00:00Z"),
        ("27 Feb 2024", "2024-02-27T00:00:00Z"),
        ("February 27, 2024 4:49 PM", "2024-02-27T16:49:00Z"),
        ("Tue, 27 Feb 2024 04:49:26 GMT", "2024-02-27T04:49:26Z"),
        ("Tue, 27 Feb 2024 04:49:26 +0200", "2024-02-27T02:49:26Z"),
        ("1709009366", "2024-02-27T04:49:26Z"),
        ("1709009366123", "2024-02-27T04:49:26.123Z"),
        ("now", "2026-11-20T12:00:00Z"),
        ("24h", "2026-11-19T12:00:00Z"),
        ("1d", "2026-11-19T12:00:00Z"),
        ("2w", "2026-11-06T12:00:00Z"),
        ("90 seconds", "2026-11-20T11:58:30Z"),
        ("15min", "2026-11-20T11:45:00Z"),
        ("1 hour 30 minutes", "2026-11-20T10:30:00Z"),
        ("1 Hour, 30 minutes ago", "2026-11-20T10:30:00Z"),
        ("1h30min", "2026-11-20T10:30:00Z"),
        ("1 day and 2 hours", "2026-11-19T10:00:00Z"),
        ("3 days 2 hours", "2026-11-17T10:00:00Z"),
        ("1 yr", "2025-11-20T12:00:00Z"),
        ("2wks", "2026-11-06T12:00:00Z"),
        # ISO, whatever the day
        ("2024-05-06T07", "2024-05-06T07:00:00Z"),
        ("2024-05-06T10Z", "2024-05-06T10:00:00Z"),
        ("2024-05-06 10", "2024-05-06T10:00:00Z"),
        ("2024-05-06   10:00", "2024-05-06T10:00:00Z"),
        ("2024-05-06 4:30 PM", "2024-05-06T16:30:00Z"),
        ("2024-05-06 12am", "2024-05-06T00:00:00Z"),
        ("2024-05-06T04:49:26+01", "2024-05-06T03:49:26Z"),
        ("2024-05-06T10:00:00 +5:30", "2024-05-06T04:30:00Z"),
        ("2024-05-06T10:00-05:30", "2024-05-06T15:30:00Z"),
        ("2024-05-06 10:00:00-05:30", "2024-05-06T15:30:00Z"),
        ("2024-02-27T04:49:26,257Z", "2024-02-27T04:49:26.257Z"),
        ("2024-2-7", "2024-02-07T00:00:00Z"),
        ("2024-02-7", "2024-02-07T00:00:00Z"),
        ("2024.02.07", "2024-02-07T00:00:00Z"),
        ("Tue 2024-02-27 04:49:26 UTC", "2024-02-27T04:49:26Z"),
        ("20240227", "2024-02-27T00:00:00Z"),
        ("20240227 04:49", "2024-02-27T04:49:00Z"),
        ("20240227T04+0100", "2024-02-27T03:00:00Z"),
        ("20240227T0449", "2024-02-27T04:49:00Z"),
        ("20240227T044926Z", "2024-02-27T04:49:26Z"),
        ("20240227T044926.257Z", "2024-02-27T04:49:26.257Z"),
        ("20240227044926", "2024-02-27T04:49:26Z"),
        # with the name of a month
        ("Tue Feb 27 2024 10:00:00 GMT+0300", "2024-02-27T07:00:00Z"),
        ("Tue Feb 27 2024 10:00:00 GMT+0300 (Arabian Standard Time)", "2024-02-27T07:00:00Z"),
        ("Tue, 27 Feb 2024 04:49:26 +0000 (UTC)", "2024-02-27T04:49:26Z"),
        ("Tue Feb 27 04:49:26 2024", "2024-02-27T04:49:26Z"),
        ("Tue Feb  6 04:49:26 UTC 2024", "2024-02-06T04:49:26Z"),
        ("Tue Feb 27 04:49:26 +0200 2024", "2024-02-27T02:49:26Z"),
        ("27 Feb 2024 10:30:15.5", "2024-02-27T10:30:15.5Z"),
        ("27 Feb 2024 10:00 -0500", "2024-02-27T15:00:00Z"),
        ("27 Feb 2024 12:30 pm", "2024-02-27T12:30:00Z"),
        ("27-FEB-2024", "2024-02-27T00:00:00Z"),
        ("27th february 2024", "2024-02-27T00:00:00Z"),
        ("Tuesday, February 27, 2024 at 4:49 AM", "2024-02-27T04:49:00Z"),
        ("2024-Feb-07", "2024-02-07T00:00:00Z"),
        ("6 may 2024", "2024-05-06T00:00:00Z"),
        # numbers with the year last
        ("2/27/2024, 4:49:26\u202fPM", "2024-02-27T16:49:26Z"),
        ("27.02.2024 10:00", "2024-02-27T10:00:00Z"),
        ("12-12-2024", "2024-12-12T00:00:00Z"),
        # zones, with the sign as written
        ("27 Feb 2024 10:00 gmt", "2024-02-27T10:00:00Z"),
        ("27 Feb 2024 10:00 utc", "2024-02-27T10:00:00Z"),
        ("27 Feb 2024 10:00 UT", "2024-02-27T10:00:00Z"),
        ("2024-02-27 10:00 GMT+3", "2024-02-27T07:00:00Z"),
        ("2024-02-27 10:00 UTC+3", "2024-02-27T07:00:00Z"),
        ("2024-02-27T10:00:00 UTC+03:00", "2024-02-27T07:00:00Z"),
        ("2024-02-27T10:00 GMT-05:00", "2024-02-27T15:00:00Z"),
        ("2024-02-27 10:00:00 GMT +5", "2024-02-27T05:00:00Z"),
        # epochs
        ("1709009366.123", "2024-02-27T04:49:26.123Z"),
        ("1709009366.123456789", "2024-02-27T04:49:26.1234567Z"),
    ],
)
def test_every_spelling_with_one_meaning_is_read(given: str, literal: str) -> None:
    assert aru.parse_moment(given, NOW) == literal


WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
CLOCKS = (
    "{hour:02}:{minute:02}:{second:02}",
    "{hour}:{minute:02}:{second:02}",
    "{half_hour}:{minute:02}:{second:02} {half}",
)
SHAPES = [
    *(
        "{year}-{month:02}-{day:02}T{clock}{zone}",
        "{year}-{month}-{day} {clock} {zone}",
        "{year}/{month:02}/{day:02} {clock} {zone}",
    ),
    *("{year}{month:02}{day:02}T{hour:02}{minute:02}{second:02}{zone}", "{year}{month:02}{day:02} {clock} {zone}"),
    *("{weekday:.3}, {day:02} {name:.3} {year} {clock} {zone}", "{weekday}, {day}-{name}-{year} {clock} {zone}"),
    *("{weekday:.3} {name:.3} {day:02} {year} {clock} {zone}", "{name} {day}, {year}, {clock} {zone}"),
    *("{weekday:.3} {name:.3} {day:2} {clock} {zone} {year}", "{day} {name} {year} at {clock} {zone}"),
]
ZONES = ("Z", "UTC", "gmt", "ut", "{sign}{hours:02}:{minutes:02}", "{sign}{hours:02}{minutes:02}")
NAMED_ZONES = (
    "GMT{sign}{hours:02}{minutes:02} (Somewhere Time)",
    "UTC {sign}{hours}:{minutes:02}",
    "GMT{sign}{hours:02}:{minutes:02}",
)


@pytest.mark.parametrize("shape", SHAPES)
@given(
    moment=st.datetimes(datetime(1900, 1, 2), datetime(2099, 12, 30)),
    clock=st.sampled_from(CLOCKS),
    zone=st.sampled_from((*ZONES, *NAMED_ZONES)),
    offset=st.integers(-14 * 60, 14 * 60),
    write=st.sampled_from((str, str.lower, str.upper)),
)
def test_a_moment_is_read_from_every_shape_on_every_day(
    shape: str, moment: datetime, clock: str, zone: str, offset: int, write: Callable[[str], str]
) -> None:
    hours, minutes = divmod(abs(offset), 60)
    parts = {
        **{name: getattr(moment, name) for name in ("year", "month", "day", "hour", "minute", "second")},
        "name": MONTHS[moment.month - 1],
        "weekday": WEEKDAYS[moment.weekday()],
        "half_hour": moment.hour % 12 or 12,
        "half": "pm" if moment.hour >= 12 else "am",
        **{"sign": "-" if offset < 0 else "+", "hours": hours, "minutes": minutes},
    }
    text = shape.format(**parts, clock=clock.format(**parts), zone=zone.format(**parts))
    assume("{half}" not in clock or zone not in ZONES or offset >= 0)
    ahead = timedelta(minutes=offset) if "{sign}" in zone else timedelta(0)
    assert aru.datetime_literal("updated_after", write(text)) == (moment - ahead).isoformat()[:19] + "Z"


@given(st.dates(date(1900, 1, 1), date(2099, 12, 31)), st.sampled_from("-/."))
def test_a_date_with_the_year_last_is_read_only_if_it_is_one_day(day: date, mark: str) -> None:
    text = f"{day.day:02}{mark}{day.month:02}{mark}{day.year}"
    if day.day > 12 or day.day == day.month:
        assert aru.datetime_literal("updated_after", text) == f"{day}T00:00:00Z"
    else:
        assert refused(aru.ArgumentError, aru.datetime_literal, "updated_after", text) == (
            f'updated_after="{text}" cannot be used. Accepted: the year first, then month and day, as in {FORMS}'
        )


@given(st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)), st.integers(-1439, 1439))
@settings(max_examples=50)
def test_an_offset_never_changes_the_moment(moment: datetime, minutes: int) -> None:
    zone = timezone(timedelta(minutes=minutes))
    text = moment.replace(tzinfo=timezone.utc).astimezone(zone).isoformat(timespec="microseconds")
    assert aru.datetime_literal("updated_after", text) == moment.isoformat(timespec="microseconds") + "Z"


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("2024-02-27T04:49:26Z", "2024-02-27T04:49:27Z"),
        ("2024-02-27T04:49:26Z", "2024-02-27T04:49:26.0000001Z"),
        ("2024-02-27T04:49:26.25Z", "2024-02-27T04:49:26.3Z"),
        ("2024-02-27T4:49:26Z", "2024-02-27T10:00:00Z"),
        (None, "0001-01-01T00:00:00Z"),
    ],
)
def test_moments_are_ordered_by_time_whatever_their_digits(earlier: Any, later: str) -> None:
    assert aru.instant(earlier) < aru.instant(later)


def test_moments_that_differ_only_in_trailing_zeros_are_the_same() -> None:
    assert aru.instant("2024-02-27T4:49:26Z") == aru.instant("2024-02-27T04:49:26.0000000Z")


UPDATED_BOUNDS = ("updated_after", "updated_before")


@pytest.mark.parametrize(
    ("after", "before", "shown"),
    [
        ("2024-02-28", "2024-02-27", ("2024-02-28T00:00:00Z", "2024-02-27T00:00:00Z")),
        ("2024-02-27", "2024-02-27", ("2024-02-27T00:00:00Z", "2024-02-27T00:00:00Z")),
        ("2024-02-27T02:00:00+02:00", "2024-02-27", ("2024-02-27T00:00:00Z", "2024-02-27T00:00:00Z")),
        (
            "2024-02-27T00:00:00.0000001",
            "2024-02-27T00:00:00.00Z",
            ("2024-02-27T00:00:00.0000001Z", "2024-02-27T00:00:00.00Z"),
        ),
    ],
)
@pytest.mark.parametrize(
    ("resource", "names"),
    [
        (aru.RISKY_USERS, UPDATED_BOUNDS),
        (aru.RISK_DETECTIONS, ("detected_date_time_after", "detected_date_time_before")),
        (aru.RISKY_SERVICE_PRINCIPALS, UPDATED_BOUNDS),
        (aru.SERVICE_PRINCIPAL_DETECTIONS, ("detected_date_time_after", "detected_date_time_before")),
    ],
    ids=lambda part: getattr(part, "path", ""),
)
def test_dates_that_contradict_each_other_are_refused(
    resource: aru.Resource, names: tuple[str, str], after: str, before: str, shown: tuple[str, str]
) -> None:
    message = refused(
        aru.ArgumentError, aru.build_filters, resource.filters, dict(zip(names, (after, before), strict=True))
    )
    assert message == f'{names[0]}="{shown[0]}" cannot be used. Accepted: a moment before {names[1]}="{shown[1]}".'


def test_times_ago_that_contradict_each_other_are_refused(error: Fail) -> None:
    assert error('!azure-risky-users-list updated_after="1 day" updated_before="2 days"') == (
        'Failed to execute azure-risky-users-list. updated_after="2026-11-19T12:00:00Z" cannot be used. '
        'Accepted: a moment before updated_before="2026-11-18T12:00:00Z".'
    )


def test_bounds_a_ten_millionth_of_a_second_apart_are_accepted() -> None:
    bounds = {"updated_after": "2024-02-27T00:00:00", "updated_before": "2024-02-27T00:00:00.0000001"}
    assert aru.build_filters(aru.RISKY_USERS.filters, bounds) == [
        "riskLastUpdatedDateTime ge 2024-02-27T00:00:00Z and riskLastUpdatedDateTime lt 2024-02-27T00:00:00.0000001Z"
    ]


@pytest.mark.parametrize("moments", ["2024-02-27,2024-02-28", '["2024-02-27", "2024-02-28"]', ["2024-02-27"]])
def test_a_bound_is_one_moment_and_no_list(moments: Any) -> None:
    assert refused(
        aru.ArgumentError, aru.build_filters, aru.RISKY_USERS.filters, {"updated_after": moments}
    ).startswith(f'updated_after="{moments}" cannot be used. Accepted: ISO 8601')


# Choices and numbers


@pytest.mark.parametrize(
    ("name", "value", "accepted"),
    [
        ("risk_level", "hgih", "low, medium, high, hidden, none"),
        ("risk_level", "High.", "low, medium, high, hidden, none"),
        ("risk_level", "high'", "low, medium, high, hidden, none"),
        ("risk_state", "at_risk", STATES_ACCEPTED),
        ("risk_state", "unknownFutureValue", STATES_ACCEPTED),
        ("is_deleted", "yes", "true, false"),
    ],
)
def test_a_value_that_is_not_on_the_list_is_refused_with_the_list(name: str, value: str, accepted: str) -> None:
    assert refused(aru.ArgumentError, aru.build_filters, aru.RISKY_USERS.filters, {name: value}) == (
        f'{name}="{value}" cannot be used. Accepted: {accepted}.'
    )


@pytest.mark.parametrize(
    ("name", "given", "literal"),
    [
        ("risk_level", "HIGH", "riskLevel eq 'high'"),
        ("risk_level", " Low ", "riskLevel eq 'low'"),
        ("risk_state", "atrisk", "riskState eq 'atRisk'"),
        ("risk_state", "ConfirmedCompromised", "riskState eq 'confirmedCompromised'"),
        ("is_deleted", "True", "isDeleted eq true"),
    ],
)
def test_levels_states_and_switches_are_read_in_any_case(name: str, given: str, literal: str) -> None:
    assert aru.build_filters(aru.RISKY_USERS.filters, {name: given}) == [literal]


def test_one_unknown_value_among_known_ones_is_refused() -> None:
    assert refused(aru.ArgumentError, aru.build_filters, aru.RISKY_USERS.filters, {"risk_level": "low,hgih"}) == (
        'risk_level="hgih" cannot be used. Accepted: low, medium, high, hidden, none.'
    )


@pytest.mark.parametrize(
    ("resource", "given", "sent"),
    [
        (aru.RISKY_USERS, "", "riskLastUpdatedDateTime desc"),
        (aru.RISKY_USERS, None, "riskLastUpdatedDateTime desc"),
        (aru.RISKY_USERS, "riskLastUpdatedDateTime asc", "riskLastUpdatedDateTime asc"),
        (aru.RISKY_USERS, "riskLastUpdatedDateTime", "riskLastUpdatedDateTime"),
        (aru.RISKY_USERS, "RisklastupdatedDateTime DESC", "riskLastUpdatedDateTime desc"),
        (aru.RISK_DETECTIONS, None, "detectedDateTime desc"),
        (aru.RISK_DETECTIONS, "activityDateTime asc", "activityDateTime asc"),
        (aru.RISKY_USER_HISTORY, None, ""),
    ],
)
def test_rows_come_in_the_order_asked_for_or_newest_first(resource: aru.Resource, given: Any, sent: str) -> None:
    assert aru.read_order(resource, {"order_by": given}) == sent


@pytest.mark.parametrize("given", ["id", "riskLevel desc", "riskLastUpdatedDateTime DOWN", "riskLevel,id"])
def test_an_order_that_graph_does_not_have_is_refused(given: str) -> None:
    assert refused(aru.ArgumentError, aru.read_order, aru.RISKY_USERS, {"order_by": given}) == (
        f'order_by="{given}" cannot be used. Accepted: '
        "riskLastUpdatedDateTime desc, riskLastUpdatedDateTime asc, riskLastUpdatedDateTime."
    )


@pytest.mark.parametrize(
    ("given", "number"),
    [("1", 1), ("500", 500), (" 7 ", 7), ("007", 7), (7, 7), ("", 50), (None, 50), ("999999999", 999999999)],
)
def test_a_whole_number_is_read_and_one_not_given_is_the_default(given: Any, number: int) -> None:
    assert aru.whole_number({"limit": given}, "limit", 50) == number


@pytest.mark.parametrize(
    "given",
    [
        *["0", 0, "-1", -1, "+7", "5.7", 5.7, "1e3", "abc", " ", "1_000", "1,000", "٣", "0x10", True, "9" * 10],
        *["9" * 5000, [], {}, False],
    ],
)
def test_what_is_no_positive_whole_number_is_refused(given: Any) -> None:
    assert refused(aru.ArgumentError, aru.whole_number, {"limit": given}, "limit", 50) == (
        f'limit="{str(given)[:200]}" cannot be used. Accepted: a whole number from 1 up.'
    )


def test_page_size_500_is_allowed_and_501_is_not() -> None:
    assert aru.read_row_range(aru.RISKY_USERS, {"page_size": "500"}) == aru.RowRange(0, 500, whole_pages=True)
    assert refused(aru.ArgumentError, aru.read_row_range, aru.RISKY_USERS, {"page_size": "501"}) == (
        'page_size="501" cannot be used. Accepted: a whole number from 1 to 500.'
    )


@pytest.mark.parametrize(
    ("args", "start", "stop", "top"),
    [
        ({}, 0, 50, 50),
        ({"limit": "1"}, 0, 1, 1),
        ({"limit": "500"}, 0, 500, 500),
        ({"limit": "501"}, 0, 501, 251),
        ({"limit": "1200"}, 0, 1200, 400),
        ({"limit": "50", "page": "9"}, 400, 450, 450),
        ({"page_size": "50", "page": "9"}, 400, 450, 450),
        ({"page_size": "50", "page": "900"}, 44_950, 45_000, 500),
        ({"page_size": "50", "page": "11"}, 500, 550, 275),
    ],
)
def test_a_row_range_takes_the_fewest_requests_and_no_more_rows_than_needed(
    args: dict[str, str], start: int, stop: int, top: int
) -> None:
    row_range = aru.read_row_range(aru.RISKY_USERS, args)
    assert (row_range.start, row_range.stop, row_range.top) == (start, stop, top)


# Texts and filters


@pytest.mark.parametrize(
    ("given", "literal"),
    [
        ("adele.vance@contoso.example", "'adele.vance@contoso.example'"),
        ("sean.o'brien@contoso.example", "'sean.o''brien@contoso.example'"),
        ("' or true or '", "''' or true or '''"),
        ("''", "''''''"),
        ("a&$top=1#x%27", "'a&$top=1#x%27'"),
        (" zoë ", "'zoë'"),
    ],
)
def test_a_text_is_quoted_so_that_it_stays_one_literal(given: str, literal: str) -> None:
    assert aru.text_literal("user_principal_name", given) == literal


@pytest.mark.parametrize("given", ["", "  ", "a\nb", "a\r\nb", "a\tb", "a\0b", "a\u2028b", "a\u202eb"])
def test_a_text_with_control_characters_or_without_any_is_refused(given: str) -> None:
    assert refused(aru.ArgumentError, aru.text_literal, "user_principal_name", given) == (
        f'user_principal_name="{given}" cannot be used. Accepted: a text that is not empty, of visible characters.'
    )


@given(st.text(st.sampled_from("'a% ") | st.characters()))
def test_no_text_can_end_its_own_literal(text: str) -> None:
    try:
        literal = aru.text_literal("user_principal_name", text)
    except aru.ArgumentError:
        return
    assert literal[0] == literal[-1] == "'"
    assert literal[1:-1].replace("''", "").count("'") == 0
    assert literal[1:-1].replace("''", "'") == text.strip()


def test_without_filters_one_list_is_read_unfiltered() -> None:
    args: Row = {"risk_state": "", "risk_level": None, "is_deleted": [], "user_id": None}
    assert aru.build_filters(aru.RISKY_USERS.filters, args) == [""]


@pytest.mark.parametrize(
    ("name", "value"), [("user_id", "[]"), ("user_principal_name", []), ("risk_state", "[]")], ids=str
)
def test_a_list_without_values_does_not_match_everything(name: str, value: Any) -> None:
    assert refused(aru.ArgumentError, aru.build_filters, aru.RISKY_USERS.filters, {name: value}) == (
        f'{name}="[]" cannot be used. Accepted: at least one value.'
    )


def test_all_filters_have_to_hold_and_of_several_values_any_may() -> None:
    args = {"risk_state": "atRisk,confirmedCompromised", "risk_level": ["high"], "is_deleted": "false"}
    assert aru.build_filters(aru.RISKY_USERS.filters, args) == [
        "(riskState eq 'atRisk' or riskState eq 'confirmedCompromised') and riskLevel eq 'high' and isDeleted eq false"
    ]


def test_a_value_given_twice_is_compared_once() -> None:
    assert aru.build_filters(aru.RISKY_USERS.filters, {"risk_state": "atRisk, atRisk"}) == ["riskState eq 'atRisk'"]


def compared(filter_text: str) -> int:
    return filter_text.count(" eq ")


def names(count: int) -> list[str]:
    return [f"user{number}@contoso.example" for number in range(count)]


@pytest.mark.parametrize(
    ("args", "numbers"),
    [
        ({"user_principal_name": names(15)}, [15]),
        ({"user_principal_name": names(16)}, [15, 1]),
        ({"user_principal_name": names(31)}, [15, 15, 1]),
        ({"user_principal_name": names(15), "risk_state": "atRisk,dismissed"}, [15, 4]),
        ({"user_principal_name": names(26), "risk_state": "atRisk,dismissed"}, [15, 15]),
        ({"user_principal_name": names(16), "user_id": [f"id{number}" for number in range(14)]}, [15] * 16),
    ],
)
def test_no_request_compares_more_than_fifteen_values(args: Row, numbers: list[int]) -> None:
    assert [compared(text) for text in aru.build_filters(aru.RISKY_USERS.filters, args)] == numbers


def test_a_split_list_holds_every_value_once_beside_all_other_filters() -> None:
    args = {"user_principal_name": names(20), "risk_level": "high"}
    first, second = aru.build_filters(aru.RISKY_USERS.filters, args)
    literals = [f"userPrincipalName eq '{name}'" for name in names(20)]
    assert first == f"riskLevel eq 'high' and ({' or '.join(literals[:14])})"
    assert second == f"riskLevel eq 'high' and ({' or '.join(literals[14:])})"


def test_two_lists_too_long_for_one_request_are_refused() -> None:
    args = {"user_principal_name": names(15), "user_id": ",".join(f"id{number}" for number in range(16))}
    assert refused(aru.ArgumentError, aru.build_filters, aru.RISKY_USERS.filters, args) == (
        f'user_id="{args["user_id"]}" cannot be used. '
        "Accepted: at most 14 values in the other arguments, which now have 15."
    )


def test_a_default_that_leaves_no_room_for_the_values_is_named_with_them() -> None:
    ids = "a1,a2,a3,a4"
    args = {"sign_in": ids, "user_id": ids, "ip_address": "::1,::2,::3,::4", "country": "NL,PE,DE,FR"}
    states = "confirmedSafe,remediated,dismissed,atRisk,confirmedCompromised"
    assert refused(aru.ArgumentError, aru.build_filters, aru.RISKY_SIGN_INS.filters, args) == (
        f'risk_state="{states}" cannot be used. Accepted: at most 14 values in the other arguments, which now have 17.'
    )


# Ids


HARD_IDS = (
    "a/b",
    "../riskDetections",
    "%2e%2e",
    "%2F",
    "a?$top=1",
    "a&b=c",
    "a#b",
    "a;b",
    "'a'",
    '"a"',
    "a\nb",
    "a\r\nX-Header: b",
    "zoë",
    "a b",
    "a+b",
    "a..",
    "https://contoso.example/",
    "@contoso.example",
)


@pytest.mark.parametrize("given", [*HARD_IDS, "*", "..", ".", "../../x", "Adele Vance", " ", "x" * 129])
@pytest.mark.parametrize(
    "command",
    [
        "azure-risky-user-get",
        "azure-risky-user-history-list",
        "azure-risky-service-principal-get",
        "azure-risky-service-principal-history-list",
        "azure-risky-users-risk-detection-get",
        "azure-risky-service-principal-detection-get",
    ],
)
def test_what_is_no_id_is_refused_before_anything_is_sent(
    simulator: Simulator, war_room: WarRoom, command: str, given: str
) -> None:
    entry = only_entry(war_room.call(command, {"id": given}))
    assert entry["Contents"].startswith(f"Failed to execute {command}. id")
    assert "cannot be used. Accepted: " in entry["Contents"]
    assert simulator.requests == []


@pytest.mark.parametrize(
    ("command", "argument"),
    [
        ("azure-risky-users-list", "user_id"),
        ("azure-risky-users-risk-detections-list", "user_id"),
        ("azure-risky-service-principals-list", "service_principal_id"),
        ("azure-risky-service-principal-detections-list", "service_principal_id"),
    ],
)
def test_a_name_in_the_place_of_an_id_is_no_empty_list(
    simulator: Simulator, error: Fail, command: str, argument: str
) -> None:
    assert error(f"!{command} {argument}=adele.vance@contoso.example") == (
        f'Failed to execute {command}. {argument}="adele.vance@contoso.example" cannot be used. '
        "Accepted: an object ID, such as a GUID."
    )
    assert simulator.requests == []


def test_a_user_principal_name_in_the_place_of_an_id_finds_the_user(run: Succeed) -> None:
    by_name = run("!azure-risky-user-get user=adele.vance@contoso.example").entries
    assert run("!azure-risky-user-get id=adele.vance@contoso.example").entries == by_name
    history = run("!azure-risky-user-history-list user=adele.vance@contoso.example").entries
    assert run("!azure-risky-user-history-list id=adele.vance@contoso.example").entries == history


def test_graph_never_answers_with_another_object_than_the_one_asked_for(error: Fail, simulator: Simulator) -> None:
    simulator.fail_next(200, body={"id": "888", "riskLevel": "none"})
    assert error("!azure-risky-user-get id=333") == (
        "Failed to execute azure-risky-user-get. Graph answered with another risky user than was asked for: its id is "
        "none of those that were named. The answer is not used."
    )
