"""Pictures and tables of the study, from its results."""

from __future__ import annotations

import plotly.graph_objects as go
from figures import DEFAULTS, fill, reference
from pictures import draw
from plotly.subplots import make_subplots

from addersim.report.style import FONT, NETWORKS, RESOURCES
from addersim.storage import write_atomically

MARK = "\n<!-- text above: text.md with figures of results.csv; below: tables; both written by run.py -->\n"
SCOPES = {
    "paper": "paper's count",
    "to_array": "array",
    "to_vector": "+ vector unit",
    "to_scratchpads": "+ scratchpads",
    "to_buffers": "+ buffers",
    "to_leakage": "whole system",
}
"""Ever more of the system; the whole is DRAM and, where a table has it, leakage."""
PARTS = {"array": "array", "vector": "vector", "scratchpads": "register", "buffers": "buffer", "dram": "dram"}


def chosen(rows, **wanted):
    """Priced rows under the reference table, batch 1, equal elements and circuit 2a unless another is wanted."""
    wanted = {key: DEFAULTS[key] for key in ("batch", "equal", "case")} | wanted
    return [row for row in rows if reference(row) and not row["refused"] and all(row[key] == wanted[key] for key in wanted)]


def same_design(rows, row):
    """The rows under all tables that price this one's design."""
    keys = ("network", "bits", "accelerator", "batch", "equal", "case")
    return [one for one in rows if all(one[key] == row[key] for key in keys) and not one["refused"]]


def spread(values):
    return f"{min(values):.2f} to {max(values):.2f} ({len(values)})"


def savings(rows):
    """Savings by what is counted: a row a network, width and accelerator."""
    head = ["network", "bits", "accelerator", *SCOPES.values(), "whole, all tables (number)", "whole, batch 16"]
    found = []
    for row in chosen(rows):
        tables = [float(one["saving_to_leakage"]) for one in same_design(rows, row)]
        (large,) = chosen(rows, batch="16", **{key: row[key] for key in ("network", "bits", "accelerator")})
        numbers = [f"{float(row[f'saving_{scope}']):.2f}" for scope in SCOPES]
        found.append([row[key] for key in head[:3]] + numbers + [spread(tables), f"{float(large['saving_to_leakage']):.2f}"])
    return table(head, found)


def shares(rows):
    """Where the multiplying twin's energy is, at 8 bits."""
    head = ["network", "accelerator", "batch", "whole, uJ", *(f"{part}, %" for part in PARTS)]
    found = []
    for row in chosen(rows, bits="8") + chosen(rows, bits="8", batch="16"):
        whole = float(row["conv_uj"])
        parts = [f"{100 * float(row[f'conv_{part}_uj']) / whole:.1f}" for part in PARTS]
        found.append([row["network"], row["accelerator"], row["batch"], f"{whole:.4g}", *parts])
    return table(head, found)


def areas(rows):
    """Equal silicon: what the adder network's array becomes where its twin has the bundled one."""
    head = ["network", "bits", "accelerator", "array", "budget, mm2", "elements conv", "adder", "time saved", "energy saved"]
    found = []
    for row in [row for row in rows if row["equal"] == "area" and not row["refused"]]:
        time = float(row["conv_ms"]) / float(row["adder_ms"])
        array = "all elements alike" if row["case"] == DEFAULTS["case"] else row["case"]
        numbers = [array, row["area_budget_mm2"], row["conv_elements"], row["adder_elements"], f"{time:.2f}"]
        found.append([*(row[key] for key in head[:3]), *numbers, f"{float(row['saving_to_leakage']):.2f}"])
    return table(head, found)


def cases(rows):
    """Other circuits, and sums of one width in all layers of both networks, beside the sums that each layer needs."""
    head = ["network", "bits", "accelerator", "case", "array", "+ vector unit", "+ buffers", "whole system"]
    scopes = ("to_array", "to_vector", "to_buffers", "to_leakage")
    others = [row for row in rows if row["case"] != "2a"]
    designs = dict.fromkeys((row["network"], row["bits"], row["accelerator"]) for row in others)
    kinds = ("2a", *dict.fromkeys(row["case"] for row in others))
    found = [
        [*design, case, *(f"{float(row[f'saving_{scope}']):.2f}" for scope in scopes)]
        for design in designs
        for case in kinds
        for row in chosen(rows, case=case, **dict(zip(("network", "bits", "accelerator"), design, strict=True)))
    ]
    return table(head, found)


def ranges(rows):
    """Savings by energy table, ResNet-18 on the 16 x 16 array."""
    head = ["table", "bits", *SCOPES.values()]
    wanted = {"network": "resnet18", "accelerator": "systolic-16x16", "batch": "1", "equal": "elements", "case": "2a"}
    listed = [row for row in rows if all(row[key] == wanted[key] for key in wanted)]
    return table(
        head, [[row["table"], row["bits"], *(f"{float(row[f'saving_{scope}']):.2f}" for scope in SCOPES)] for row in listed]
    )


def refused(rows):
    """What no row has a number for, and why."""
    listed = dict.fromkeys(
        (row["accelerator"], row["table"], row["refused"].partition(" of ")[0]) for row in rows if row["refused"]
    )
    return "".join(f"- {accelerator}, {name}: {why}\n" for accelerator, name, why in listed)


def table(head, rows):
    lines = [head, ["---"] * 3 + ["---:"] * (len(head) - 3), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def show(rows, folder):
    """Draw the pictures and write README.md."""
    draw(scopes_figure(rows), folder / "scopes.png")
    draw(parts_figure(rows), folder / "parts.png")
    with write_atomically(folder / "README.md", "w") as file:
        file.write(page(rows, (folder / "text.md").read_text("utf-8")))


def page(rows, template):
    """README.md: the text with its figures, and below the mark the tables."""
    sections = {
        "Savings, equal processing elements, batch 1": savings,
        "Where the multiplying network's energy is, 8 bits": shares,
        "Equal area": areas,
        "Other circuits, and sums of one width": cases,
        "By energy table, ResNet-18 on systolic-16x16": ranges,
        "Not priced": refused,
    }
    return fill(template, rows) + MARK + "".join(f"\n## {title}\n\n{make(rows)}" for title, make in sections.items())


def scopes_figure(rows):
    """The saving as ever more of the system is counted: a panel an accelerator, a line a network, at 8 bits."""
    accelerators = list(dict.fromkeys(row["accelerator"] for row in rows))
    figure = make_subplots(1, len(accelerators), shared_yaxes=True, subplot_titles=accelerators, horizontal_spacing=0.015)
    for row in chosen(rows, bits="8"):
        place = accelerators.index(row["accelerator"])
        networks = list(dict.fromkeys(one["network"] for one in rows))
        line = {"color": NETWORKS["l1"][networks.index(row["network"])], "width": 2}
        values = [float(row[f"saving_{scope}"]) for scope in SCOPES]
        trace = go.Scatter(x=list(SCOPES.values()), y=values, name=row["network"], line=line, showlegend=place == 0)
        figure.add_trace(trace, 1, place + 1)
    figure.update_yaxes(rangemode="tozero").update_yaxes(title="conv / adder energy", col=1)
    return finished(figure, 420)


def parts_figure(rows):
    """Energy of ResNet-18 and LeNet-5 by part, the multiplying one's being 100 %: a bar a network, accelerator and batch."""
    figure = make_subplots(1, 2, subplot_titles=("ResNet-18, 8 bits", "LeNet-5, 8 bits"), shared_yaxes=True)
    for column, network in enumerate(("resnet18", "lenet5"), 1):
        listed = chosen(rows, bits="8", network=network) + chosen(rows, bits="8", network=network, batch="16")
        listed.sort(key=lambda row: row["accelerator"])
        names = [
            [f"{row['accelerator']}, batch {row['batch']}" for row in listed for _ in range(2)],
            ["adder", "conv"] * len(listed),
        ]
        for part, resource in PARTS.items():
            shares = [100 * float(row[f"{one}_{part}_uj"]) / float(row["conv_uj"]) for row in listed for one in names[1][:2]]
            bar = go.Bar(x=shares, y=names, name=part, orientation="h", marker={"color": RESOURCES[resource]})
            figure.add_trace(bar.update(showlegend=column == 1), 1, column)
    figure.update_layout(barmode="stack").update_xaxes(title="% of the conv network's energy").update_yaxes(
        autorange="reversed"
    )
    return finished(figure, 620)


def finished(figure, height):
    figure.update_layout(
        template="plotly_white", font={"family": FONT, "size": 11}, margin={"l": 50, "r": 10, "t": 30, "b": 40}
    )
    return figure.update_layout(legend={"orientation": "h", "y": -0.3 if height < 500 else -0.1}, width=1000, height=height)
