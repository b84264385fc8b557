"""Unit energies: tables of them, and the energy of operations and of moved words."""
