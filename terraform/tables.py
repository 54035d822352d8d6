"""Writes the tables of inputs and outputs into the README of every module and state; `--check` only compares.

Run it as `python terraform/tables.py`. It reads what `terraform fmt` has put into form, so that a block ends with a
brace at the beginning of a line and an argument with its line, or with its bracket.
"""

import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
BEGIN, END = "<!-- tables -->\n", "<!-- end of tables -->\n"
BLOCK = re.compile(r'^(variable|output) "(\w+)" \{\n(.*?)^\}', re.DOTALL | re.MULTILINE)
ARGUMENT = re.compile(r"^  (\w+) += (.*(?:\n(?!  \w+ +=|  validation|\n  \w).*)*)", re.MULTILINE)


def arguments(body: str) -> dict[str, str]:
    """The arguments of a block, each as it is written."""
    plain = body.partition("\n  validation {")[0]
    return {name: " ".join(value.split()) for name, value in ARGUMENT.findall(plain)}


def unquoted(text: str) -> str:
    """A string of Terraform's as a cell of a table."""
    return text.removeprefix('"').removesuffix('"').replace('\\"', '"').replace("|", "\\|")


def code(text: str) -> str:
    """A value or a type as a cell of a table."""
    return f"`{text.replace('|', chr(92) + '|')}`"


def tables(folder: Path) -> str:
    """The tables of a folder with Terraform files; one without variables or outputs has none."""
    text = "\n".join(path.read_text() for path in sorted(folder.glob("*.tf")))
    blocks = [(kind, name, arguments(body)) for kind, name, body in BLOCK.findall(text)]
    inputs = [
        f"| `{name}` | {unquoted(given['description'])} | {code(given['type'])} | "
        f"{code(given['default']) if 'default' in given else 'required'} |\n"
        for kind, name, given in blocks
        if kind == "variable"
    ]
    outputs = [f"| `{name}` | {unquoted(given['description'])} |\n" for kind, name, given in blocks if kind == "output"]
    return (
        "### Inputs\n| name | meaning | type | default |\n|---|---|---|---|\n"
        + "".join(inputs)
        + "\n### Outputs\n| name | meaning |\n|---|---|\n"
        + "".join(outputs)
    )


def current(readme: Path) -> str:
    """A README with the tables as they are now."""
    before, _, rest = readme.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    return before + BEGIN + tables(readme.parent) + END + after


def main() -> int:
    """Write all tables, or name those that are out of date."""
    readmes = [path for path in sorted(HERE.rglob("README.md")) if BEGIN in path.read_text()]
    stale = [path for path in readmes if path.read_text() != current(path)]
    for path in stale:
        if "--check" in sys.argv[1:]:
            sys.stderr.write(f"{path.relative_to(HERE.parent)} is out of date: run python terraform/tables.py\n")
        else:
            path.write_text(current(path))
    return int("--check" in sys.argv[1:] and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
