import subprocess
import sys

import msgspec
import pytest

from deposit.log.entries import (
    Content,
    Entry,
    RankedBlock,
    ReportedOutcome,
    ReportedOutcomes,
    ScoredRequest,
    Traffic,
    TrafficCount,
    decode_entry,
    encode_entry,
)


@pytest.mark.parametrize(
    "content",
    [
        ScoredRequest("r", "c", "deposit-v1", 0.1 + 0.2, 2**52, 1 / 3, bytes(range(32)), [0.1, 5e-324], b'{"a": 1}'),
        RankedBlock("r", "c", "deposit-v1", 0.3, 0, 0.5, b"\0\xff"),
        ReportedOutcomes("r", "c", 7, [ReportedOutcome("p", True, None), ReportedOutcome("q", False, 8)]),
        Traffic("i", 2**52, [TrafficCount("/rank", 200, "c", "deposit-v1", 1 / 3, [0.1, float("inf")], [3, 1])]),
    ],
)
def test_contents_come_back_bit_for_bit(content: Content) -> None:
    entry = encode_entry(content, 2)
    assert entry.rows == 2
    assert decode_entry(entry) == content


def test_a_field_added_later_is_read_from_old_entries_and_by_old_code() -> None:
    old = encode_entry(ReportedOutcomes("r", "c", 7, []), 0)
    fields = msgspec.msgpack.decode(old.payload)
    assert decode_entry(old._replace(payload=msgspec.msgpack.encode([*fields, "new"]))) == decode_entry(old)


@pytest.mark.parametrize("entry", [Entry("unheard", 1, 0.0, b""), Entry("scored", 1, 0.0, b"\xc1")])
def test_what_was_never_written_is_refused(entry: Entry) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode_entry(entry)


def test_a_service_imports_nothing_heavy_for_its_log() -> None:
    code = "import sys, deposit.log.spool; print({*sys.modules} & {'pyarrow', 'psycopg', 'sqlalchemy', 'pandas'})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
