"""Fit the model that comes with wattstorm.

    python -m generator.model.make_shipped DIRECTORY [OUT]

DIRECTORY holds `sgsc_households_30min.parquet` and `swiss_households_15min.parquet`
(wattstorm/sample/README.md says where the first comes from; the second is
`elcons_15min` of the R package ResidentialEnergyConsumption). Australian days are moved by half a
year, so that winters meet; Swiss ones by five years, weekdays kept.
"""

from __future__ import annotations

import sys
from pathlib import Path

from generator.model.fit import fit
from generator.model.homes import read_homes, together

SOURCE = (
    "53 Australian households (Smart Grid Smart City trial, Ausgrid, 2012-2014; days moved by"
    " +182) and 394 Swiss ones (R package ResidentialEnergyConsumption 1.1.0, University of"
    " Bamberg, autumn 2018; days moved by -1820)"
)
LICENCE = (
    "Australian open government data (data.gov.au; carried by Sayani07/gravitas, GPL-3) and"
    " CC BY-SA 4.0 (Swiss homes): this model is shared under CC BY-SA 4.0"
)


def main(arguments: list[str]) -> None:
    data = Path(arguments[0])
    out = Path(arguments[1]) if len(arguments) > 1 else Path(__file__).parent / "shipped"
    south = read_homes([data / "sgsc_households_30min.parquet"], "Australia/Sydney")
    north = read_homes([data / "swiss_households_15min.parquet"], "Europe/Zurich")
    homes = together([north, south], [-1820, 182])
    model = fit(
        homes, source=SOURCE, licence=LICENCE, say=lambda text: print(text, file=sys.stderr)
    )
    card = model.save(out)
    print(f"{out}: {card['bytes']:,} bytes, {card['homes']} homes", file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1:])
