"""Settings from `XUANWU_*` variables. Secrets are never in the catalogue; connections are `XUANWU_CONN_<NAME>`."""

from __future__ import annotations

from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from schemas.errors import SettingsError

HERE = Path(__file__).parent


def absolute(place: str) -> str:
    """A path from the root, or the URI that it is, without a trailing slash. SettingsError for a URI of nothing, which
    would be a folder of that name."""
    scheme, uri, rest = place.partition("://")
    if not uri:
        return str(Path(place).resolve())
    if not rest.strip("/"):
        raise SettingsError(f"{place} names no place", expected=f"{scheme}://<bucket>/<prefix>, or a path")
    return place.rstrip("/")


class Settings(BaseSettings):
    """Where state, lake and catalogue lie, and how much the local engine may take."""

    model_config = SettingsConfigDict(env_prefix="XUANWU_", frozen=True, extra="ignore")

    home: Path = Path(".xuanwu")
    """Everything that is not the lake: the ledger, Iceberg's catalogue, scratch space."""
    lake: str = ""
    """Root of the zones, a path or URI; default `<home>/lake`."""
    catalogue: Path = HERE / "catalogue"
    """Folder of dataset entries, one sub-folder per department."""
    database: str = ""
    """SQLAlchemy URL of the ledger; default SQLite at `<home>/ledger.db`."""
    iceberg: str = ""
    """SQLAlchemy URL of Iceberg's catalogue; default SQLite at `<home>/iceberg.db`."""
    exchange: str = ""
    """SQLAlchemy URL of what the exchange remembers; default SQLite at `<home>/exchange.db`."""
    oidc_issuer: str = ""
    """The identity provider's issuer, as it writes itself in `iss`; without one there are accounts of our own only."""
    oidc_audience: str = ""
    """What access tokens for the exchange name in `aud`."""
    oidc_client_id: str = ""
    """The exchange's own client at the provider, for people's login; without one people log in by password."""
    oidc_client_secret: SecretStr = SecretStr("")
    """The client's secret; a public client, which has PKCE alone, has none."""
    oidc_claims: Path | None = None
    """YAML file: which claims say department and roles, and which clients are which system (`exchange.oidc.claims`)."""
    memory: str = Field("400MB", pattern=r"^[0-9]+(\.[0-9]+)? ?([KMGT]i?B)$")
    """DuckDB's memory limit for one stage; beyond it DuckDB spills into `<home>/scratch`."""
    threads: int = Field(2, ge=1)
    """Threads of a stage, DuckDB's too; with two or more `xuanwu run` publishes zones of a little batch abreast."""
    xlsx_cells: int = 2_000_000
    """Cells that an XLSX download may have; a bigger table is left out as XLSX, and its index says so."""
    engine: Literal["local", "spark"] = "local"
    """What runs the stages after collection, where an entry does not say: this machine's own engine, or Spark."""
    portal: str = ""
    """Where the public site lies, a path or URI, and is built twice an hour; default `<home>/portal`, by hand."""
    portal_name: str = ""
    """What the public site is called, such as 某市公共数据开放平台."""
    portal_address: str = ""
    """Where the public site is served: feeds and the site map name whole addresses then."""
    portal_exchange: str = ""
    """Address of the exchange that people object to open data at; without one the site does not lead there."""
    spark_master: str = ""
    """Where Spark runs: `spark://host:7077`, `local[4]` …; default what spark-submit or spark-defaults.conf says."""
    until: date | None = None
    """No scheduled run after this day: a rehearsal on a past calendar, such as the sample city's."""
    key_version: str = "1"
    """Which masking key is used: the key is read from `XUANWU_KEY_<version>` or the connection `xuanwu_keys`."""

    def __init__(self, **values: Any) -> None:
        """SettingsError names each malformed variable and never its value, which may be a URL with a password."""
        try:
            super().__init__(**values)
        except ValidationError as error:
            wrong = [(str(each["loc"][0]), each["msg"]) for each in error.errors(include_input=False)]
            raise SettingsError(
                "; ".join(f"XUANWU_{name.upper()}: {message}" for name, message in wrong),
                next_step="correct the variable, or leave it unset for the default",
            ) from None

    @cached_property
    def lake_root(self) -> str:
        """Absolute path or URI of the lake, without a trailing slash."""
        return absolute(self.lake or str(self.home / "lake"))

    @cached_property
    def portal_root(self) -> str:
        """Absolute path or URI of the public site, whether or not there is one, without a trailing slash."""
        return absolute(self.portal or str(self.home / "portal"))

    @cached_property
    def database_url(self) -> str:
        return self.database or f"sqlite:///{self.home.resolve() / 'ledger.db'}"

    @cached_property
    def iceberg_url(self) -> str:
        return self.iceberg or f"sqlite:///{self.home.resolve() / 'iceberg.db'}"

    @cached_property
    def stamps(self) -> Path:
        """Which catalogues were found valid: see `schemas.stamp`."""
        return self.home.resolve() / "stamps"

    @cached_property
    def exchange_url(self) -> str:
        return self.exchange or f"sqlite:///{self.home.resolve() / 'exchange.db'}"

    @cached_property
    def scratch(self) -> Path:
        return self.home.resolve() / "scratch"
