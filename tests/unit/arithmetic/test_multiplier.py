"""Multipliers as tables: their products by codes, their errors, and the files that hold them."""

import numpy as np
import pytest

from addersim import FixedFormat, MultiplierTable, load_multiplier
from addersim.arithmetic.multiplier import exact_products
from addersim.errors import ConfigError
from tests.unit.multipliers import arbitrary, multiplier


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize(
    ("x", "w"),
    [
        (FixedFormat(8), FixedFormat(8)),
        (FixedFormat(7, signed=False), FixedFormat(5)),
        (FixedFormat(3), FixedFormat(7, signed=False)),
    ],
)
def test_exact_tables_multiply_codes_of_any_format_that_they_take(signed, x, w):
    products = multiplier(signed=signed).by_bytes(x, w)
    for one in (x.minimum, -1, 0, 1, x.maximum):
        for other in (w.minimum, 0, 3, w.maximum):
            if x.minimum <= one and w.minimum <= other:
                assert products[one & 255, other & 255] == one * other
    ends = [one * other for one in (x.minimum, x.maximum) for other in (w.minimum, w.maximum)]
    assert multiplier(signed=signed).ends(x, w) == (min(0, *ends), max(0, *ends))


def test_an_unsigned_multiplier_takes_magnitudes_and_zero_is_positive():
    table = arbitrary(1)
    products = table.by_bytes(FixedFormat(8), FixedFormat(8))
    for x, w, sign in ((-3, 5, -1), (-3, -5, 1), (0, -5, -1), (-128, 0, -1), (-128, -128, 1), (7, 0, 1)):
        assert products[x & 255, w & 255] == sign * table.products[abs(x), abs(w)]


def test_rows_are_inputs_and_columns_weights():
    table = arbitrary(2, signed=True)
    assert table.by_bytes(FixedFormat(8), FixedFormat(8))[-3 & 255, 5] == table.products[125, 133]


@pytest.mark.parametrize(
    ("signed", "form", "told"),
    [
        (True, FixedFormat(8, signed=False), "codes 0..255; multiplier truncated takes -128..127: give 7 bits or fewer"),
        (True, FixedFormat(9), "codes -256..255; multiplier truncated takes -128..127: give 8 bits or fewer"),
        (False, FixedFormat(10), "codes -512..511; multiplier truncated takes 0..255 and applies signs outside: give 8 bits"),
        (False, FixedFormat(9, signed=False), "codes 0..511; multiplier truncated takes 0..255 and"),
    ],
)
def test_wider_operands_are_refused(signed, form, told):
    assert multiplier(signed=signed).refuses(form).startswith(told)


@pytest.mark.parametrize("form", [FixedFormat(8), FixedFormat(2), FixedFormat(8, signed=False)])
def test_magnitudes_of_eight_bits_enter_an_unsigned_multiplier(form):
    assert multiplier().refuses(form) is None


def test_errors_by_their_formulas():
    """The four lowest columns of the array hold 1 + 2 x 2 + 3 x 4 + 4 x 8 at most; a bit of a product is set in a quarter."""
    found = multiplier(4).errors()
    assert (found.worst_case_error, found.mean_absolute_error, found.mean_error) == (49, 49 / 4, -49 / 4)
    assert found.error_probability == 13 / 16
    table = arbitrary(3, largest=70_000)
    exact = np.outer(range(256), range(256)).tolist()
    errors = [table.products[a, b] - exact[a][b] for a in range(256) for b in range(256)]
    relative = [abs(table.products[a, b] - exact[a][b]) / exact[a][b] for a in range(1, 256) for b in range(1, 256)]
    found = table.errors()
    assert found.mean_error == pytest.approx(sum(errors) / 65536)
    assert found.mean_squared_error == pytest.approx(sum(int(one) ** 2 for one in errors) / 65536)
    assert found.mean_relative_error == pytest.approx(sum(relative) / 255**2)
    assert multiplier(0, signed=True).errors().error_probability == 0


def as_bytes(products):
    return np.roll(products, (128, 128), axis=(0, 1))


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("ending", ["npy", "flat.npy", "npz", "named.npz", "csv", "lines.csv", "e.txt", "i2.bin", "i4.raw"])
def test_every_form_of_a_file_gives_the_table(tmp_path, ending, signed):
    table, path = multiplier(5, signed), tmp_path / f"mul.{ending}"
    products = table.products
    short = as_bytes(products).astype("<i2") if signed else products.astype("<u2")
    {
        "npy": lambda: np.save(path, products),
        "flat.npy": lambda: np.save(path, products.astype(np.float64).reshape(-1)),
        "npz": lambda: np.savez(path, products),
        "named.npz": lambda: np.savez_compressed(path, products=as_bytes(products) if signed else products, other=[1]),
        "csv": lambda: np.savetxt(path, products, fmt="%d", delimiter=","),
        "lines.csv": lambda: path.write_text("# mine\n" + ";\n".join(map(str, products.reshape(-1).tolist())) + ";\n\n"),
        "e.txt": lambda: np.savetxt(path, products),
        "i2.bin": lambda: path.write_bytes(short.tobytes()),
        "i4.raw": lambda: path.write_bytes(products.astype("<i4").tobytes()),
    }[ending]()
    found = load_multiplier(path)
    assert found.signed == signed
    assert found.name == path.stem
    np.testing.assert_array_equal(found.products, products)


def test_operands_that_are_said_are_taken(tmp_path):
    np.save(tmp_path / "zero.npy", np.zeros((256, 256), np.int16))
    np.save(tmp_path / "any.npy", np.arange(65536).reshape(256, 256))
    assert load_multiplier(tmp_path / "zero.npy", "signed").signed
    assert not load_multiplier(tmp_path / "zero.npy", "unsigned").signed
    assert load_multiplier(tmp_path / "any.npy", "signed-bytes").products[0, 0] == 128 * 256 + 128
    (tmp_path / "said.toml").write_text('products = "any.npy"\noperands = "signed"\n')
    assert load_multiplier(tmp_path / "said.toml").products[0, 0] == 0


def test_a_toml_file_names_and_prices_a_table(tmp_path):
    (tmp_path / "tables").mkdir()
    np.save(tmp_path / "tables" / "t.npy", multiplier(3).products)
    path = tmp_path / "mine.toml"
    path.write_text('products = "tables/t.npy"\nrelative_energy = 0.7\nrelative_area = 0.8\nsource = "a book"\n')
    found = load_multiplier(path)
    assert (found.name, found.price.relative_energy, found.price.relative_area, found.price.source) == (
        "mine",
        0.7,
        0.8,
        "a book",
    )


GAP = multiplier().products.astype(float)
GAP[3, 7] = np.nan
LARGE = multiplier().products.astype(np.int64)
LARGE[255, 255] = 2**31


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.npy", np.zeros((256, 255)), r"65,280 numbers of shape \(256, 255\); a multiplier's table has 256 x 256"),
        ("a.npy", np.zeros((128, 512)), r"65,536 numbers of shape \(128, 512\); a multiplier's table has 256 x 256"),
        ("a.npy", GAP, "row 3, column 7: found nan, needs a whole number"),
        ("a.npy", np.full((256, 256), 0.5), "row 0, column 0: found 0.5, needs a whole number"),
        ("a.npy", LARGE, "row 255, column 255: found 2147483648, needs a whole number that 32 bits hold"),
        ("a.npy", np.full((256, 256), np.inf), "row 0, column 0: found inf"),
        ("a.npy", np.full((256, 256), "1"), "<U1 is no type of numbers"),
        (
            "a.npy",
            np.zeros((256, 256)),
            "at best 100 % away from the exact products, so its order cannot be told",
        ),
        ("a.csv", b"1,2\n3,,4\n", "line 2: found '', needs a number"),
        ("a.csv", b"1,2\n3,nan\n", "line 2: found 'nan', needs a number"),
        ("a.csv", b"1 2\n" * 32767, r"65,534 numbers of shape \(65534,\)"),
        ("a.csv", b"1 2\n" * 32769, "line 32769: more than 65,536 numbers"),
        ("a.txt", b"\xff\xfe", "not UTF-8 text: byte 0 is 0xff"),
        ("a.bin", b"\0" * 131_071, "131,071 bytes; a table of 256 x 256 numbers of 16 or 32 bits has 131,072 or 262,144"),
        ("a.bin", b"\0" * 262_145, "larger than 262,144 bytes"),
        ("a.toml", b'products = "b.toml"', "products: 'b.toml' is a TOML file; name the table itself"),
        ("a.toml", b'products = "missing.npy"', "missing.npy: cannot be read: No such file"),
        ("a.toml", b"relative_energy = 1", "products"),
        ("a.toml", b'products = "a.bin"\nenergy = 1', "unknown key energy; known: products, operands"),
        (
            "a.toml",
            b'products = "a.bin"\nrelative_energy = -1.0',
            "a: relative_energy: found -1.0, needs a number of 0",
        ),
        ("a.toml", b'products = "a.bin"\nenergy_pj = 1.0', "energy_pj and area_um2 need node_nm"),
        (
            "a.toml",
            b'products = "a.bin"\nenergy_pj = 1.0\nnode_nm = 45\nrelative_energy = 0.5',
            "both relative_energy and",
        ),
        ("a.toml", b'products = "a.bin"\noperands = "both"', "operands"),
        ("a.npz", {"a": np.zeros(3), "b": np.zeros(4)}, "holds arrays a, b; needs one, or one called products"),
        ("a.npz", {"a": np.array([None])}, "Python objects"),
    ],
)
def test_what_is_no_table_is_refused_in_one_line(tmp_path, name, content, message):
    path = tmp_path / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif isinstance(content, dict):
        np.savez(path, **content)
    else:
        np.save(path, content)
    with pytest.raises(ConfigError, match=message) as caught:
        load_multiplier(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("products", "message"),
    [
        (np.zeros((255, 256), int), r"products of shape \(255, 256\); a table of two bytes has \(256, 256\)"),
        (GAP, "row 3, column 7: found nan"),
        (np.full((256, 256), -(2**31)), "row 0, column 0: found -2147483648"),
        (np.full((256, 256), -(2**63)), "row 0, column 0: found -9223372036854775808"),
        (np.full((256, 256), 2**64 - 1), "row 0, column 0: found 18446744073709551615"),
    ],
)
def test_arrays_that_are_no_table_are_refused(products, message):
    with pytest.raises(ConfigError, match=message):
        MultiplierTable.of(products, signed=False)


def test_wrong_operands_are_refused(tmp_path):
    np.save(tmp_path / "a.npy", exact_products(signed=False))
    with pytest.raises(ConfigError, match="operands: found 'both', needs one of unsigned, signed, signed-bytes"):
        load_multiplier(tmp_path / "a.npy", "both")
