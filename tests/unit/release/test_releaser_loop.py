import errno
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest

from deposit.release import reconciler
from deposit.settings import load_settings


def test_a_full_disk_does_not_end_the_releaser_and_is_told_of_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    looks: list[str] = []
    stop = Event()

    def look(*_: Any) -> None:
        looks.append(f"/state/download-{len(looks)}")
        if len(looks) == 3:
            stop.set()
        raise OSError(errno.ENOSPC, "No space left on device", looks[-1])

    monkeypatch.setenv("DEPOSIT_RELEASE__POLL_SECONDS", "0.01")
    monkeypatch.setattr(reconciler, "_reconcile_while_alone", look)
    monkeypatch.setattr(reconciler, "connect", lambda _: SimpleNamespace(dispose=lambda: None))
    monkeypatch.setattr(reconciler, "target_for", lambda _: (None, SimpleNamespace(answers=lambda: True)))
    monkeypatch.setattr(reconciler, "keep_catalog", lambda *_: None)
    reconciler.run(load_settings(), stop)
    assert len(looks) == 3
    assert caplog.messages == ["No space left on device; retrying until it works"]
