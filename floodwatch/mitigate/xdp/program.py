"""The XDP program: drop what comes from blocked sources, before the kernel makes a packet of it.

Looks at the source address of IPv4 and IPv6 behind up to two VLAN tags; everything else passes, and so does
what must never be blocked, which is looked up first. A block whose time is up lets pass, even if nobody is
left to remove it. A sample of what would be dropped passes on to the taps, and to the table behind them that
blocks the same sources: up to ``SAMPLE_MOST`` packets at once and some 7,600 a second on each CPU, so that a
sensor sees small floods whole and large ones in part.

Helpers: 1 is bpf_map_lookup_elem, 160 bpf_ktime_get_coarse_ns (Linux 5.11), the clock of CLOCK_MONOTONIC.
"""

from __future__ import annotations

from collections.abc import Mapping

from .assembler import (
    R0,
    R1,
    R2,
    R3,
    R4,
    R6,
    R7,
    R8,
    R9,
    R10,
    Label,
    Line,
    add,
    add_atomically,
    add_register,
    assemble,
    call,
    copy,
    jump,
    jump_if,
    leave,
    load,
    load_map,
    network_order,
    put,
    shift_right,
    store,
    store_value,
    subtract,
)

NAME = "floodwatch"
DROP, PASS = 1, 2
LOOKUP, NOW = 1, 160
TAG, OUTER_TAG, IPV4, IPV6 = (network_order(kind) for kind in (0x8100, 0x88A8, 0x0800, 0x86DD))
UNTIL, PACKETS = 0, 8
"""Of a block, eight bytes each: when it ends, in ns of CLOCK_MONOTONIC; the packets that it dropped."""
REFILLED, LEFT, HOSTS, NETWORKS, SAMPLED, SPARED = range(0, 48, 8)
"""Of a CPU: when its sample was last refilled, what is left of it; packets that were dropped because of a
host, of a wider network; that passed as a sample; that passed because of the never-block list."""
SAMPLE_SHIFT, SAMPLE_MOST = 17, 128
"""One packet each 2^17 ns passes as a sample, and as many at once as came together."""
VALUE_BYTES, CPU_BYTES = 16, 48


def program(maps: Mapping[str, int]) -> bytes:
    """The program's code for these maps, by name: never4, never6, block4, block6, wide4, wide6, tally."""
    return assemble([*_to_address(), *_version4(maps), *_version6(maps), *_end(maps)])


def _find(maps: Mapping[str, int], name: str, key_at: int) -> list[Line]:
    return [
        load_map(R1, maps[name]),  # in this map
        copy(R2, R10),  # the key lies on the stack ...
        add(R2, key_at),  # ... here
        call(LOOKUP),  # R0: the value, or nothing
    ]


def _to_address() -> list[Line]:
    return [
        load(4, R6, R1, 0),  # R6: where the frame begins, and later its network header
        load(4, R7, R1, 4),  # R7: where it ends
        copy(R3, R6),  # is there room ...
        add(R3, 14),  # ... for an Ethernet header?
        jump_if(R3, ">", "pass", register=R7),  # a stub of a frame is none of our business
        load(2, R4, R6, 12),  # R4: what the frame holds
        add(R6, 14),  # behind the header
        jump_if(R4, "==", "tag", value=TAG),  # a VLAN tag?
        jump_if(R4, "!=", "untagged", value=OUTER_TAG),  # or the outer one of two?
        Label("tag"),
        *_behind_tag(),
        jump_if(R4, "!=", "untagged", value=TAG),  # a second tag?
        *_behind_tag(),
        Label("untagged"),
        jump_if(R4, "==", "version4", value=IPV4),
        jump_if(R4, "==", "version6", value=IPV6),
        jump("pass"),  # ARP and others
    ]


def _behind_tag() -> list[Line]:
    return [
        copy(R3, R6),  # is there room ...
        add(R3, 4),  # ... for the tag?
        jump_if(R3, ">", "pass", register=R7),
        load(2, R4, R6, 2),  # R4: what the tagged frame holds
        add(R6, 4),  # behind the tag
    ]


def _version4(maps: Mapping[str, int]) -> list[Line]:
    return [
        Label("version4"),
        copy(R3, R6),  # is there room ...
        add(R3, 20),  # ... for a header?
        jump_if(R3, ">", "pass", register=R7),
        load(4, R4, R6, 12),  # the source address
        store(4, R10, -4, R4),  # as a key: of a host, at -4 ...
        store_value(4, R10, -8, 32),  # ... and of prefixes, at -8, with the bits that count
        *_find(maps, "never4", -8),
        jump_if(R0, "!=", "spared"),  # whom nobody may block passes
        *_find(maps, "block4", -4),
        *_if_it_stands(HOSTS, otherwise="wide4"),
        Label("wide4"),
        *_find(maps, "wide4", -8),
        *_if_it_stands(NETWORKS, otherwise="pass"),
        jump("pass"),  # its time is up
    ]


def _version6(maps: Mapping[str, int]) -> list[Line]:
    return [
        Label("version6"),
        copy(R3, R6),  # is there room ...
        add(R3, 40),  # ... for a header?
        jump_if(R3, ">", "pass", register=R7),
        *(
            line
            for part in range(0, 16, 4)  # the source address, four bytes at a time
            for line in (load(4, R4, R6, 8 + part), store(4, R10, part - 16, R4))
        ),
        store_value(4, R10, -20, 128),  # as a key of prefixes: the bits that count stand before it
        *_find(maps, "never6", -20),
        jump_if(R0, "!=", "spared"),  # whom nobody may block passes
        *_find(maps, "block6", -16),
        *_if_it_stands(HOSTS, otherwise="wide6"),
        Label("wide6"),
        *_find(maps, "wide6", -20),
        *_if_it_stands(NETWORKS, otherwise="pass"),
        jump("pass"),  # its time is up
    ]


def _if_it_stands(reason: int, *, otherwise: str) -> list[Line]:
    return [
        jump_if(R0, "==", otherwise),  # no such block
        copy(R9, R0),  # R9: the block
        call(NOW),  # R0: the time
        load(8, R3, R9, UNTIL),  # R3: when the block ends
        put(R8, reason),  # R8: which counter of the CPU's
        jump_if(R3, ">", "blocked", register=R0),  # it stands
    ]


def _end(maps: Mapping[str, int]) -> list[Line]:
    return [
        Label("blocked"),
        copy(R7, R0),  # R7: the time; the frame is not looked at again
        store_value(4, R10, -24, 0),  # the only key of the CPU's counters
        *_find(maps, "tally", -24),
        jump_if(R0, "==", "drop"),  # never so, but the verifier wants to be told
        copy(R2, R7),  # R2: how long ago ...
        load(8, R3, R0, REFILLED),  # ... the sample ...
        subtract(R2, R3),  # ... was refilled
        load(8, R1, R0, LEFT),  # R1: what is left of it
        shift_right(R2, SAMPLE_SHIFT),  # R2: how many more may pass by now
        jump_if(R2, "==", "choose"),  # none
        store(8, R0, REFILLED, R7),  # refilled now ...
        copy(R1, R2),  # ... with as many ...
        jump_if(R1, ">", "much", value=SAMPLE_MOST),
        jump("choose"),
        Label("much"),
        put(R1, SAMPLE_MOST),  # ... but not too many at once
        Label("choose"),
        jump_if(R1, "==", "count"),  # nothing is left: drop it
        add(R1, -1),  # one less
        store(8, R0, LEFT, R1),
        load(8, R1, R0, SAMPLED),  # passed on ...
        add(R1, 1),  # ... to the taps ...
        store(8, R0, SAMPLED, R1),  # ... and to the table, which drops it
        jump("pass"),
        Label("count"),
        store(8, R0, LEFT, R1),  # nothing is left
        add_register(R0, R8),  # R0: the CPU's counter of this reason
        load(8, R1, R0),
        add(R1, 1),
        store(8, R0, 0, R1),
        put(R1, 1),
        add_atomically(R9, PACKETS, R1),  # the block's own, which all CPUs share
        Label("drop"),
        put(R0, DROP),
        leave(),
        Label("spared"),
        store_value(4, R10, -24, 0),  # the only key of the CPU's counters
        *_find(maps, "tally", -24),
        jump_if(R0, "==", "pass"),  # never so, but the verifier wants to be told
        load(8, R1, R0, SPARED),
        add(R1, 1),
        store(8, R0, SPARED, R1),
        Label("pass"),
        put(R0, PASS),
        leave(),
    ]
