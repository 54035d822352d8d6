"""Settings: environment variables `DEPOSIT_*` in one frozen object; unknown names are rejected.

A running stack writes its own settings to `<state_dir>/settings.env`; the environment overrides them.
Needs no model library, so that Airflow's environment can import it.
"""

import logging
import os
from collections.abc import Mapping
from contextvars import ContextVar, copy_context
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from deposit.errors import ConfigError
from deposit.files import StateFolder
from deposit.sections import (
    RENAMED,
    ApiSettings,
    ArchiveSettings,
    ComputeSettings,
    DatabaseSettings,
    EconomicsSettings,
    ExpirySettings,
    FullPath,
    GatewaySettings,
    IngestSettings,
    LinksSettings,
    LogSettings,
    MlflowSettings,
    MonitorSettings,
    ReleaseSettings,
    ScoreSettings,
    Section,
    SelectSettings,
    ServeSettings,
    StackSettings,
    StoreSettings,
    TrainSettings,
)
from deposit.variables import PREFIX, hint, read_file, text_of, unknown, with_new_names, with_references

logger = logging.getLogger("deposit")
REPOSITORY = Path(__file__).resolve().parents[2]
_with_secrets: ContextVar[bool] = ContextVar("with_secrets", default=True)
"""Whether to read Secrets Manager; a context variable because pydantic-settings passes no argument to its sources."""


class Settings(BaseSettings):
    """All settings; build it with `load_settings`."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", frozen=True, extra="forbid", env_ignore_empty=True
    )

    state_dir: FullPath = Field(
        REPOSITORY / ".deposit", description="folder of the stack without Docker: data, logs, secrets"
    )
    python: FullPath = Field(
        REPOSITORY / ".venv" / "bin" / "python", description="interpreter of the models' environment, for DAG tasks"
    )
    revision: str | None = Field(None, description="git commit of the code; empty asks git")
    heartbeat_file: FullPath | None = Field(
        None, description="file that the releaser and the shipper touch at each poll, for health checks"
    )
    database: DatabaseSettings = DatabaseSettings()
    store: StoreSettings = StoreSettings()
    ingest: IngestSettings = IngestSettings()
    mlflow: MlflowSettings = MlflowSettings()
    train: TrainSettings = TrainSettings()
    economics: EconomicsSettings = EconomicsSettings()
    select: SelectSettings = SelectSettings()
    expiry: ExpirySettings = ExpirySettings()
    release: ReleaseSettings = ReleaseSettings()
    gateway: GatewaySettings = GatewaySettings()
    api: ApiSettings = ApiSettings()
    links: LinksSettings = LinksSettings()
    serve: ServeSettings = ServeSettings()
    log: LogSettings = LogSettings()
    score: ScoreSettings = ScoreSettings()
    compute: ComputeSettings = ComputeSettings()
    archive: ArchiveSettings = ArchiveSettings()
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
        """Values passed in code, then the environment with its references resolved, then `settings.env`."""
        if isinstance(env_settings, EnvSettingsSource):
            values = with_references(env_settings.env_vars, _accepted_names(), _with_secrets.get())
            env_settings.env_vars = with_new_names(values, RENAMED)
        if isinstance(dotenv_settings, DotEnvSettingsSource) and isinstance(dotenv_settings.env_file, Path):
            values = {name.lower(): value for name, value in read_file(dotenv_settings.env_file).items()}
            dotenv_settings.env_vars = with_new_names(values, RENAMED)
        return init_settings, env_settings, dotenv_settings

    @property
    def gateway_url(self) -> str:
        """URL of the gateway of the stack without Docker."""
        return self.gateway.url(self.stack.gateway_port)

    @property
    def state(self) -> StateFolder:
        """Paths in the state folder."""
        return StateFolder(self.state_dir.resolve())

    @property
    def workspace_path(self) -> Path:
        """Workspace that monitoring writes and Evidently's UI shows."""
        return self.monitor.workspace or self.state.workspace

    @property
    def catalog_path(self) -> Path:
        """File with the registered models, which the releaser writes and the services read."""
        return self.serve.catalog_file or self.state.catalog

    @property
    def spool_path(self) -> Path:
        """Spool of the prediction log that a service of this replica writes to."""
        return self.state.spool_of(self.serve.replica)

    def changed(self, section: str, **values: Any) -> "Settings":
        """A copy with some values of a section replaced; None keeps the present value. Raises ConfigError."""
        before = getattr(self, section)
        content = {name: getattr(before, name) for name in type(before).model_fields}
        content |= {name: value for name, value in values.items() if value is not None}
        try:
            return self.model_copy(update={section: type(before).model_validate(content)})
        except ValidationError as error:
            raise _wrong(error, section) from error


def load_settings() -> Settings:
    """Read the environment, and the running stack's `settings.env` for variables that are not set there.

    `DEPOSIT_X_FILE` names a file that holds the value of `DEPOSIT_X`, `DEPOSIT_X_SECRET` a secret in AWS. Raises
    ConfigError naming each invalid or unknown variable, and UpstreamError if AWS does not answer.
    """
    check_names(os.environ)
    state_dir = with_references(os.environ, _accepted_names(), with_secrets=False).get(f"{PREFIX}STATE_DIR".lower())
    return _settings(StateFolder(Path(state_dir or Settings.model_fields["state_dir"].default)).settings_file)


def open_settings() -> Settings:
    """As `load_settings`, without the values in Secrets Manager: for code that runs often and needs no secret."""
    context = copy_context()
    context.run(_with_secrets.set, False)
    return context.run(load_settings)


def chosen_settings() -> Settings:
    """Read only the environment, to start a stack: a variable that is no longer set gets its default again.

    Raises ConfigError as `load_settings` does.
    """
    check_names(os.environ)
    return _settings(None)


def service_settings() -> Settings:
    """Read only the environment, since a service must not hold the stack's secrets.

    Unknown names are ignored because the releaser sets them, and a rollback may start a service that is older than the
    releaser. Raises ConfigError naming each invalid variable.
    """
    for name in unknown(os.environ, _accepted_names()):
        del os.environ[name]
    return _settings(None)


def _settings(env_file: Path | None) -> Settings:
    try:
        return Settings(_env_file=env_file)
    except ValidationError as error:
        raise _wrong(error) from error
    except SettingsError as error:
        lists = ", ".join(name for name, (_, default) in setting_names().items() if isinstance(default, tuple))
        raise ConfigError(f'a list must be JSON, like ["one", "two"]: correct whichever is set of {lists}') from error


def variables(settings: Settings, with_secrets: bool = True) -> dict[str, str]:
    """The environment variables for these settings, without those that have their default value.

    A default that is written down would hide a later change of that default. Secrets are in plain text.
    """
    result = {}
    for name, (_, default) in setting_names().items():
        value: Any = settings
        for attribute in name.removeprefix(PREFIX).lower().split("__"):
            value = getattr(value, attribute)
        if value != default and (with_secrets or not isinstance(value, SecretStr)):
            result[name] = text_of(value)
    return result


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


def _accepted_names() -> set[str]:
    """The names of all settings, old names included."""
    return setting_names().keys() | RENAMED.keys()


def check_names(environ: Mapping[str, str]) -> None:
    """Raise ConfigError for unknown names, and log a warning for old ones."""
    if strange := unknown(environ, _accepted_names()):
        raise ConfigError(f"unknown setting {strange[0]}: {hint(strange[0], setting_names())}", strange)
    names = {name.upper() for name, value in environ.items() if value}
    for old, new in RENAMED.items():
        if names & {old, f"{old}_FILE", f"{old}_SECRET"}:
            _notice(old, new)


@cache  # once per process, however often the settings are read
def _notice(old: str, new: str) -> None:
    logger.warning("%s is now called %s: use the new name, the old one will be removed", old, new)


def _wrong(error: ValidationError, *section: str) -> ConfigError:
    named = [(PREFIX + "__".join(map(str, (*section, *item["loc"]))).upper(), item["msg"]) for item in error.errors()]
    first, *more = [f"{name}: {message}" for name, message in named]
    beside = f"; {len(more)} more are wrong, see above" if more else ""
    return ConfigError(f"wrong setting: {first}{beside}", [first, *more] if more else ())
