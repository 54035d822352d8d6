from deposit.data.readings import OTHERS, Reading, Readings, spellings


def test_cells_of_one_spelling_add_up_and_columns_stand_in_their_order() -> None:
    readings = Readings()
    readings.add([Reading("month", "May", "may", 2), Reading("job", "Retired", "retired", 1)])
    readings.add([Reading("month", "JUNE", "jun", 5), Reading("month", "May", "may", 1)])
    assert readings.listed() == (
        Reading("job", "Retired", "retired", 1),
        Reading("month", "JUNE", "jun", 5),
        Reading("month", "May", "may", 3),
    )


def test_of_many_spellings_the_first_ones_are_named_and_every_cell_is_counted() -> None:
    readings = Readings(most=2)
    readings.add(Reading("month", f"2010-05-0{day}", "may", 10) for day in range(1, 6))
    readings.add([Reading("month", "June", "jun", 3), Reading("month", "2010-05-02", "may", 1)])
    assert readings.listed() == (
        Reading("month", "2010-05-02", "may", 11),
        Reading("month", "2010-05-01", "may", 10),
        Reading("month", OTHERS, "may", 30),
        Reading("month", OTHERS, "jun", 3),
    )
    again = Readings(most=2)
    again.add(readings.listed())
    assert again.listed() == readings.listed()


def test_numbers_beyond_those_named_are_one_entry() -> None:
    readings = Readings(most=0)
    readings.add(Reading("nr.employed", f"5 {number},1", f"5{number}.1", 1) for number in range(100, 200))
    assert readings.listed() == (Reading("nr.employed", OTHERS, OTHERS, 100),)


def test_the_line_names_what_has_most_cells() -> None:
    some = [Reading("job", "Retired", "retired", 1), Reading("month", "May", "may", 12_000)]
    assert spellings(some) == "read by their spelling: month 'May' as may (12,000), job 'Retired' as retired (1)"
