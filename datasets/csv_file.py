"""A CSV as spreadsheets write it: its heads and numbered rows, or what to do where it cannot be read."""

import csv
from pathlib import Path

Row = dict[str, str]


def read_csv(path: Path) -> tuple[list[str], list[tuple[int, Row]]]:
    """The heads as they stand, and every row by head with its number in a spreadsheet, blanks around cells left out.

    Raises ValueError for a file in another encoding and for cells beyond the heads, OSError where it cannot be opened.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, restval="")
            heads = [head.strip() for head in reader.fieldnames or ()]
            reader.fieldnames = heads
            return heads, [(number, _cells(number, row)) for number, row in enumerate(reader, start=2)]
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not in UTF-8: save it from the spreadsheet as CSV UTF-8") from None


def _cells(number: int, row: dict[str | None, str | list[str]]) -> Row:
    beyond = [cell for cell in row.pop(None, ()) if cell.strip()]
    if beyond:
        raise ValueError(
            f"row {number}: more cells than the header has columns, {beyond[0]!r} is beyond the last; put a text with "
            "a comma in quotes, and a point in a number"
        )
    return {str(head): str(cell).strip() for head, cell in row.items()}
