/* See gates.h. A gate, or a source, waits for at most one event: a later evaluation that gives the value which it has already
   takes the waiting one back, so that pulses shorter than a gate's delay vanish in it. */

#include <stdlib.h>
#include <string.h>

#include "core.h"
#include "gates.h"

enum { NONE = -1 };

typedef struct {
    const Netlist *n;
    uint8_t *value;     /* of nets */
    uint8_t *state;     /* of flops */
    uint8_t *index;     /* of gates: the state of their pins */
    int32_t *head;      /* of slots: the first that waits */
    int32_t *next, *before, *slot; /* of gates, then sources */
    int32_t *least;     /* of gates: the least delay of their pins that changed just now, 0 of none */
    int32_t *touched;   /* gates that have one */
    int64_t touches;
    uint64_t *used;     /* slots that hold any, a bit each */
    int64_t *toggles;
    int64_t waiting;
} Run;

static int table_at(uint64_t table, unsigned state) { return (int)(table >> state & 1); }

static unsigned state_of(const int32_t *pins, const uint8_t *value) {
    unsigned state = 0;
    for (int k = 0; k < GATE_INPUTS; k++) state |= (unsigned)value[pins[k]] << k;
    return state;
}

static void wait_until(Run *r, int64_t what, int64_t time) {
    int32_t slot = (int32_t)(time & (r->n->slots - 1));
    r->slot[what] = slot;
    r->before[what] = NONE;
    r->next[what] = r->head[slot];
    if (r->head[slot] != NONE) r->before[r->head[slot]] = (int32_t)what;
    r->head[slot] = (int32_t)what;
    r->used[slot >> 6] |= UINT64_C(1) << (slot & 63);
    r->waiting++;
}

static void take_back(Run *r, int64_t what) {
    int32_t slot = r->slot[what], before = r->before[what], next = r->next[what];
    if (before != NONE) r->next[before] = next;
    else r->head[slot] = next;
    if (next != NONE) r->before[next] = before;
    if (r->head[slot] == NONE) r->used[slot >> 6] &= ~(UINT64_C(1) << (slot & 63));
    r->slot[what] = NONE;
    r->waiting--;
}

/* A net takes its other value: its gates will look at that. */
static void toggle(Run *r, int32_t net) {
    const Netlist *n = r->n;
    r->value[net] ^= 1;
    r->toggles[net]++;
    for (int32_t i = n->reader_start[net]; i < n->reader_start[net + 1]; i++) {
        int32_t gate = n->readers[i] / GATE_INPUTS, delay = n->gate_delay[n->readers[i]];
        r->index[gate] ^= (uint8_t)(1 << n->readers[i] % GATE_INPUTS);
        if (!r->least[gate]) r->touched[r->touches++] = gate;
        if (!r->least[gate] || delay < r->least[gate]) r->least[gate] = delay;
    }
}

/* All changes of one time have been made: gates that saw one decide once, so that no order among them counts. */
static void look(Run *r, int64_t now) {
    const Netlist *n = r->n;
    while (r->touches) {
        int32_t gate = r->touched[--r->touches];
        int changes = table_at(n->gate_table[gate], r->index[gate]) != r->value[n->gate_net[gate]];
        if (changes && r->slot[gate] == NONE) wait_until(r, gate, now + r->least[gate]);
        else if (!changes && r->slot[gate] != NONE) take_back(r, gate);
        r->least[gate] = 0;
    }
}

/* The first slot from a time on that holds any, within one turn of the wheel. */
static int64_t next_time(const Run *r, int64_t time) {
    int64_t slots = r->n->slots, end = time + slots;
    while (time < end) {
        int64_t slot = time & (slots - 1);
        uint64_t bits = r->used[slot >> 6] >> (slot & 63);
        if (bits) return time + zeros_below(bits);
        time += 64 - (slot & 63);
    }
    return end;
}

static int source_value(const Run *r, const uint8_t *inputs, int64_t source) {
    int32_t of = r->n->source_of[source];
    int held = of < r->n->inputs ? inputs[of] : r->state[of - r->n->inputs];
    return held ^ r->n->source_inverted[source];
}

static void settle_at_once(Run *r, const uint8_t *inputs) {
    const Netlist *n = r->n;
    r->value[1] = 1;
    for (int64_t s = 0; s < n->sources; s++) r->value[n->source_net[s]] = (uint8_t)source_value(r, inputs, s);
    for (int64_t g = 0; g < n->gates; g++) {
        r->index[g] = (uint8_t)state_of(n->gate_pins + GATE_INPUTS * g, r->value);
        r->value[n->gate_net[g]] = (uint8_t)table_at(n->gate_table[g], r->index[g]);
    }
}

/* One cycle of the clock: flops take what they see, inputs change, and gates follow. */
static int run_cycle(Run *r, const uint8_t *inputs) {
    const Netlist *n = r->n;
    int64_t steps = 0, most = 64 * n->slots + 1024 * (n->gates + 1);
    for (int64_t f = 0; f < n->flops; f++)
        r->state[f] = (uint8_t)(table_at(n->flop_table[f], state_of(n->flop_pins + GATE_INPUTS * f, r->value)));
    for (int64_t s = 0; s < n->sources; s++)
        if (source_value(r, inputs, s) != r->value[n->source_net[s]]) wait_until(r, n->gates + s, n->source_delay[s]);
    for (int64_t time = 0; r->waiting;) {
        time = next_time(r, time);
        int64_t slot = time & (n->slots - 1);
        while (r->head[slot] != NONE) {
            int32_t what = r->head[slot];
            take_back(r, what);
            toggle(r, what < n->gates ? n->gate_net[what] : n->source_net[what - n->gates]);
            if (++steps > most) return -2;
        }
        look(r, time++);
    }
    return 0;
}

static void record(const Run *r, int64_t count, const int32_t *probes, uint8_t *out) {
    for (int64_t i = 0; i < count; i++) out[i] = r->value[probes[i]];
}

int run_gates(const Netlist *n, int64_t cycles, const uint8_t *stimulus, int64_t probe_count, const int32_t *probes,
              uint8_t *probed, int64_t *toggles, int64_t *settled) {
    int64_t actors = n->gates + n->sources, words = (n->slots + 63) / 64;
    size_t bytes = (size_t)(2 * n->nets + n->flops + n->gates + 8);
    uint8_t *small = calloc(bytes, 1);
    size_t links_bytes = (size_t)(3 * actors + n->slots + 1) * sizeof(int32_t);
    int32_t *links = malloc(links_bytes), *least = calloc((size_t)(2 * n->gates + 1), sizeof *least);
    uint64_t *used = calloc((size_t)words + 1, sizeof *used);
    int status = small && links && least && used ? 0 : -1;
    if (!status) {
        uint8_t *last = small + n->nets;
        Run r = {.n = n, .value = small, .state = small + 2 * n->nets, .index = small + 2 * n->nets + n->flops,
                 .head = links, .next = links + n->slots, .before = links + n->slots + actors,
                 .slot = links + n->slots + 2 * actors, .least = least, .touched = least + n->gates, .used = used,
                 .toggles = toggles};
        memset(links, 0xff, links_bytes);
        settle_at_once(&r, stimulus);
        record(&r, probe_count, probes, probed);
        for (int64_t t = 1; t < cycles && !status; t++) {
            memcpy(last, r.value, (size_t)n->nets);
            status = run_cycle(&r, stimulus + t * n->inputs);
            for (int64_t net = 0; net < n->nets; net++) settled[net] += last[net] != r.value[net];
            record(&r, probe_count, probes, probed + t * probe_count);
        }
    }
    free(small);
    free(links);
    free(least);
    free(used);
    return status;
}
