"""DRAM and the second level as channels, by hand: 16 bits of DRAM and two words of 32 bits a cycle."""

from msgspec.structs import replace as change

from addersim.hardware.accelerator import Buffer
from addersim.hardware.dataflow.channels import channels, slowest
from addersim.hardware.load import load_accelerator
from addersim.hardware.traffic import ALL, Access

EDGE = load_accelerator("systolic-16x16")
SLOW = change(EDGE, clock_mhz=500, dram=change(EDGE.dram, bandwidth_gb_s=1))


def with_l2(banks):
    return change(SLOW, buffers=change(SLOW.buffers, l2=Buffer(capacity_kib=64, word_bits=32, banks=banks)))


def test_there_are_as_many_as_bound_anything():
    assert [[one.level for one in channels(on)] for on in (SLOW, with_l2(None), with_l2(2))] == [
        ["dram"],
        ["dram"],
        ["dram", "l2"],
    ]


def test_cycles_of_accesses_and_of_words():
    dram, l2 = channels(with_l2(2))
    accesses = (Access("buffer", "input", 99, 99, 8), Access("dram", "input", 8, 4, 8), Access("l2", "input", 12, 8, 8))
    assert (dram.cycles(accesses), l2.cycles(accesses)) == (12 * 8 / 16, (12 / 4 + 8 / 4) / 2)
    assert (dram.word_cycles(8), l2.word_cycles(8)) == (0.5, 0.125)
    assert slowest([dram.cycles(accesses), l2.cycles(accesses)]) == 6


def test_words_that_pass_the_first_time_and_again():
    """DRAM delivers words once where whole, each time where tile by tile, never where kept; the second level all."""
    dram, l2 = channels(with_l2(2))
    for most, first, again in ((10, 10, 0), (ALL, 10, 10), (0, 0, 0)):
        assert tuple(map(int, dram.passing(10, most))) == (first, again)
        assert tuple(map(int, l2.passing(10, most))) == (10 + first, 10 + again)
    assert dram.passing(10, None) == (10, 10)
