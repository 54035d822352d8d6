"""Settings: environment variables `DEPOSIT_*`, one frozen object, unknown names refused.

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
"""Whether Secrets Manager is asked; pydantic-settings gives its sources no argument of ours."""


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
        None, description="file whose time the releaser and the shipper renew at each look, for health checks"
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
        """What is given in code, then the environment with the values that it refers to, then `settings.env`."""
        if isinstance(env_settings, EnvSettingsSource):
            values = with_references(env_settings.env_vars, _accepted_names(), _with_secrets.get())
            env_settings.env_vars = with_new_names(values, RENAMED)
        if isinstance(dotenv_settings, DotEnvSettingsSource) and isinstance(dotenv_settings.env_file, Path):
            values = {name.lower(): value for name, value in read_file(dotenv_settings.env_file).items()}
            dotenv_settings.env_vars = with_new_names(values, RENAMED)
        return init_settings, env_settings, dotenv_settings

    @property
    def gateway_url(self) -> str:
        """Where the gateway of the stack without Docker answers."""
        return self.gateway.url(self.stack.gateway_port)

    @property
    def state(self) -> StateFolder:
        """The places in the folder of the stack."""
        return StateFolder(self.state_dir.resolve())

    @property
    def workspace_path(self) -> Path:
        """Where monitoring leaves what Evidently's UI shows."""
        return self.monitor.workspace or self.state.workspace

    @property
    def catalog_path(self) -> Path:
        """Where the releaser keeps the list of the registered models, and a service looks for it."""
        return self.serve.catalog_file or self.state.catalog

    @property
    def spool_path(self) -> Path:
        """The spool of the prediction log that a service of this replica writes."""
        return self.state.spool_of(self.serve.replica)

    def changed(self, section: str, **values: Any) -> "Settings":
        """These settings with some of a section's values replaced; None leaves a value. Raises ConfigError."""
        before = getattr(self, section)
        content = {name: getattr(before, name) for name in type(before).model_fields}
        content |= {name: value for name, value in values.items() if value is not None}
        try:
            return self.model_copy(update={section: type(before).model_validate(content)})
        except ValidationError as error:
            raise _wrong(error, section) from error


def load_settings() -> Settings:
    """Read the environment, and beneath it the running stack's `settings.env`.

    `DEPOSIT_X_FILE` names a file that holds the value of `DEPOSIT_X`, `DEPOSIT_X_SECRET` a secret of AWS. Raises
    ConfigError naming each wrong or unknown variable, and UpstreamError if AWS does not answer.
    """
    _check_names(os.environ)
    state_dir = with_references(os.environ, _accepted_names(), with_secrets=False).get(f"{PREFIX}STATE_DIR".lower())
    return _settings(StateFolder(Path(state_dir or Settings.model_fields["state_dir"].default)).settings_file)


def open_settings() -> Settings:
    """As `load_settings`, without what is in Secrets Manager: for what is read every minute and uses no secret."""
    context = copy_context()
    context.run(_with_secrets.set, False)
    return context.run(load_settings)


def chosen_settings() -> Settings:
    """Read the environment alone, for a stack that is started: what is no longer set there is as by default again.

    Raises ConfigError as `load_settings` does.
    """
    _check_names(os.environ)
    return _settings(None)


def service_settings() -> Settings:
    """Read the environment alone: a service must not hold the stack's secrets.

    Unknown names are left out, for it is the releaser that gives them: a rollback may start a service that is older
    than the releaser. Raises ConfigError naming each wrong variable.
    """
    for name in unknown(os.environ, _accepted_names()):
        del os.environ[name]
    return _settings(None)


def _settings(beneath: Path | None) -> Settings:
    try:
        return Settings(_env_file=beneath)
    except ValidationError as error:
        raise _wrong(error) from error
    except SettingsError as error:
        lists = ", ".join(name for name, (_, default) in setting_names().items() if isinstance(default, tuple))
        raise ConfigError(f'a list is written as JSON, like ["one", "two"]: correct what is set of {lists}') from error


def variables(settings: Settings, with_secrets: bool = True) -> dict[str, str]:
    """The environment variables that make these settings; what is as by default is not among them.

    A default that was written down would outlive its change. Secrets are in plain text.
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
    """The names of the settings, and those that some had before."""
    return setting_names().keys() | RENAMED.keys()


def _check_names(environ: Mapping[str, str]) -> None:
    """Refuse unknown names, and say of old ones what they are called now."""
    if strange := unknown(environ, _accepted_names()):
        raise ConfigError(f"unknown setting {strange[0]}: {hint(strange[0], setting_names())}", strange)
    names = {name.upper() for name, value in environ.items() if value}
    for old, new in RENAMED.items():
        if names & {old, f"{old}_FILE", f"{old}_SECRET"}:
            _notice(old, new)


@cache  # once a process, however often it reads its settings
def _notice(old: str, new: str) -> None:
    logger.warning("%s is now called %s: set that instead, the old name will not be taken for ever", old, new)


def _wrong(error: ValidationError, *section: str) -> ConfigError:
    named = [(PREFIX + "__".join(map(str, (*section, *item["loc"]))).upper(), item["msg"]) for item in error.errors()]
    first, *more = [f"{name}: {message}" for name, message in named]
    beside = f"; {len(more)} more are wrong, see above" if more else ""
    return ConfigError(f"wrong setting: {first}{beside}", [first, *more] if more else ())
