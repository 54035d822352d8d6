"""Settings: environment variables `DEPOSIT_*`, one frozen object, unknown names refused.

A running stack writes its own settings to `<state_dir>/settings.env`; the environment overrides them.
Needs no model library, so that Airflow's environment can import it.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from deposit.errors import ConfigError
from deposit.sections import (
    ApiSettings,
    DatabaseSettings,
    GatewaySettings,
    IngestSettings,
    LinksSettings,
    LogSettings,
    MlflowSettings,
    MonitorSettings,
    ReleaseSettings,
    Section,
    SelectSettings,
    ServeSettings,
    StackSettings,
    StoreSettings,
    TrainSettings,
)

PREFIX = "DEPOSIT_"
_FILE = "_FILE"
REPOSITORY = Path(__file__).resolve().parents[2]


class Settings(BaseSettings):
    """All settings; build it with `load_settings`."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", frozen=True, extra="forbid", env_ignore_empty=True
    )

    state_dir: Path = Field(
        REPOSITORY / ".deposit", description="folder of the stack without Docker: data, logs, secrets"
    )
    python: Path = Field(
        REPOSITORY / ".venv" / "bin" / "python", description="interpreter of the models' environment, for DAG tasks"
    )
    revision: str | None = Field(None, description="git commit of the code; empty asks git")
    heartbeat_file: Path | None = Field(
        None, description="file whose time the releaser and the shipper renew at each look, for health checks"
    )
    database: DatabaseSettings = DatabaseSettings()
    store: StoreSettings = StoreSettings()
    ingest: IngestSettings = IngestSettings()
    mlflow: MlflowSettings = MlflowSettings()
    train: TrainSettings = TrainSettings()
    select: SelectSettings = SelectSettings()
    release: ReleaseSettings = ReleaseSettings()
    gateway: GatewaySettings = GatewaySettings()
    api: ApiSettings = ApiSettings()
    links: LinksSettings = LinksSettings()
    serve: ServeSettings = ServeSettings()
    log: LogSettings = LogSettings()
    monitor: MonitorSettings = MonitorSettings()
    stack: StackSettings = StackSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the names are pydantic's
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """What is given in code, then the environment with the values that it gives by file, then `settings.env`."""
        if isinstance(env_settings, EnvSettingsSource):
            env_settings.env_vars = _with_files(env_settings.env_vars)
        return init_settings, env_settings, dotenv_settings

    @property
    def gateway_url(self) -> str:
        """Where the gateway of the stack without Docker answers."""
        scheme = "http" if self.gateway.tls == "off" else "https"
        return f"{scheme}://127.0.0.1:{self.stack.gateway_port}"

    @property
    def workspace_path(self) -> Path:
        """Where monitoring leaves what Evidently's UI shows."""
        return self.monitor.workspace or self.state_dir.resolve() / "workspace"

    @property
    def catalog_path(self) -> Path:
        """Where the releaser keeps the list of the registered models, and a service looks for it."""
        return self.serve.catalog_file or self.state_dir.resolve() / "catalog.json"

    @property
    def spool_path(self) -> Path:
        """The spool of the prediction log: services write it, the shipper empties it."""
        return self.state_dir.resolve() / "spool" / "spool.sqlite"

    def changed(self, section: str, **values: Any) -> "Settings":
        """These settings with some of a section's values replaced; None leaves a value. Raises ConfigError."""
        part = getattr(self, section)
        kept = {name: getattr(part, name) for name in type(part).model_fields}
        given = {name: value for name, value in values.items() if value is not None}
        try:
            return self.model_copy(update={section: type(part).model_validate(kept | given)})
        except ValidationError as error:
            raise ConfigError(_explain(error, section)) from error


def load_settings() -> Settings:
    """Read the environment, and beneath it the running stack's `settings.env`.

    `DEPOSIT_X_FILE` names a file that holds the value of `DEPOSIT_X`. Raises ConfigError naming each wrong or unknown
    variable.
    """
    _refuse_unknown(os.environ)
    given = _with_files(os.environ).get(f"{PREFIX}STATE_DIR".lower())
    return _settings(Path(given or Settings.model_fields["state_dir"].default) / "settings.env")


def service_settings() -> Settings:
    """Read the environment alone: a service must not hold the stack's secrets.

    Unknown names are left out, for it is the releaser that gives them: a rollback may start a service that is older
    than the releaser. Raises ConfigError naming each wrong variable.
    """
    for name in _unknown(os.environ):
        del os.environ[name]
    return _settings(None)


def _settings(beneath: Path | None) -> Settings:
    try:
        return Settings(_env_file=beneath)
    except ValidationError as error:
        raise ConfigError(_explain(error)) from error


def setting_names() -> dict[str, tuple[str, Any]]:
    """Every environment variable with its description and default, in order."""
    names: dict[str, tuple[str, Any]] = {}
    for name, field in Settings.model_fields.items():
        section = field.annotation
        if isinstance(section, type) and issubclass(section, Section):
            for inner, subfield in section.model_fields.items():
                names[f"{PREFIX}{name}__{inner}".upper()] = (subfield.description or "", subfield.default)
        else:
            names[f"{PREFIX}{name}".upper()] = (field.description or "", field.default)
    return names


def _unknown(environ: Mapping[str, str]) -> list[str]:
    known = setting_names()
    return sorted(
        name
        for name in environ
        if name.startswith(PREFIX) and name.upper() not in known and _named_by(name, known) is None
    )


def _refuse_unknown(environ: Mapping[str, str]) -> None:
    unknown = _unknown(environ)
    if unknown:
        raise ConfigError(f"unknown setting {', '.join(unknown)}: docs/settings.md lists the names")


def _named_by(variable: str, known: Mapping[str, Any]) -> str | None:
    """The setting whose value is in the file that `<setting>_FILE` names; None if the variable is a setting itself."""
    name = variable.upper()
    setting = name.removesuffix(_FILE)
    return setting if name not in known and setting != name and setting in known else None


def _with_files(environ: Mapping[str, str | None]) -> dict[str, str | None]:
    """The variables by lower-case name, those that name a value's file replaced by the value.

    Raises ConfigError, which never quotes a file's content.
    """
    known = setting_names()
    given = {name.lower(): value for name, value in environ.items()}
    for variable, path in list(given.items()):
        setting = _named_by(variable, known)
        if setting is None:
            continue
        del given[variable]
        if path and given.get(setting.lower()):
            raise ConfigError(f"{setting} and {variable.upper()} are both set: remove one of them")
        if path:
            given[setting.lower()] = _content(variable.upper(), path)
    return given


def _content(variable: str, path: str) -> str:
    try:
        value = Path(path).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text in UTF-8"
        raise ConfigError(f"{variable}: cannot read {path} ({reason})") from error
    if not value:
        raise ConfigError(f"{variable}: {path} is empty: write the value into it, or remove the variable")
    return value


def _explain(error: ValidationError, *section: str) -> str:
    lines = []
    for item in error.errors():
        name = PREFIX + "__".join(str(part) for part in (*section, *item["loc"])).upper()
        lines.append(f"{name}: {item['msg']}")
    return "wrong setting: " + "; ".join(lines)
