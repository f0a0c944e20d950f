"""Which passages of one text occur in another? A suffix automaton tells it in one pass.

The automaton of a text has a path for each of its passages (Blumer et al., The smallest automaton
recognizing the subwords of a text, Theoretical Computer Science 40, 1985). Those that end at the same
places lead to one state: the longest of them and some of its suffixes. The next shorter suffix leads to
another state, that of its `link`.
"""

from typing import NamedTuple

import numpy as np

from nbrnn.network.simd.jit import jit
from nbrnn.typing import Array

LENGTH, LINK, REACHED = 0, 1, 2  # of a state
TARGET = 1  # of an edge
FREE = -1  # a slot without an edge
LOW = 2**31 - 1  # the bits of an edge that choose its slot
SCATTER = 1_327_217_885  # 2^31 over the golden ratio (Knuth, The Art of Computer Programming 3, 6.4)


class Automaton(NamedTuple):
    """The states of a suffix automaton, of which the start is 0, and the edges between them.

    The edges are a hash table with open addressing: one of states by characters would be too large for
    scripts with thousands of them.
    """

    count: Array  # (1,), of states
    states: Array  # (2M, 3): LENGTH, LINK and REACHED of each
    edges: Array  # (slots, 2): K times the state that an edge leaves, plus its character; and its TARGET
    shift: int  # leaves of 31 bits those that number the slots
    K: int  # characters

    @classmethod
    def empty(cls, M: int, K: int) -> "Automaton":
        """Return the automaton of no text, with room for one of M characters out of K."""
        bits = (6 * M + 6).bit_length()  # there are up to 3M edges
        return cls(
            count=np.ones(1, np.int64),
            states=np.array([[0, -1, 0]] * (2 * M + 2), np.int32),
            edges=np.full((1 << bits, 2), FREE, np.int64),
            shift=31 - bits,
            K=K,
        )


@jit
def copied_lengths(automaton, sample, text, lengths):
    """Fill lengths (M,): for each character of sample, how long a passage that ends with it is in text.

    automaton is an empty one; sample (M,) and text (N,) are codes below K.
    """
    last = 0
    for n in range(sample.size):
        last = add_character(automaton, last, sample[n])
    read(automaton, text)
    states, edges = automaton.states, automaton.edges
    state, length = 0, 0
    for n in range(sample.size):
        state = edges[slot_of(automaton, state, sample[n]), TARGET]
        length += 1
        while state > 0 and states[state, REACHED] == 0:
            state = states[state, LINK]
            length = states[state, LENGTH]
        length = min(length, states[state, REACHED])
        lengths[n] = length


@jit
def add_character(automaton, last, code):
    """Add a character to the automaton of a text; return the state of all of it, as last is."""
    states, edges = automaton.states, automaton.edges
    whole = add_state(automaton, states[last, LENGTH] + 1)
    place = last
    while place >= 0 and edges[slot_of(automaton, place, code), 0] == FREE:
        add_edge(automaton, place, code, whole)
        place = states[place, LINK]
    if place < 0:
        states[whole, LINK] = 0
        return whole
    old = edges[slot_of(automaton, place, code), TARGET]
    if states[old, LENGTH] == states[place, LENGTH] + 1:
        states[whole, LINK] = old
        return whole
    # some of the passages that lead to the old state now end at one place more than the others
    new = add_state(automaton, states[place, LENGTH] + 1)
    for k in range(automaton.K):
        slot = slot_of(automaton, old, k)
        if edges[slot, 0] != FREE:
            add_edge(automaton, new, k, edges[slot, TARGET])
    while place >= 0:
        slot = slot_of(automaton, place, code)
        if edges[slot, TARGET] != old:
            break
        edges[slot, TARGET] = new
        place = states[place, LINK]
    states[new, LINK] = states[old, LINK]
    states[old, LINK] = new
    states[whole, LINK] = new
    return whole


@jit
def add_state(automaton, length):
    """Return a new state."""
    state = automaton.count[0]
    automaton.count[0] += 1
    automaton.states[state, LENGTH] = length
    return state


@jit
def add_edge(automaton, state, code, target):
    """Let a character lead from one state to another."""
    slot = slot_of(automaton, state, code)
    automaton.edges[slot, 0] = state * automaton.K + code
    automaton.edges[slot, TARGET] = target


@jit
def slot_of(automaton, state, code):
    """Return where the edge of a state and a character is, or would be."""
    edges = automaton.edges
    edge = np.int64(state) * automaton.K + code
    slot = ((edge & LOW) * SCATTER & LOW) >> automaton.shift
    while edges[slot, 0] != edge and edges[slot, 0] != FREE:
        slot = (slot + 1) & (edges.shape[0] - 1)
    return slot


@jit
def read(automaton, text):
    """Note at each state the longest passage that leads to it and occurs in a text."""
    states, edges = automaton.states, automaton.edges
    state, length = 0, 0
    for n in range(text.size):
        slot = slot_of(automaton, state, text[n])
        while edges[slot, 0] == FREE and state > 0:
            state = states[state, LINK]
            length = states[state, LENGTH]
            slot = slot_of(automaton, state, text[n])
        if edges[slot, 0] != FREE:
            state = edges[slot, TARGET]
            length += 1
        states[state, REACHED] = max(states[state, REACHED], length)
    for state in range(automaton.count[0]):
        if states[state, REACHED] > 0:  # then all suffixes occur as well
            suffix = states[state, LINK]
            while suffix > 0 and states[suffix, REACHED] < states[suffix, LENGTH]:
                states[suffix, REACHED] = states[suffix, LENGTH]
                suffix = states[suffix, LINK]
