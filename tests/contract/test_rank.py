import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pytest
from ranking import RankService

from deposit.data.columns import NAMES
from deposit.log.spool import Spool
from deposit.model.artifact import ModelArtifact
from deposit.settings import Settings
from serving.application import Application

LIMITS = {"max_rank_rows": 3000, "max_rank_bytes": 2**20}


@pytest.fixture(scope="module")
def model(make_model: Callable[..., ModelArtifact], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    make_model(folder, version=7)
    return folder


@pytest.fixture
def service(model: Path, make_application: Callable[[Settings, Path], Application], tmp_path: Path) -> RankService:
    settings = Settings(state_dir=tmp_path / "state").changed("serve", **LIMITS)
    return RankService(make_application(settings, model), settings)


def _csv(customers: list[dict[str, Any]], separator: str = ";", quoting: int = csv.QUOTE_MINIMAL) -> str:
    written = io.StringIO()
    table = csv.DictWriter(written, list(customers[0]), delimiter=separator, quoting=quoting, lineterminator="\n")
    table.writeheader()
    table.writerows(customers)
    return written.getvalue()


def _with_ids(customers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"id": f"K{number}", **customer} for number, customer in enumerate(customers)]


def _problems(response: httpx.Response) -> list[tuple[str, str]]:
    return [(problem["field"], problem["message"]) for problem in response.json()["detail"]]


def test_the_probabilities_are_those_of_predict_bit_for_bit(
    service: RankService, customers: list[dict[str, Any]]
) -> None:
    sent = _with_ids(customers)
    answer = service.rank(_csv(sent)).raise_for_status().json()
    single = service.post("/predict", json={"customers": sent}, headers={"X-Dry-Run": "true"}).json()
    expected = {item["id"]: item["probability"] for item in single["predictions"]}
    assert {row["id"]: row["probability"] for row in answer["ranked"]} == expected
    assert answer["model"] == "deposit-v7"
    assert answer["rows"] == len(sent)


def test_the_list_is_in_order_of_expected_value(service: RankService, customers: list[dict[str, Any]]) -> None:
    answer = service.rank(_csv(customers), deposit_value="20", call_cost="7").json()
    rows = answer["ranked"]
    assert [row["rank"] for row in rows] == list(range(1, len(rows) + 1))
    assert [(-row["expected_value"], row["line"]) for row in rows] == sorted(
        (-row["expected_value"], row["line"]) for row in rows
    )
    assert all(row["expected_value"] == row["probability"] * 20 - 7 for row in rows)
    assert all(row["call"] == (row["expected_value"] > 0) for row in rows)
    called = [row for row in rows if row["call"]]
    assert answer["called"] == len(called) > 0
    assert answer["expected_subscriptions"] == pytest.approx(sum(row["probability"] for row in called))
    assert answer["expected_profit"] == pytest.approx(sum(row["expected_value"] for row in called))


def test_a_dry_run_draws_profit_by_number_of_calls_and_leaves_no_trace(
    service: RankService, customers: list[dict[str, Any]]
) -> None:
    prices = {"deposit_value": "20", "call_cost": "7"}
    dry = service.rank(_csv(customers), headers={"X-Dry-Run": "true"}, capacity="5", **prices).json()
    assert service.logged() == []
    outlook, curve = dry["outlook"], dry["outlook"]["curve"]
    values = [row["expected_value"] for row in dry["ranked"]]
    assert curve["expected_profit"] == pytest.approx([sum(values[:calls]) for calls in curve["calls"]], abs=1e-6)
    assert outlook["best"]["calls"] == sum(value > 0 for value in values)
    assert max(curve["expected_profit"]) == outlook["best"]["expected_profit"]
    assert outlook["everyone"]["expected_profit"] == pytest.approx(sum(values))
    assert dry["expected_profit"] == pytest.approx(curve["expected_profit"][curve["calls"].index(5)])
    assert outlook["random"]["calls"] == dry["called"] == 5


@pytest.mark.parametrize(("capacity", "called"), [("0", 0), ("3", 3), ("99999", 50)])
def test_capacity_calls_the_best_so_many(
    service: RankService, customers: list[dict[str, Any]], capacity: str, called: int
) -> None:
    answer = service.rank(_csv(customers[:50]), capacity=capacity).json()
    assert [row["call"] for row in answer["ranked"]] == [True] * called + [False] * (50 - called)


def test_every_ranked_row_is_in_the_log_before_the_answer(
    service: RankService, customers: list[dict[str, Any]]
) -> None:
    sent = _with_ids(customers[:200])
    answer = service.rank(_csv(sent)).json()
    (block,) = service.logged()
    table = pa.ipc.open_stream(block.table).read_all()
    logged = {
        id_: (key.hex(), probability)
        for id_, key, probability in zip(
            *(table[name].to_pylist() for name in ("id", "prediction_id", "probability")), strict=True
        )
    }
    assert logged == {
        row["id"]: (row["prediction_id"].replace("-", ""), row["probability"]) for row in answer["ranked"]
    }
    assert [
        dict(zip(NAMES, row, strict=True)) for row in zip(*(table[name].to_pylist() for name in NAMES), strict=True)
    ] == customers[:200]
    assert (block.model_id, block.client) == ("deposit-v7", "anonymous")


def test_a_list_that_cannot_be_recorded_is_not_answered(
    service: RankService, customers: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    from deposit.errors import SpoolError

    def full(*_: object) -> None:
        raise SpoolError("the disk is full")

    monkeypatch.setattr(Spool, "append", full)
    assert service.rank(_csv(customers[:5])).status_code == 503


@pytest.mark.parametrize("separator", [";", ",", "\t"])
@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_spreadsheets_of_all_kinds_are_read(
    service: RankService, customers: list[dict[str, Any]], separator: str, quoting: int, newline: str, encoding: str
) -> None:
    sent = [{"id": f"Müller {number}", "note": "a, b; c", **c} for number, c in enumerate(customers[:5])]
    content = _csv(sent, separator, quoting).replace("\n", newline).encode(encoding)
    answer = service.rank(content).raise_for_status().json()
    assert {row["id"] for row in answer["ranked"]} == {f"Müller {number}" for number in range(5)}
    assert answer["rejected"] == 0
    assert answer["extra_columns"] == [{"column": "note", "reason": "not used"}]


def test_the_dataset_s_own_file_is_ranked_and_duration_plays_no_part(
    service: RankService, customers: list[dict[str, Any]]
) -> None:
    plain = service.rank(_csv(customers[:20])).json()
    longer = service.rank(_csv([{**c, "duration": 5000, "y": "yes"} for c in customers[:20]])).json()
    assert [row["probability"] for row in longer["ranked"]] == [row["probability"] for row in plain["ranked"]]
    assert [extra["column"] for extra in longer["extra_columns"]] == ["duration", "y"]
    assert "only after the call" in longer["extra_columns"][0]["reason"]


def test_columns_may_stand_in_any_order_and_be_written_otherwise(
    service: RankService, customers: list[dict[str, Any]]
) -> None:
    plain = service.rank(_csv(customers[:20])).json()
    turned = [{name.upper().replace(".", "_"): c[name] for name in reversed(NAMES)} for c in customers[:20]]
    decimal = [
        {name: str(value).replace(".", ",") if isinstance(value, float) else value for name, value in c.items()}
        for c in turned
    ]
    for content in (_csv(turned), _csv(decimal)):
        answer = service.rank(content).raise_for_status().json()
        assert [row["probability"] for row in answer["ranked"]] == [row["probability"] for row in plain["ranked"]]


def test_bad_rows_are_rejected_with_line_and_reason_and_the_others_ranked(
    service: RankService, customers: list[dict[str, Any]]
) -> None:
    sent = [dict(customer) for customer in customers[:8]]
    sent[1]["age"] = 5
    sent[2]["job"] = "pirate"
    sent[2]["campaign"] = 1.5
    sent[4]["euribor3m"] = "nan"
    sent[5]["pdays"] = ""
    lines = _csv(sent).splitlines()
    lines.insert(4, "")
    lines.append("1;2;3")
    answer = service.rank("\n".join(lines) + "\n").json()
    assert answer["rows"] == 4
    reasons = {row["line"]: row["reason"] for row in answer["rejected_rows"]}
    assert reasons == {
        3: "age must be a whole number from 17 to 110; got '5'",
        4: reasons[4],
        7: "euribor3m must be a number from -5 to 20; got 'nan'",
        8: "pdays is empty: must be a whole number from 0 to 999",
        11: "has 3 cells, the header has 19",
    }
    assert "job must be one of admin." in reasons[4]
    assert "campaign must be a whole number" in reasons[4]
    assert sorted(row["line"] for row in answer["ranked"]) == [2, 6, 9, 10]


def test_a_line_break_inside_quotes_does_not_shift_the_lines(
    service: RankService, customers: list[dict[str, Any]]
) -> None:
    sent = [{"id": "a\nb", **customers[0]}, {"id": "c", **customers[1]}, {"id": "d", **customers[2], "age": 1}]
    answer = service.rank(_csv(sent)).json()
    assert {row["id"]: row["line"] for row in answer["ranked"]} == {"a\nb": 2, "c": 4}
    assert [row["line"] for row in answer["rejected_rows"]] == [5]


def test_csv_gives_the_file_s_own_cells_in_ranked_order(service: RankService, customers: list[dict[str, Any]]) -> None:
    sent = _with_ids(customers[:30])
    sent[3]["contact"] = "fax"
    response = service.rank(_csv(sent, ","), headers={"Accept": "text/csv"}, capacity="4", reasons="true")
    assert response.headers["content-type"].startswith("text/csv")
    assert (response.headers["x-model"], response.headers["x-rows"], response.headers["x-rejected"]) == (
        "deposit-v7", "29", "1",
    )  # fmt: skip
    rows = list(csv.DictReader(io.StringIO(response.text)))
    assert [row["rank"] for row in rows] == [*(str(place) for place in range(1, 30)), ""]
    by_id = {customer["id"]: customer for customer in sent}
    for row in rows[:-1]:
        assert {name: row[name] for name in NAMES} == {name: str(by_id[row["id"]][name]) for name in NAMES}
    assert [row["call"] for row in rows] == ["yes"] * 4 + ["no"] * 25 + [""]
    assert all(row["reasons"].count(";") == 2 for row in rows[:4])
    assert rows[-1]["problem"].startswith("line 5: contact must be one of")


def test_reasons_add_up_to_the_score(service: RankService, model: Path, customers: list[dict[str, Any]]) -> None:
    from serving.ranking.responses import contributions_by_column

    artifact = ModelArtifact.load(model)
    matrix = artifact.encoder.encode_rows([[c[name] for name in NAMES] for c in customers[:50]])
    effects = contributions_by_column(artifact, matrix).sum(axis=1)
    margins = artifact.scorer.inplace_predict(matrix, predict_type="margin")
    assert (margins - effects) == pytest.approx(margins[0] - effects[0], abs=1e-4)
    rows = service.rank(_csv(customers[:50]), reasons="yes", capacity="10").json()["ranked"]
    assert all(len(row["reasons"]) == 3 for row in rows[:10])
    assert all("reasons" not in row for row in rows[10:])
    effects = [[abs(reason["effect"]) for reason in row["reasons"]] for row in rows[:10]]
    assert effects == [sorted(row, reverse=True) for row in effects]


@pytest.mark.parametrize(
    ("content", "field", "words"),
    [
        (b"", "file", "is empty"),
        (b"\n\n", "file", "is empty"),
        (b"PK\x03\x04\x14\x00", "file", "workbook"),
        ("age;job\n".encode("utf-16"), "marital", "no such column"),
        (b"a;b\n\x00\n", "file", "not a text file"),
        (b"hello\nworld\n", "file", "must name the columns"),
        (b'"age;job\n', "file", "line 1 never closes"),
        (b"age;job\n1;2\n", "marital", "no such column"),
        (b"age;job;Maritl Status;maritl\n1;2;3;4\n", "marital", "no such column; if 'maritl' is it, rename that"),
        (";".join(NAMES).encode(), "file", "no customers"),
        (";".join([*NAMES, "age"]).encode(), "age", "twice"),
        (";".join(NAMES).encode() + b"\n" + b";" * 18 + b"\n", "file", "no customers"),
        (";".join(NAMES).encode() + b"\n" + b";" * 18 + b"1\n", "file", "line 2: 18 columns are empty (age"),
    ],
)
def test_what_is_no_list_is_refused_in_plain_words(
    service: RankService, content: bytes, field: str, words: str
) -> None:
    response = service.rank(content)
    assert response.status_code == 422
    assert _problems(response)[0][0] == field
    assert words in _problems(response)[0][1]
    assert service.logged() == []


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"capacity": "-1"}, "capacity"), ({"capacity": "1.5"}, "capacity"), ({"capacity": "٣"}, "capacity"),
        ({"deposit_value": "0"}, "deposit_value"), ({"call_cost": "nan"}, "call_cost"),
        ({"call_cost": "much"}, "call_cost"), ({"reasons": "perhaps"}, "reasons"), ({"colour": "red"}, "colour"),
        ({"model": "../etc"}, "model"), ({"capacity": "1" * 2000}, "capacity"),
    ],
)  # fmt: skip
def test_a_wrong_wish_is_refused_by_name(
    service: RankService, customers: list[dict[str, Any]], fields: dict[str, str], field: str
) -> None:
    response = service.rank(_csv(customers[:2]), **fields)
    assert response.status_code == 422
    assert _problems(response)[0][0] == field


def test_too_many_rows_or_bytes_are_refused(service: RankService, customers: list[dict[str, Any]]) -> None:
    assert service.rank(_csv((customers * 2)[:3001])).status_code == 413
    assert service.rank(b"x" * (2**20 + 1)).status_code == 413
    assert service.logged() == []


def test_the_csv_alone_and_parameters_in_the_url_do_as_well(
    service: RankService, customers: list[dict[str, Any]]
) -> None:
    response = service.post(
        "/rank?capacity=1", content=_csv(customers[:5]).encode(), headers={"Content-Type": "text/csv"}
    )
    assert response.json()["called"] == 1


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("application/json", b"{}", 415),
        ("multipart/form-data", b"x", 400),
        ("multipart/form-data; boundary=b", b"nonsense", 400),
        ("multipart/form-data; boundary=b", b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\nage', 400),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="reasons"\r\n\r\n1\r\n--b--\r\n',
            422,
        ),
    ],
)
def test_a_broken_form_is_refused(service: RankService, content_type: str, body: bytes, status: int) -> None:
    response = service.post(content=body, headers={"Content-Type": content_type})
    assert response.status_code == status
    assert _problems(response)


def test_nothing_stays_on_the_disk(service: RankService, customers: list[dict[str, Any]]) -> None:
    service.rank(_csv(customers[:5]))
    service.rank(b"PK\x03\x04")
    assert list((service.settings.spool_path.parent / "uploads").iterdir()) == []


def test_a_replayed_list_keeps_its_time_and_a_dry_run_leaves_no_trace(
    service: RankService, customers: list[dict[str, Any]]
) -> None:
    service.rank(_csv(customers[:5]), headers={"X-Dry-Run": "true"}).raise_for_status()
    assert service.logged() == []
    service.rank(_csv(customers[:5]), headers={"X-Event-Time": "2010-05-03T00:00:00Z"}).raise_for_status()
    assert [block.event_time for block in service.logged()] == [1_272_844_800_000_000]


@pytest.mark.parametrize(("time", "stale"), [("2011-02-28T23:59:59Z", False), ("2011-03-01T00:00:00Z", True)])
def test_a_list_says_whether_the_model_is_too_old_for_its_time(
    service: RankService, customers: list[dict[str, Any]], time: str, stale: bool
) -> None:
    as_json = service.rank(_csv(customers[:5]), headers={"X-Event-Time": time})
    as_csv = service.rank(_csv(customers[:5]), headers={"X-Event-Time": time, "Accept": "text/csv"})
    assert json.loads(as_json.content)["stale"] is stale
    assert [each.headers["x-stale"] for each in (as_json, as_csv)] == [str(stale).lower()] * 2


def test_json_is_json_whatever_stands_in_an_id(service: RankService, customers: list[dict[str, Any]]) -> None:
    ids = ['quote " mark', "back\\slash", "tab\t", "<script>", "ü", ""]
    sent = [{"id": id_, **customer} for id_, customer in zip(ids, customers, strict=False)]
    answer = json.loads(service.rank(_csv(sent, quoting=csv.QUOTE_ALL)).content)
    assert {row["id"] for row in answer["ranked"]} == set(ids)
