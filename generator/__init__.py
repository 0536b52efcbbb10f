"""The Markov generator: synthetic homes that look and move like real ones.

    from generator import Generator, Model, fit, read_homes, shipped

    homes = read_homes([Path("homes.parquet")], "Europe/Paris")    # whole days
    model = fit(homes, licence="CC BY 4.0", source="homes.parquet")  # TrainingError says why not
    model.save(Path("model"))                                        # arrays.npz + card.json
    model = Model.load(Path("model"))                                # ArtefactError if damaged
    model = shipped()                                                # Australian and Swiss homes

    generator = Generator(model, seed=1, time_zone="Europe/Paris", engine="block", threads=2)
    wh = generator.curves(meters, days)        # uint16[meters, days, slots], clock slots (48)
    wh = generator.local_day(meters, day)      # uint16[meters, 46, 48 or 50]
    wh = generator.slot_wh(meters, slot)       # uint16[meters], one slot since the epoch
    who = generator.people(meters)             # archetype, partner, weight, scale of each meter

`meters` are whole numbers from 0 (dense indices of a register fit); a meter's curve depends on
(model, seed, engine, driver, meter, day) alone. What moves homes together is a `Driver`:
generated from its seed, or `from_temperatures(days, celsius)`, or given by day. `Layers` adds
off-peak water heaters and shifts, cars and solar panels: `Layers(off_peak=0.4, car=0.1)
.apply(wh, seed, meters, day_numbers)` → int32 net Wh.

Validation, which needs scikit-learn: `generator.judge.validate.twin(homes)`, `.new_homes(homes)` →
a report as a dict; `generator.judge.attack.outlier_attack(homes)` → 0.5 is chance;
`generator.judge.report.write(report, directory)` → JSON and HTML.

The rooms, each importing only what stands before it:
- `model/`: homes (reading) → habits, ranks, states, donors, chain (what is learnt) → fit,
  calibrate → artefact → tables, kernels, sampler (drawing), driver;
- `judge/`: metrics, classify, baselines, attack → validate → report;
- `town/`: layers, town, its register, its curves as files;
- `feed/`: faults, silences, deliveries → ledger (what must become of each) → publish, producers.
"""

from generator.model.artefact import Model, shipped
from generator.model.driver import Driver, from_temperatures
from generator.model.fit import fit
from generator.model.homes import Homes, read_homes
from generator.model.sampler import Generator
from generator.town.layers import Layer, Layers

__all__ = [
    "Driver",
    "Generator",
    "Homes",
    "Layer",
    "Layers",
    "Model",
    "fit",
    "from_temperatures",
    "read_homes",
    "shipped",
]
