"""Energy of data movement: reads and writes of registers, array network, on-chip memories and DRAM, times unit energies."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from typing import get_args

from addersim.errors import PriceError
from addersim.hardware.accelerator import Accelerator, Buffer
from addersim.hardware.layer_cost import EnergyPart, UnitEnergy, UnitEnergyUsed
from addersim.hardware.prices.macros import access_energy, macros_of
from addersim.hardware.prices.missing import WHAT_TO_DO, LayersNeeding, naming_layers
from addersim.hardware.prices.scratchpads import tables_with_scratchpads
from addersim.hardware.prices.table import EnergyTable
from addersim.hardware.traffic import Access, Level, Stored

__all__ = ["MovementEnergy"]


class MovementEnergy:
    """Unit energies of all that moves on an accelerator: words of registers, network and memories, bits of DRAM.

    They are looked up when first asked for, so that what works under no table, such as a memory too small for one tile, is
    refused before. Where the table lacks one, the message names the layers that need it, if `needing` knows them.
    """

    def __init__(self, accelerator: Accelerator, table: EnergyTable, needing: LayersNeeding | None = None) -> None:
        self._accelerator, self._table, self._needing = accelerator, table, needing
        self._inside: dict[tuple[str, int], tuple[float, float]] = {}
        self._used_inside: list[UnitEnergyUsed] = []

    @property
    def used(self) -> list[UnitEnergyUsed]:
        """The unit energies of memories and DRAM, and those inside the array that were asked for."""
        return [*(used for both in self._memories.values() for used in both), self._dram, *self._used_inside]

    def parts(self, accesses: Iterable[Access]) -> list[EnergyPart]:
        """Energy of accesses."""
        return [EnergyPart(access.level, access.operand, self.energy_pj(access)) for access in accesses]

    def energy_pj(self, access: Access) -> float:
        """Energy of one access record, reads and writes together."""
        level, operand, reads, writes, bits, _ = access
        if level == "dram":
            return access.size_bits * self._dram.energy.energy_pj
        if level not in ("buffer", "l2"):
            read_pj, write_pj = self._inside_pj(level, bits)
            return reads * read_pj + writes * write_pj
        memory, read_pj, write_pj = self._word_pj["l2" if level == "l2" else operand]
        return memory.words(reads, bits) * read_pj + memory.words(writes, bits) * write_pj

    def per_operand(self, level: Level, operand: Stored, bits: int) -> tuple[float, float]:
        """Energy of reading and of writing one operand of a width, in pJ; operands share words of the memories."""
        if level == "dram":
            dram_pj = bits * self._dram.energy.energy_pj
            return dram_pj, dram_pj
        memory, read_pj, write_pj = self._word_pj["l2" if level == "l2" else operand]
        return memory.share(bits) * read_pj, memory.share(bits) * write_pj

    @cached_property
    def _memories(self) -> dict[str, tuple[UnitEnergyUsed, UnitEnergyUsed]]:
        """Unit energies of reading and of writing a word of each memory."""
        return {name: self._access(name, memory) for name, memory in self._accelerator.buffers.all_memories().items()}

    @cached_property
    def _word_pj(self) -> dict[str, tuple[Buffer, float, float]]:
        """Memory, and energies of a word, of each operand in the first level, and of the second."""
        buffers, found = self._accelerator.buffers, {}
        names = {operand: buffers.memory(operand) for operand in get_args(Stored)} | ({"l2": "l2"} if buffers.l2 else {})
        for what, name in names.items():
            read, write = self._memories[name]
            found[what] = buffers.all_memories()[name], read.energy.energy_pj, write.energy.energy_pj
        return found

    @cached_property
    def _dram(self) -> UnitEnergyUsed:
        dram = self._accelerator.dram
        if dram.energy_pj_per_bit is not None:
            energy = UnitEnergy(dram.energy_pj_per_bit, "given by the accelerator", dram.source or "")
        else:
            with self._naming(LayersNeeding.dram):
                energy = self._table.dram(dram.kind)
        return UnitEnergyUsed(f"DRAM {dram.kind}", "bit", energy)

    def _naming(
        self, names: Callable[[LayersNeeding], Sequence[str]], to_do: str = WHAT_TO_DO
    ) -> AbstractContextManager[None]:
        """Name the layers that need a unit energy, should the table lack it."""
        needing = self._needing
        return naming_layers(lambda: names(needing) if needing else (), to_do)

    def _inside_pj(self, level: Level, bits: int) -> tuple[float, float]:
        """Energy of a word read from and written to the registers, or moved by the network, of the array."""
        if (level, bits) not in self._inside:
            try:
                with self._naming(lambda needing: needing.word_in_array(bits), to_do=""):
                    energies = self._inside_energies(level, bits)
            except PriceError as error:
                known = ", ".join(tables_with_scratchpads(self._accelerator.array))
                raise PriceError(f"{error}; this array moves words there; tables with registers and hops: {known}") from None
            self._used_inside += [UnitEnergyUsed(what, f"word of {bits} bit", energy) for what, energy in energies.items()]
            read, write = (*energies.values(), *energies.values())[:2]
            self._inside[level, bits] = read.energy_pj, write.energy_pj
        return self._inside[level, bits]

    def _inside_energies(self, level: Level, bits: int) -> dict[str, UnitEnergy]:
        if level == "network":
            return {"array network, hop": self._table.network(bits)}
        return {f"registers, {op}": self._table.register(op, bits) for op in ("read", "write")}

    def _access(self, name: str, memory: Buffer) -> tuple[UnitEnergyUsed, UnitEnergyUsed]:
        if memory.read_pj_per_word is not None and memory.write_pj_per_word is not None:
            given = "given by the accelerator", memory.source or ""
            read, write = UnitEnergy(memory.read_pj_per_word, *given), UnitEnergy(memory.write_pj_per_word, *given)
        else:
            with self._naming(lambda needing: needing.memory(self._accelerator.buffers, name)):
                macros = macros_of(memory, self._table, self._accelerator.buffers.monolithic)
                read, write = (access_energy(memory, macros, self._table, op) for op in ("read", "write"))
        of, unit = f"{name} buffer of {memory.capacity_kib:g} KiB", f"access of {memory.word_bits} bit"
        return UnitEnergyUsed(f"{of}, read", unit, read), UnitEnergyUsed(f"{of}, write", unit, write)
