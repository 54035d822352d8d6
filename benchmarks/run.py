"""`make bench`: compares the service with what most people would write, on this machine."""

import tempfile
from argparse import ArgumentParser
from pathlib import Path

from benchmarks import load
from benchmarks.contestants import GATEWAY, SERVICE, Peer, peers
from benchmarks.machine import describe
from benchmarks.materials import Materials
from benchmarks.measurement import Bench, Round, WrongAnswerError
from benchmarks.postgres import database
from benchmarks.processes import Cores
from benchmarks.ranking import Ranked, rank
from benchmarks.report import Report
from benchmarks.stack import Stack, stack
from deposit import console
from deposit.errors import DepositError
from deposit.settings import REPOSITORY

POSTGRES_PORT, FIRST_PORT = 18_890, 18_891
STACK_PORTS = range(18_900, 18_917)
RANKED_ROWS = 1_000_000


def main() -> None:
    """Run the benchmark, print the tables and write the report."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=5, help="duration of each load on each peer in each round")
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).parent, help="output folder of RESULTS.md and results.json"
    )
    options = parser.parse_args()
    load.require()
    state = REPOSITORY / ".deposit"
    state.mkdir(exist_ok=True)
    try:
        # on the same disk as the stack's state, because the default temporary folder may be in memory
        with tempfile.TemporaryDirectory(prefix="bench-", dir=state) as folder:
            report = measure(Path(folder), options.rounds, options.seconds)
    except (DepositError, WrongAnswerError) as error:
        raise SystemExit(f"error: {error}") from error
    for table in report.tables():
        console.table(table.title, table.columns, table.rows)
        console.out.print()
    report.write(options.out)


def measure(folder: Path, rounds: int, seconds: int) -> Report:
    """Measure all rounds, then the ranked lists, alternately without and with the gateway."""
    cores = Cores.split()
    with console.progress() as progress:
        progress("training the models, building the Bento")
        materials = Materials.make(folder)
        with database(folder, POSTGRES_PORT, cores.others) as server:
            machine = describe(folder, server.version())
            progress("starting the stack with the gateway")
            with stack(folder, STACK_PORTS) as around:
                ports = range(FIRST_PORT, FIRST_PORT + 4)
                bench = Bench(materials, server.process, cores, ports, seconds, progress)
                contestants = peers(materials, server)
                measured: list[Round] = []
                ranked: dict[str, list[Ranked]] = {SERVICE: [], GATEWAY: []}
                for number in range(1, rounds + 1):
                    progress("rounds", number, rounds)
                    measured.append(bench.round(contestants, around))
                for number in range(1, rounds + 1):
                    for letter, through in ((SERVICE, None), (GATEWAY, around)):
                        progress(f"({letter}) ranking {RANKED_ROWS:,} rows", number, rounds)
                        ranked[letter].append(_ranked(bench, contestants[2], through))
    return Report(contestants, measured, ranked, machine, cores, seconds)


def _ranked(bench: Bench, service: Peer, through: Stack | None) -> Ranked:
    table = bench.materials.table(RANKED_ROWS)
    with bench.started(service, bench.ports[0]) as one:
        assert service.key is not None  # noqa: S101 - the service has a key
        if through is not None:
            through.route_to(one.port)
        port = one.port if through is None else through.port
        return rank(port, service.key, table, RANKED_ROWS, one.process)


if __name__ == "__main__":
    main()
