"""Commands that request releases and rollbacks, and the processes `releaser` and `shipper`."""

import logging
import signal
import threading
from typing import TYPE_CHECKING, Annotated

import typer

from deposit import console
from deposit.console import AsJson
from deposit.settings import load_settings, service_settings

if TYPE_CHECKING:
    from deposit.release.repository import Release


def release(
    model: Annotated[str | None, typer.Option(help="Model id like deposit-v3; the champion if not given.")] = None,
    renew: Annotated[
        bool, typer.Option(help="Only release the live model again if it serves with the code of another version.")
    ] = False,
    wait: Annotated[bool, typer.Option(help="Wait for the releaser's outcome.")] = True,
    timeout: Annotated[float, typer.Option(help="Seconds to wait.")] = 300.0,
    as_json: AsJson = False,
) -> None:
    """Package the champion and request its release."""
    from deposit.release import requests

    if renew and model:
        raise typer.BadParameter("--renew keeps the model that is live: leave out --model")
    settings = load_settings()
    with console.progress() as progress:
        if renew:
            done = requests.request_renewed_code(settings, progress)
        else:
            done = requests.request_release(settings, model, progress)
        if done and wait:
            done = requests.wait(settings.database, done.id, timeout, progress)
    _print_release(done, as_json)


def rollback(
    timeout: Annotated[float, typer.Option(help="Seconds to wait.")] = 120.0,
    as_json: AsJson = False,
) -> None:
    """Roll back to the model that served before."""
    from deposit.release import requests

    settings = load_settings()
    with console.progress() as progress:
        done = requests.wait(settings.database, requests.request_rollback(settings.database).id, timeout, progress)
    _print_release(done, as_json)


def releaser() -> None:
    """Carry out releases until stopped; the only process with rights over services."""
    from deposit.release.part_restarts import watch_parts
    from deposit.release.reconciler import run

    logging.getLogger("deposit").setLevel(logging.INFO)
    settings, stop = load_settings(), _stop_on_signal()
    # in its own thread: a slow Docker engine must not delay the watching of services
    threading.Thread(
        target=watch_parts, args=(settings.release, settings.database, stop), name="parts", daemon=True
    ).start()
    run(settings, stop)


def shipper() -> None:
    """Move predictions and outcomes from the spool to PostgreSQL until stopped."""
    from deposit.log.shipper import run

    logging.getLogger("deposit").setLevel(logging.INFO)
    # only the environment: the stack's settings hold the owner's password, which the shipper must not have
    run(service_settings(), _stop_on_signal())


def _stop_on_signal() -> threading.Event:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop


def _print_release(done: "Release | None", as_json: bool) -> None:
    from deposit.release.requests import describe

    if as_json:
        console.json(done)
    elif done:
        console.out.print(describe(done))
    else:
        console.out.print("Nothing to renew: no model is live, or it serves with this version's code")
