"""Energies beside those that were measured of chips."""

from collections import defaultdict
from pathlib import Path

import numpy as np
from networks import FILES, table_of

from addersim import count, estimate

HERE = Path(__file__).parent
MACHINES = {name: name for name in ("ethos-u55-256-like", "systolic-16x16", "edge-unified-32x32")}
MACHINES["microcontroller-like"] = str(HERE / "microcontroller-like.toml")
TABLES = ("horowitz-45nm", "qtools-45nm", "aladdin-cacti-45nm", "aladdin-cacti-28nm", "shiftaddnet-45nm")


def measurements(path):
    """uJ an inference by setting, a chip at a clock, and network."""
    found = defaultdict(dict)
    for row in table_of(path):
        found[f"{row['chip']}, {row['clock']}"][row["network"]] = float(row["energy_uj_per_inference"])
    return dict(found)


def left_out(measured, predictor, constants=None):
    """Relative error for each network, predicted with constants fitted on the others.

    ``E = a + b * predictor`` where four networks were measured, ``E = b * predictor`` where three were (or as `constants`
    says), fitted by least squares of the relative error, since the energies span a factor of 34.
    """
    if constants is None:
        constants = 1 if len(measured) == 3 else 2
    errors = {}
    for name, energy in measured.items():
        others = [one for one in measured if one != name]
        terms = np.array([[predictor[one], 1.0][:constants] for one in others])
        weighted = terms / np.array([[measured[one]] for one in others])
        fitted = np.linalg.lstsq(weighted, np.ones(len(others)), rcond=None)[0]
        errors[name] = float(np.array([predictor[name], 1.0][:constants]) @ fitted) / energy - 1
    return errors


def predictors(nets):
    """uJ an inference as we have them, by (machine, table, what counts), and multiplications."""
    found = {("MACs", "", ""): {name: count(program).taps / 1e6 for name, program in nets.items()}}
    for machine, file in MACHINES.items():
        for table in TABLES:
            costs = {name: estimate(count(program), file, table) for name, program in nets.items()}
            parts = {name: cost.energy_by_component() for name, cost in costs.items()}
            found[machine, table, "all"] = {name: cost.energy_pj / 1e6 for name, cost in costs.items()}
            # these chips hold weights in flash or SRAM of their own, no table prices flash: also without main memory
            found[machine, table, "on chip"] = {
                name: (cost.energy_pj - parts[name].get("dram", 0)) / 1e6 for name, cost in costs.items()
            }
    return found


def energy_rows(measured, found):
    """One row a setting, predictor and number of constants: the error of each network left out, and its absolute mean."""
    rows = []
    for setting, energies in measured.items():
        for (machine, table, counted), predictor in found.items():
            for constants in (1, 2) if len(energies) > 3 else (1,):
                errors = left_out(energies, predictor, constants)
                row = {"setting": setting, "machine": machine, "table": table, "counted": counted, "constants": constants}
                row |= {name: round(100 * errors[name], 1) if name in errors else "" for name in FILES}
                rows.append(row | {"mean_absolute": round(float(100 * np.mean(np.abs(list(errors.values())))), 1)})
    return rows


def summary(rows):
    """Absolute errors of all measurements, by predictor and constants: two where four networks were measured (`2`), or one."""
    found = defaultdict(list)
    for row in rows:
        errors = [abs(row[name]) for name in FILES if row[name] != ""]
        at_most = (1, 2) if "NDP9120" in row["setting"] else (row["constants"],)
        for constants in at_most:
            found[row["machine"], row["table"], row["counted"], constants].extend(errors)
    return [
        {"machine": key[0], "table": key[1], "counted": key[2], "constants": key[3], "measurements": len(errors)}
        | {"mean_absolute": round(float(np.mean(errors)), 1), "median": round(float(np.median(errors)), 1)}
        | {"largest": max(errors)}
        for key, errors in found.items()
    ]
