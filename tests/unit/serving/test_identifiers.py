import time
import uuid

from serving.recorder import BYTES, new_ids, texts


def test_identifiers_are_uuids_of_version_7_and_differ() -> None:
    ids = [uuid.UUID(text) for text in texts(new_ids(1000))]
    assert len(set(ids)) == 1000
    assert {value.version for value in ids} == {7}
    assert {value.variant for value in ids} == {uuid.RFC_4122}


def test_they_sort_by_time_and_tell_it() -> None:
    first = uuid.UUID(bytes=new_ids(1))
    time.sleep(0.002)
    second = uuid.UUID(bytes=new_ids(1))
    assert first < second
    assert abs((second.int >> 80) / 1000 - time.time()) < 60


def test_texts_are_the_usual_form_of_the_bytes() -> None:
    ids = new_ids(3)
    assert texts(ids) == [str(uuid.UUID(bytes=ids[at : at + BYTES])) for at in range(0, len(ids), BYTES)]
