/* Event-driven simulation of gates with inertial delays: what each net toggles, glitches included. */
#ifndef ADDERSIM_GATES_H
#define ADDERSIM_GATES_H

#include <stdint.h>

enum { GATE_INPUTS = 6 };

/* Nets 0 and 1 hold those constants. Gates stand in an order in which each reads only what stands before it, nets of sources
   and constants apart; unused pins read net 0. Tables hold a bit a state of the pins. */
typedef struct {
    int64_t nets, gates, flops, sources, inputs;
    const uint64_t *gate_table, *flop_table; /* a flop's: of its next state */
    const int32_t *gate_pins, *flop_pins;    /* GATE_INPUTS a gate */
    const int32_t *gate_delay;               /* steps from each pin, GATE_INPUTS a gate, each 1 or more and below `slots` */
    const int32_t *gate_net;
    const int32_t *reader_start, *readers;   /* of each net: GATE_INPUTS x gate + pin */
    const int32_t *source_net, *source_delay;
    const int32_t *source_of;                /* an input, or inputs + a flop */
    const uint8_t *source_inverted;
    int64_t slots;                           /* a power of two, more than all delays */
} Netlist;

/* stimulus: cycles x inputs, what each holds from a clock edge on; the first is settled without counting. probes: nets whose
   settled values are wanted, cycles x probe_count. toggles, settled: of each net, all its changes, and those between the
   settled values of one cycle and the next. 0, or -1 without memory, or -2 where a cycle does not settle. */
int run_gates(const Netlist *n, int64_t cycles, const uint8_t *stimulus, int64_t probe_count, const int32_t *probes,
              uint8_t *probed, int64_t *toggles, int64_t *settled);

#endif
