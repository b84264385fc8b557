"""addersim compare: what it prints and writes, and how it refuses."""

import re

import pytest

from addersim.errors import AddersimError
from tests.command_line import refused
from tests.unit.cli.test_cli import document, run

MALFORMED = "design '{}': expected NETWORK[@ACCELERATOR[@TABLE]], such as lenet5-adder@systolic-32x32"


def test_a_table_ratios_and_causes():
    status, output, _ = run("compare", "lenet5-adder", "lenet5-conv")
    assert status == 0
    lines = output.splitlines()
    rows = {line.split("  ")[0].strip(): line for line in lines[1:] if "  " in line}
    found = document("compare", "lenet5-adder", "lenet5-conv")
    (against,) = found["against_first"]
    assert f", {against['energy_ratio']:.3g} x" in rows["energy"]
    assert f", {against['area_ratio']:.3g} x" in rows["area"]
    assert "256" in rows["processing elements"]
    assert against["headline"].replace("\N{NO-BREAK SPACE}", " ") in " ".join(output.split())
    assert any(line.startswith("  due to: array mul +") for line in lines)
    alone = document("estimate", "lenet5-conv")
    assert alone.items() >= found["results"][1]["cost"].items()


def test_designs_are_combined_and_named_after_what_differs():
    def names(*arguments):
        return [one["name"] for one in document("compare", *arguments)["results"]]

    small, large = "systolic-16x16", "systolic-32x32"
    assert names("lenet5-adder") == ["lenet5-adder"]
    assert names("lenet5-adder", f"lenet5-adder@{large}") == [f"lenet5-adder, {small}", f"lenet5-adder, {large}"]
    assert names("lenet5-adder@systolic-32x32@qtools-45nm", "lenet5-conv", "--accelerator", large) == [
        "lenet5-adder, qtools-45nm",
        "lenet5-conv, horowitz-45nm",
    ]
    assert names("lenet5-adder", "lenet5-conv", "--bits", 8, "--bits", 4) == [
        *("lenet5-adder, 8 bit", "lenet5-adder, 4 bit", "lenet5-conv, 8 bit", "lenet5-conv, 4 bit")
    ]


def test_designs_of_equal_silicon_and_equal_elements():
    found = document("compare", "lenet5-adder", "lenet5-conv", "--area-budget", 1)
    areas = [one["area"] for one in found["results"]]
    assert all(0.9e6 < area["area_um2"]["total"] <= 1e6 for area in areas)
    assert areas[0]["elements"] > areas[1]["elements"]
    assert "accelerator" in found["against_first"][0]["differs_in"]
    same = document("compare", "lenet5-adder", "lenet5-conv", "--pes", 64)
    assert [one["area"]["elements"] for one in same["results"]] == [64, 64]


def test_the_page_is_written_where_asked(tmp_path):
    status, output, _ = run("compare", "lenet5-adder", "lenet5-conv", "--output", tmp_path / "page")
    assert status == 0
    assert output.splitlines()[-1] == f"report: {tmp_path / 'page' / 'index.html'}"
    text = (tmp_path / "page" / "index.html").read_text(encoding="utf-8")
    assert "<h1>lenet5-adder against lenet5-conv</h1>" in text
    assert (tmp_path / "page" / "designs.csv").exists()


def test_cells_and_facts_of_designs_of_several_parts_stay_short(tmp_path):
    designs = ("lenet5-adder", "lenet5-adder@systolic-32x32@qtools-45nm", "lenet5-conv")
    assert run("compare", *designs, "--output", tmp_path / "page")[0] == 0
    text = (tmp_path / "page" / "index.html").read_text(encoding="utf-8")
    assert "\N{MULTIPLICATION SIGN} the first</small>" in text
    assert "<small>as the first</small>" in text  # the twin takes as many cycles
    first, second = "lenet5-adder on systolic-16x16, horowitz-45nm", "lenet5-adder on systolic-32x32, qtools-45nm"
    assert f"{first}; {second}; lenet5-conv on systolic-16x16, horowitz-45nm" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("lenet5-adder@",),
            MALFORMED.format("lenet5-adder@"),
        ),
        (("a@b@c@d",), MALFORMED.format("a@b@c@d")),
        (
            ("lenet5-adder", "lenet5-adder"),
            "design lenet5-adder@systolic-16x16@horowitz-45nm at 8 bits: given twice; give each once",
        ),
        (("lenet5-adder@tpu",), "accelerator 'tpu': neither a bundled name"),
        (("lenet5-adder@systolic-16x16@mine",), "energy table 'mine': neither a bundled name"),
        (("lenet5-adder@systolic-16x16@all",), "--table: found all; a comparison takes tables by their names, several with"),
    ],
)
def test_bad_designs_are_refused(arguments, message, tmp_path):
    with pytest.raises(AddersimError, match=f"^{re.escape(message)}"):
        run("compare", *arguments, "--output", tmp_path / "page")
    assert not (tmp_path / "page").exists()


def test_a_refusal_is_one_line():
    assert refused("compare", "lenet5-adder@") == MALFORMED.format("lenet5-adder@")
    told = refused("compare", "lenet5-adder", "--bits", "99")
    assert told.startswith("compare: --bits: found 99; needs a whole number in 2..16")


def test_of_an_option_given_twice_the_value_that_is_refused_is_told():
    assert "--bits: found 99; needs a whole number in 2..16" in refused(
        "compare", "lenet5-adder", "--bits", "8", "--bits", "99"
    )
    assert "--bits: found 1; needs" in refused("compare", "lenet5-adder", "--bits=1", "--bits", "99")
