import pandas as pd

from deposit.data.periods import PUBLIC_MONTHS, assign_months, look_up


def test_the_table_is_that_of_the_bundled_file(history: pd.DataFrame) -> None:
    figures = history[["period", "cons.price.idx", "cons.conf.idx"]].drop_duplicates()
    assert list(figures.itertuples(index=False, name=None)) == list(PUBLIC_MONTHS)


def test_no_two_months_have_the_same_figures() -> None:
    assert len({(price, confidence) for _, price, confidence in PUBLIC_MONTHS}) == len(PUBLIC_MONTHS) == 26


def test_every_row_of_the_file_is_dated(history: pd.DataFrame) -> None:
    assert assign_months(history).tolist() == history["period"].tolist()


def test_a_copy_with_the_last_bits_of_another_program_is_the_same_month() -> None:
    rows = pd.DataFrame(
        {"cons.price.idx": [93.99400000000001, 93.99400329589844], "cons.conf.idx": [-36.4, -36.400002]}
    )
    assert look_up(rows).tolist() == ["2008-05", "2008-05"]


def test_figures_of_two_months_and_another_month_s_name_are_none_of_it() -> None:
    rows = pd.DataFrame(
        {"cons.price.idx": [93.994, 93.994, 50.0], "cons.conf.idx": [-36.4, -41.8, 0.0], "month": ["jun", "may", "may"]}
    )
    assert look_up(rows).isna().tolist() == [False, True, True]
    assert assign_months(rows).isna().all()
