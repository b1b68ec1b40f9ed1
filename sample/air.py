"""Hourly air quality: two stations in each district, 24 hours, as the ecology bureau's API gives them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from sample.people import Numbers, digits, iso, join, take
from sample.plan import City, Draw, Faults, Part
from sample.words import DIVISIONS

STATIONS = 2 * len(DIVISIONS)
FAULTS = Faults(60, ("negative_number", "out_of_bounds", "missing_value"))


def observations(city: City, number: Numbers) -> Part:
    """Means of the hour, by station and hour. Fine dust has a daily rhythm; PM10 is never below it."""
    draw, faults = Draw(city, "air", number, city.day), FAULTS.masks(number)
    station, hour = number // 24, number % 24
    start = np.datetime64(city.date).astype("datetime64[s]") + hour.astype("timedelta64[h]")
    pm25 = np.round(35 + 15 * np.cos((hour - 8) / 24 * 2 * np.pi) + station % 5 + draw.below(100) / 10, 1)
    pm10 = np.round(pm25 * 1.4 + draw.below(200) / 10, 1)
    o3 = np.where(faults["out_of_bounds"], 9999.0, 40.0 + draw.below(900) / 10)
    district = station // 2
    columns = {
        "station": join(take(np.array(list(DIVISIONS.values())), district), digits(station % 2 + 1), "号站"),
        "district": take(np.array(list(DIVISIONS)), district),
        "time": iso(start),
        "pm2_5": pa.array(pm25, mask=faults["missing_value"]),
        "pm10": pa.array(pm10),
        "no2": pa.array(np.where(faults["negative_number"], -1.0, 20 + draw.below(400) / 10)),
        "o3": pa.array(o3),
        "so2": pa.array(5 + draw.below(80) / 10),
        "co": pa.array(np.round(0.4 + draw.below(80) / 100, 2)),
    }
    return Part(columns, faults)
