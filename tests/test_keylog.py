"""TLS read with its keys: the same capture in clear text and encrypted is told the same."""

from __future__ import annotations

import hashlib
import itertools
import os
import shutil
import ssl
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from hypothesis import given, settings
from hypothesis import strategies as st
from tlswire import (
    PREFACE,
    START_NS,
    Conversation,
    Encrypted,
    Sealer,
    Wire,
    answer,
    contexts,
    frame,
    get,
    headers,
    write,
)

import floodwatch as fw
from floodwatch.capture.blocks import open_blocks
from floodwatch.capture.keylog import Keys, Log
from floodwatch.capture.plaintext import Plaintext
from floodwatch.capture.records import both_directions

if TYPE_CHECKING:
    from lab import Lab

Need = Callable[[object, str], None]
SERVER_ADDRESS = "10.99.0.2"
PROGRAM = (sys.executable, "-P", "-m", "floodwatch")
SERVER = ("203.0.113.80", 443)
SECOND = 10**9
Open = Callable[[Wire, tuple[str, int], int], Conversation]
Script = Callable[[Wire, Open], None]


def address(number: int) -> str:
    return f"100.64.{number >> 8}.{number & 255}" if number >= 256 else f"81.2.69.{number}"


def people(wire: Wire, opened: Open) -> None:
    """Six visitors who read pages, from before any flood."""
    for one in range(6):
        talk = opened(wire, (f"93.184.{one}.9", 40_000 + one), START_NS + one * SECOND // 3)
        for page in range(6):
            talk.wait_until(START_NS + (one + 6 * page) * SECOND // 3)
            for part in ("", "/app.js", "/app.css", f"/{page}{one}.png"):
                talk.say(0, get(f"/page/{one * 7 + page}{part}", "User-Agent: Mozilla/5.0"))
                talk.say(1, answer(size=900 + 37 * page))
        talk.close()


def flood(wire: Wire, opened: Open, each: Callable[[Conversation, int], None], bots: int = 20) -> None:
    """People, and from the fifth second on bots that ask 20 times a second for five seconds."""
    people(wire, opened)
    for bot in range(bots):
        begin = START_NS + 5 * SECOND + bot * SECOND // 97
        talk = opened(wire, (address(bot + 1), 50_000 + bot), begin)
        for turn in range(100):
            talk.wait_until(begin + turn * SECOND // 20)
            each(talk, bot * 100 + turn)
        talk.close()


def http_flood(wire: Wire, opened: Open) -> None:
    def ask(talk: Conversation, number: int) -> None:
        talk.say(0, get("/search?q=shoes", "User-Agent: bot"))
        talk.say(1, answer())

    flood(wire, opened, ask)


def login_bruteforce(wire: Wire, opened: Open) -> None:
    def guess(talk: Conversation, number: int) -> None:
        body = f"user=admin&password={number:06d}".encode()
        head = (
            f"POST /login HTTP/1.1\r\nHost: www.shop.example\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        )
        talk.say(0, head + body)
        talk.say(1, answer(401))

    flood(wire, opened, guess)


def api_probing(wire: Wire, opened: Open) -> None:
    def probe(talk: Conversation, number: int) -> None:
        talk.say(0, get(f"/api/v1/{number}/config?id={number}"))
        talk.say(1, answer(404))

    flood(wire, opened, probe)


def over_http2(wire: Wire, opened: Open, bots: int, asks: Callable[[Conversation, int], None]) -> None:
    """Bots that ask in a hundred turns of a connection, twenty a second, beside people."""
    people(wire, opened)
    for bot in range(bots):
        begin = START_NS + 5 * SECOND + bot * SECOND // 97
        talk = opened(wire, (address(bot + 1), 50_000 + bot), begin)
        talk.say(0, PREFACE + frame(4, 0, 0, b""))
        talk.say(1, frame(4, 0, 0, b"") + frame(4, 1, 0, b""))
        talk.say(0, frame(4, 1, 0, b""))
        for turn in range(100):
            talk.wait_until(begin + turn * SECOND // 20)
            asks(talk, turn)
        talk.close()


def rapid_reset(wire: Wire, opened: Open) -> None:
    def asks(talk: Conversation, turn: int) -> None:
        for stream in range(turn * 20 + 1, turn * 20 + 21, 2):
            talk.say(0, headers(stream, "/") + frame(3, 0, stream, bytes(4)))

    over_http2(wire, opened, 4, asks)


SCRIPTS: dict[str, Script] = {
    "http_flood": http_flood,
    "login_bruteforce": login_bruteforce,
    "api_probing": api_probing,
    "http2_rapid_reset": rapid_reset,
}


def handshakes(wire: Wire, opened: Open) -> None:
    """400 connections a second that nobody asks for anything."""
    people(wire, opened)
    for number in range(2000):
        begin = START_NS + 5 * SECOND + number * SECOND // 400
        talk = opened(wire, (address(number % 20 + 1), 20_000 + number), begin)
        talk.wait_until(begin + SECOND // 10)
        talk.close()


def other_protocol(wire: Wire, opened: Open) -> None:
    """Ever new connections that speak something else than HTTP."""
    people(wire, opened)
    for number in range(2000):
        begin = START_NS + 5 * SECOND + number * SECOND // 400
        talk = opened(wire, (address(number % 20 + 1), 20_000 + number), begin)
        talk.say(0, b"\x00\x01lookup of nothing in particular")
        talk.say(1, b"\x00\x02" + bytes(300))
        talk.close()


def churn(wire: Wire, opened: Open) -> None:
    """People, and bots with a connection for each request."""
    people(wire, opened)
    for number in range(2000):
        begin = START_NS + 5 * SECOND + number * SECOND // 400
        talk = opened(wire, (address(number % 20 + 1), 20_000 + number), begin)
        talk.say(0, get("/search?q=shoes"))
        talk.say(1, answer())
        talk.close()


TLS12, TLS13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


def both(folder: Path, script: Script, version: ssl.TLSVersion, ciphers: str = "") -> tuple[Path, Path, Path]:
    """The script's capture in clear text, inside TLS, and the key log."""
    clear, sealed = Wire(), Wire()
    ends = contexts(folder, version=version, ciphers=ciphers)
    script(clear, lambda wire, client, at: Conversation(wire, client, SERVER, at))
    script(sealed, lambda wire, client, at: Encrypted(wire, client, SERVER, at, ends))
    return clear.write(folder / "clear.pcap"), sealed.write(folder / "sealed.pcap"), folder / "keys.log"


def told(report: fw.Report) -> list[tuple[object, ...]]:
    return [
        (event.vector, event.verdict, event.victim.ip, event.victim.port, event.victim.path,
         {top.cidr for top in event.sources.top}, round(event.rate.peak, -2))
        for event in report.events()
    ]  # fmt: skip


@pytest.mark.parametrize("version", [TLS12, TLS13], ids=["1.2", "1.3"])
@pytest.mark.parametrize("name", SCRIPTS)
def test_an_attack_in_tls_is_named_as_in_clear_text(
    name: str, version: ssl.TLSVersion, tmp_path: Path
) -> None:
    clear, sealed, keys = both(tmp_path, SCRIPTS[name], version)
    plain, opened = fw.scan(clear, seed=bytes(16)), fw.scan(sealed, keylog=keys, seed=bytes(16))
    assert name in [event.vector.value for event in plain.floods]
    assert told(opened) == told(plain)
    decrypted = opened.inputs[0].decrypted
    assert decrypted is not None
    assert (decrypted.without, decrypted.failed, decrypted.gave_up) == (0, 0, {})
    assert told(fw.scan(sealed, seed=bytes(16))) != told(plain)  # the keys made the difference


@pytest.mark.slow
@pytest.mark.parametrize("version", [TLS12, TLS13], ids=["1.2", "1.3"])
def test_a_flood_of_handshakes_is_named_with_keys_as_without(version: ssl.TLSVersion, tmp_path: Path) -> None:
    _, sealed, keys = both(tmp_path, handshakes, version)
    opened, closed = fw.scan(sealed, keylog=keys, seed=bytes(16)), fw.scan(sealed, seed=bytes(16))
    assert [event.vector.value for event in opened.events()] == ["tls_flood"]
    assert told(opened) == told(closed)


@pytest.mark.slow
def test_what_is_no_http_is_judged_from_outside(tmp_path: Path) -> None:
    _, sealed, keys = both(tmp_path, other_protocol, TLS13)
    opened, closed = fw.scan(sealed, keylog=keys, seed=bytes(16)), fw.scan(sealed, seed=bytes(16))
    assert [event.vector.value for event in opened.events()] == ["https_flood"]
    assert told(opened) == told(closed)
    decrypted = opened.inputs[0].decrypted
    assert decrypted is not None
    assert decrypted.gave_up == {"other": 2 * 2000}


def multiplexed(wire: Wire, opened: Open) -> None:
    """The same flood over HTTP/2: each turn asks for three things at once."""

    def asks(talk: Conversation, turn: int) -> None:
        streams = [6 * turn + 1, 6 * turn + 3, 6 * turn + 5]
        talk.say(0, b"".join(headers(stream, "/search") for stream in streams))
        for stream in streams:
            talk.say(1, frame(1, 4, stream, b"\x88") + frame(0, 1, stream, bytes(300)))

    over_http2(wire, opened, 20, asks)


@pytest.mark.parametrize("version", [TLS12, TLS13], ids=["1.2", "1.3"])
@pytest.mark.parametrize("script", [http_flood, login_bruteforce, multiplexed])
def test_what_is_estimated_from_outside_holds_against_the_plaintext(
    script: Script, version: ssl.TLSVersion, tmp_path: Path
) -> None:
    _, sealed, keys = both(tmp_path, script, version)
    (estimated,) = fw.scan(sealed, seed=bytes(16)).floods
    counted = max(event.rate.peak for event in fw.scan(sealed, keylog=keys, seed=bytes(16)).floods)
    assert estimated.vector is fw.Vector.HTTPS_FLOOD
    assert estimated.rate.lo <= counted <= estimated.rate.hi <= 4 * estimated.rate.lo


def test_every_cipher_of_tls_1_2_is_read(tmp_path: Path) -> None:
    for cipher in ("ECDHE+AESGCM", "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305"):
        clear, sealed, keys = both(tmp_path, http_flood, TLS12, cipher)
        assert told(fw.scan(sealed, keylog=keys)) == told(fw.scan(clear))


SUITES = {
    "AES-128-GCM": (AESGCM, 16, "sha256"),
    "AES-256-GCM": (AESGCM, 32, "sha384"),
    "ChaCha20-Poly1305": (ChaCha20Poly1305, 32, "sha256"),
}
CLIENT, SHAKING, EARLY = (
    "CLIENT_TRAFFIC_SECRET_0",
    "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
    "CLIENT_EARLY_TRAFFIC_SECRET",
)
SHAKE, DATA = 22, 23
HANDSHAKE = (b"\x14\x03", b"\x16\x03", b"\x17\x03")
"""So a segment begins that holds records of the handshake, as they were."""


class Stage:
    """A capture after the stage that decrypts: its packets, and what the stage tells."""

    def __init__(self, capture: Path, log: Path | None) -> None:
        blocks = open_blocks(str(capture), max_expand=100)
        first = blocks.following(0, 0)
        assert first is not None
        stage = Plaintext(
            blocks, first, Keys(Log(str(log)) if log else None), hash_key=bytes(16), look_only=False
        )
        made, block = b"", stage.following(0, 0)
        while block is not None:
            made += block.data
            block = stage.following(len(block.data), 0)
        self.told = stage.unsealing.finish()
        assert len(made) == capture.stat().st_size + stage.grown
        self.made = made

    @property
    def packets(self) -> list[tuple[int, int, bytes]]:
        """Source port, sequence number and payload of each."""
        return list(_packets(self.made))

    def said(self, sport: int) -> bytes:
        """The plaintext that comes from a port, each piece at the place that its sequence number says."""
        streams = [(seq, payload) for port, seq, payload in self.packets if port == sport and payload]
        out, plain = bytearray(), bytearray()
        for seq, payload in streams:
            at = (seq - streams[0][0]) % 2**32
            assert at <= len(out), "a gap"
            if at + len(payload) > len(out):
                plain += b"" if payload[:2] in HANDSHAKE else payload[len(out) - at :]
                out[at:] = payload
        return bytes(plain)


def _packets(capture: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Source port, sequence number and payload of each packet of a pcap of type RAW."""
    at = 24
    while at < len(capture):
        size = int.from_bytes(capture[at + 8 : at + 12], "little")
        packet = capture[at + 16 : at + 16 + size]
        at += 16 + size
        tcp = 40 if packet[0] >> 4 == 6 else 20
        total = int.from_bytes(packet[4:6], "big") + 40 if tcp == 40 else int.from_bytes(packet[2:4], "big")
        assert total == size
        port, seq = struct.unpack_from(">H2xI", packet, tcp)
        yield port, seq, packet[tcp + 20 :]


def sealer(suite: str = "AES-128-GCM", number: int = 0) -> Sealer:
    return Sealer(hashlib.sha256(str(number).encode()).digest(), *SUITES[suite])


def one_talk(
    folder: Path, made: Sealer, *records: bytes, mss: int = 1400, client: str = "81.2.69.1"
) -> tuple[Path, Path]:
    wire, server = Wire(), "2001:db8::80" if ":" in client else SERVER[0]
    talk = Conversation(wire, (client, 50_000), (server, 443), START_NS)
    talk.mss = mss
    talk.say(0, b"".join(records))
    talk.close()
    log = folder / "one.log"
    log.write_text(made.log)
    return wire.write(folder / "one.pcap"), log


@pytest.mark.parametrize("client", ["81.2.69.1", "2001:db8::1"])
@pytest.mark.parametrize("suite", SUITES)
def test_every_suite_of_tls_1_3_is_read_over_key_updates(suite: str, client: str, tmp_path: Path) -> None:
    """One direction is enough, with early data, padding, and segments of any size."""
    for mss in (1400, 100, 50):
        made = sealer(suite)
        for label in (EARLY, SHAKING, CLIENT):
            made.secret(label)
        records = [made.hello(), made.seal(EARLY, DATA, b"GET early "), b"\x14\x03\x03\0\x01\x01"]
        records += [
            made.seal(EARLY, SHAKE, b"\x05\0\0\0"),
            made.seal(SHAKING, SHAKE, b"\x14\0\0\x20" + bytes(32)),
        ]
        for turn in range(4):
            records.append(made.seal(CLIENT, DATA, f"turn {turn} ".encode() * 50, padding=turn))
            records.append(made.seal(CLIENT, SHAKE, b"\x18\0\0\x01\0"))
            made.update(CLIENT)
        stage = Stage(*one_talk(tmp_path, made, *records, mss=mss, client=client))
        wanted = b"GET early " + b"".join(f"turn {turn} ".encode() * 50 for turn in range(4))
        assert stage.said(50_000) == wanted
        assert (stage.told.connections, stage.told.failed, dict(stage.told.gave_up)) == (1, 0, {})


def test_early_data_that_was_refused_is_passed_over(tmp_path: Path) -> None:
    made = sealer()
    made.secret(EARLY)
    early = [made.seal(EARLY, DATA, b"lost") for _ in range(3)]
    made.log = ""
    made.secret(SHAKING)
    made.secret(CLIENT)
    records = [
        made.hello(),
        *early,
        made.seal(SHAKING, SHAKE, bytes(36)),
        made.seal(CLIENT, DATA, b"GET again"),
    ]
    stage = Stage(*one_talk(tmp_path, made, *records))
    assert stage.said(50_000) == b"GET again"
    assert stage.told.failed == 3


def test_keys_that_do_not_fit_and_what_is_cut_are_told(tmp_path: Path) -> None:
    made = sealer()
    made.secret(CLIENT)
    opened, wrong = made.seal(CLIENT, DATA, b"GET read"), made.seal(CLIENT, DATA, b"not read")[:-1] + b"?"
    capture, log = one_talk(tmp_path, made, made.hello(), opened, wrong, made.seal(CLIENT, DATA, b"nor this"))
    told = Stage(capture, log).told
    assert (told.records, told.failed, dict(told.gave_up)) == (1, 1, {"tag": 1})
    decrypted = fw.scan(capture, keylog=log).inputs[0].decrypted
    assert decrypted is not None
    assert decrypted.gave_up == {"tag": 1}
    log.write_text("")
    assert Stage(capture, log).told.without == 1
    assert Stage(capture, log).packets == list(_packets(capture.read_bytes()))  # nothing was touched


@settings(max_examples=60)
@given(st.data())
def test_segments_may_come_in_any_order_twice_and_overlapping(data: st.DataObject) -> None:
    made = sealer()
    made.secret(CLIENT)
    texts = data.draw(st.lists(st.binary(min_size=1, max_size=300), min_size=1, max_size=6))
    texts[0] = b"GET " + texts[0]
    stream = b"".join(made.seal(CLIENT, DATA, text) for text in texts)
    with tempfile.TemporaryDirectory() as folder:
        wire = Wire()
        talk = Conversation(wire, ("81.2.69.1", 50_000), SERVER, START_NS)
        talk.say(0, made.hello())
        begin, pieces = talk.seq[0], []
        cuts = sorted([*data.draw(st.lists(st.integers(1, len(stream)), max_size=8)), 0, len(stream)])
        for start, end in itertools.pairwise(cuts):
            pieces.append((max(0, start - data.draw(st.integers(0, 20))), end))
        for start, end in data.draw(
            st.permutations(pieces + data.draw(st.lists(st.sampled_from(pieces), max_size=3)))
        ):
            talk.seq[0] = (begin + start) % 2**32
            talk._send(0, stream[start:end], 24)
        log = Path(folder) / "keys.log"
        log.write_text(made.log)
        stage = Stage(wire.write(Path(folder) / "one.pcap"), log)
    assert stage.said(50_000) == b"".join(texts)


LABELS = ("CLIENT_RANDOM", CLIENT, SHAKING, EARLY, "EXPORTER_SECRET", "RSA", "# CLIENT_RANDOM", "")
LINES = st.one_of(
    st.binary(max_size=700),
    st.builds(
        lambda label, random, secret, end: f"{label} {random.hex()} {secret.hex()}{end}".encode(),
        st.sampled_from(LABELS),
        st.binary(min_size=30, max_size=33),
        st.binary(max_size=70),
        st.sampled_from(["", " ", "\r", "0"]),
    ),
)


@given(st.lists(LINES, max_size=30))
def test_any_bytes_may_stand_in_a_key_log(lines: list[bytes]) -> None:
    """Each line is taken, passed over or counted as nonsense, and a good one among them is found."""
    random, secret = bytes(range(32)), bytes(48)
    good = f"CLIENT_RANDOM {random.hex().upper()} {secret.hex()}".encode()
    text = b"\n".join([*lines, good, b""])
    with tempfile.NamedTemporaryFile() as file:
        file.write(text)
        file.flush()
        log = Log(file.name)
        assert log.find(random)["CLIENT_RANDOM"] == secret
        assert 1 <= log.lines <= text.count(b"\n")
        assert log.nonsense <= text.count(b"\n") - log.lines
        assert (log.first is None) == (log.nonsense == 0)
        log.close()
    keys = Keys(None)
    keys.take(text)
    assert keys.find(random)["CLIENT_RANDOM"] == secret
    assert keys.lines == log.lines


@settings(max_examples=100)
@given(st.data())
def test_damaged_records_end_a_direction_and_nothing_else(data: st.DataObject) -> None:
    secrets = {label: bytes([number]) * 32 for number, label in enumerate((SHAKING, CLIENT, EARLY))}
    master = {"CLIENT_RANDOM": bytes(48)}
    for side in (0, 1):
        for known in (secrets, master):
            records = both_directions(bytes(32), known)[side]
            for piece in data.draw(st.lists(record_bytes(), max_size=12)):
                records.feed(piece)
                assert records.held <= (1 << 14) + 2048 + 5 + len(piece)
                if records.reason is not None:
                    break


def record_bytes() -> st.SearchStrategy[bytes]:
    return st.builds(
        lambda kind, size, content: bytes([kind, 3, 3]) + size.to_bytes(2, "big") + content,
        st.integers(19, 24), st.one_of(st.integers(0, 70), st.integers(0, 65_535)), st.binary(max_size=70),
    )  # fmt: skip


def test_packets_for_programs_have_plaintext_and_still_their_hellos(tmp_path: Path) -> None:
    _, sealed, keys = both(tmp_path, people_only, TLS13)
    opened = list(fw.read(sealed, keylog=keys, keep_raw=True))
    closed = list(fw.read(sealed, keep_raw=True))
    asked = [
        sum(b"GET /page/" in bytes(one) for batch in all_ for one in batch.to_scapy())
        for all_ in (opened, closed)
    ]
    assert asked == [6 * 6 * 4, 0]
    assert sum(name == "www.shop.example" for batch in opened for name in batch.sni) == 6


def one_way(packets: list[tuple[int, bytes]], port: int) -> list[tuple[int, bytes]]:
    """Those that go to a port."""
    return [(at, packet) for at, packet in packets if packet[22:24] == port.to_bytes(2, "big")]


@pytest.mark.slow
def test_one_direction_is_read_in_tls_1_3_and_stays_as_it_is_in_1_2(tmp_path: Path) -> None:
    for version in (TLS12, TLS13):
        _, sealed, keys = both(tmp_path, churn, version)
        capture = write(tmp_path / "one.pcap", one_way(captured(sealed), 443))
        opened, closed = fw.scan(capture, keylog=keys, seed=bytes(16)), fw.scan(capture, seed=bytes(16))
        decrypted = opened.inputs[0].decrypted
        assert decrypted is not None
        if version is TLS13:
            assert decrypted.gave_up == {}
            assert [event.vector.value for event in opened.floods] == ["http_flood"]
        else:
            assert decrypted.gave_up == {"lost": decrypted.connections}
            assert [event.vector for event in opened.events()] == [event.vector for event in closed.events()]


@pytest.mark.slow
def test_a_server_whose_keys_alone_are_known_leaves_its_clients_as_they_are(tmp_path: Path) -> None:
    _, sealed, keys = both(tmp_path, churn, TLS13)
    lines = [line for line in keys.read_text().splitlines(keepends=True) if line.startswith("SERVER")]
    keys.write_text("".join(lines))
    opened, closed = fw.scan(sealed, keylog=keys, seed=bytes(16)), fw.scan(sealed, seed=bytes(16))
    assert [event.vector.value for event in closed.floods] == ["https_flood"]
    assert told(opened) == told(closed)


def captured(capture: Path) -> list[tuple[int, bytes]]:
    """Times and packets of a pcap of ours."""
    data, at, out = capture.read_bytes(), 24, []
    while at < len(data):
        seconds, rest, size, _ = struct.unpack_from("<IIII", data, at)
        out.append((seconds * SECOND + rest, data[at + 16 : at + 16 + size]))
        at += 16 + size
    return out


def test_nonsense_in_a_key_log_is_told_with_its_place(tmp_path: Path) -> None:
    _, sealed, keys = both(tmp_path, people_only, TLS13)
    keys.write_bytes(
        b"# made by a program\n\xff\xfe\x00 nonsense\n" + keys.read_bytes() + b"CLIENT_RANDOM 00 11\n"
    )
    decrypted = fw.scan(sealed, keylog=keys).inputs[0].decrypted
    assert decrypted is not None
    assert (decrypted.nonsense, decrypted.first_nonsense) == (2, f"{keys}:2")
    page = subprocess.run(
        [*PROGRAM, "info", "--keylog", keys, sealed], capture_output=True, text=True, check=True
    ).stdout
    assert "2 lines of keys that are none" in page
    assert "decrypted" in page
    assert "6 TLS; offering" in page  # the hellos are still there


def people_only(wire: Wire, opened: Open) -> None:
    people(wire, opened)


def test_pcapng_brings_its_own_keys(tmp_path: Path) -> None:
    """The same answer from the blocks of a capture, in both byte orders, and from a log beside it."""
    clear, sealed, keys = both(tmp_path, http_flood, TLS13)
    wanted = told(fw.scan(clear, seed=bytes(16)))
    for order in "<>":
        capture = tmp_path / "own.pcapng"
        capture.write_bytes(pcapng(sealed.read_bytes(), keys.read_bytes(), order))
        report = fw.scan(capture, seed=bytes(16))
        assert told(report) == wanted
        assert report.inputs[0].decrypted is not None
        assert report.inputs[0].decrypted.without == 0


def pcapng(pcap: bytes, secrets: bytes, order: str) -> bytes:
    def block(kind: int, body: bytes) -> bytes:
        body += bytes(-len(body) % 4)
        size = struct.pack(order + "I", 12 + len(body))
        return struct.pack(order + "I", kind) + size + body + size

    out = block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1))
    out += block(1, struct.pack(order + "HHIHHB3xHH", 101, 0, 0, 9, 1, 9, 0, 0))
    out += block(10, struct.pack(order + "II", 0x544C534B, len(secrets)) + secrets)
    at, packets = 24, [out]
    while at < len(pcap):
        seconds, rest, size, _ = struct.unpack_from("<IIII", pcap, at)
        stamp = seconds * 10**9 + rest
        head = struct.pack(order + "IIIII", 0, stamp >> 32, stamp & 0xFFFFFFFF, size, size)
        frame = pcap[at + 16 : at + 16 + size]
        packets.append(
            block(6, head + frame + bytes(-size % 4) + struct.pack(order + "HHIHH", 2, 4, 1, 0, 0))
        )
        at += 16 + size
    return b"".join(packets)


def test_a_damaged_capture_ends_at_the_same_byte(tmp_path: Path) -> None:
    _, sealed, keys = both(tmp_path, people_only, TLS13)
    whole = sealed.read_bytes()
    for end in (len(whole) - 1, len(whole) // 2, 100, 30):
        cut = tmp_path / "cut.pcap"
        cut.write_bytes(whole[:end])
        without, opened = fw.scan(cut).inputs[0], fw.scan(cut, keylog=keys).inputs[0]
        assert opened.error == without.error
        assert opened.packets == without.packets


@pytest.mark.slow
@settings(max_examples=30)
@given(data=st.data())
def test_flipped_bytes_crash_nothing(data: st.DataObject, damaged: tuple[bytes, Path]) -> None:
    whole, keys = damaged
    made = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 40))):
        made[data.draw(st.integers(24, len(made) - 1))] = data.draw(st.integers(0, 255))
    with tempfile.NamedTemporaryFile(suffix=".pcap") as file:
        file.write(made)
        file.flush()
        report = fw.scan(file.name, keylog=keys, jobs=1)
    assert report.complete


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, Path]:
    _, sealed, keys = both(tmp_path_factory.mktemp("damaged"), people_only, TLS12)
    return sealed.read_bytes(), keys


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    _, sealed, keys = both(tmp_path, people_only, TLS13)
    absent = run("scan", "--keylog", str(tmp_path / "none"), str(sealed))
    assert absent.returncode == 2
    assert "cannot read the key log" in absent.stderr
    follow = run("scan", "--follow", "--keylog", str(keys), str(sealed))
    assert follow.returncode == 2
    blind = (
        "import runpy, sys; sys.modules['cryptography'] = None; "
        "runpy.run_module('floodwatch', run_name='__main__', alter_sys=True)"
    )
    command = [sys.executable, "-P", "-c", blind, "scan", "--keylog", keys, sealed]
    missing = subprocess.run(command, capture_output=True, text=True, check=False)
    assert missing.returncode == 4
    assert "floodwatch[decrypt]" in missing.stderr


HOLDING = """
import resource, sys, threading
from floodwatch.capture.keylog import Keys, Log
from floodwatch.capture.unsealing import Segment, Unsealing
stage = Unsealing(Keys(Log(sys.argv[1])))
random = bytes(range(32))
hello = b"\\x16\\x03\\x01\\x00\\x2e\\x01\\x00\\x00\\x2a\\x03\\x03"
for number in range(int(sys.argv[2])):
    sender = (0, number >> 16, number & 65535)
    said = Segment(sender, 7, 9, 24, 51, hello + random + b"\\x00" * 8)
    assert stage.greeted(number, said)
    stage.take(number, said)
    stage.take(number, Segment(sender, 58, 9, 24, 1005, b"\\x17\\x03\\x03\\x20\\x00" + b"x" * 1000))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_connections(tmp_path: Path) -> None:
    """Half records on ever other connections: what fills the table is all that is ever held."""
    log = tmp_path / "keys.log"
    log.write_text(f"{CLIENT} {bytes(range(32)).hex()} {bytes(32).hex()}\n")

    def peak_kb(connections: int) -> int:
        command = [sys.executable, "-P", "-c", HOLDING, str(log), str(connections)]
        return int(subprocess.run(command, capture_output=True, check=True).stdout)

    assert peak_kb(80_000) < 1.1 * peak_kb(20_000)


NGINX = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log; user root; events {{ }}
http {{
  access_log {folder}/access.log; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{
    listen {server}:443 ssl http2;
    ssl_certificate {folder}/server.pem; ssl_certificate_key {folder}/server.pem;
    ssl_protocols TLSv1.2 TLSv1.3; ssl_ciphers ALL; location / {{ return 200 "welcome {long}\n"; }}
  }}
}}
"""
CURLS = (
    "--http1.1 --tlsv1.3", "--http2 --tlsv1.3",
    *(f"--http2 --tls13-ciphers {name}" for name in
      ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256")),
    *(f"--http1.1 --tls-max 1.2 --ciphers ECDHE-ECDSA-{name}" for name in
      ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305")),
    "--http2 --tls-max 1.2",
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.root
def test_real_programs_are_read_as_tshark_reads_them(wire: Lab, need: Need, tmp_path: Path) -> None:
    """nginx and curl over every cipher: the paths of each connection, with the same log."""
    for program in ("nginx", "curl", "tcpdump", "tshark"):
        need(shutil.which(program), f"{program} is not installed")
    contexts(tmp_path, version=TLS13)
    text = NGINX.format(folder=tmp_path, server=SERVER_ADDRESS, long="x" * 3000)
    (tmp_path / "nginx.conf").write_text(text)
    keys, capture = tmp_path / "curl.log", tmp_path / "real.pcap"
    server = wire.start(wire.server, "nginx", "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf"))
    seeing = wire.start(
        wire.server,
        "tcpdump",
        "--immediate-mode",
        "-U",
        "-i",
        "vb",
        "-w",
        str(capture),
        "tcp",
        stderr=subprocess.PIPE,
    )
    assert seeing.stderr is not None
    while b"listening on" not in seeing.stderr.readline():
        pass
    for number, options in enumerate(CURLS):
        urls = [f"https://{SERVER_ADDRESS}/{number}/{page}?q=1" for page in "abcd"]
        outputs = ["-o/dev/null"] * len(urls)
        command = ("curl", "-sk", "--retry-connrefused", "--retry", "5", *options.split(), *outputs, *urls)
        asking = wire.start(wire.client, *command, env={**os.environ, "SSLKEYLOGFILE": str(keys)})
        assert asking.wait(30) == 0, options
    server.terminate()
    server.wait(10)
    time.sleep(0.5)
    seeing.terminate()
    seeing.wait(10)
    plain = tmp_path / "plain.pcap"
    plain.write_bytes(made_plain(capture, keys))
    log = f"tls.keylog_file:{keys}"
    fields = ("-T", "fields", "-e", "tcp.srcport", "-e", "http.request.method", "-e", "http.request.uri",
              "-e", "http2.headers.method", "-e", "http2.headers.path")  # fmt: skip
    wanted = ("-Y", "http.request or http2.headers.path", *fields)
    theirs = tshark("-r", str(capture), "-o", log, *wanted)
    ours = [
        line
        for kind in ("http", "http2")
        for line in tshark("-r", str(plain), "-d", f"tcp.port==443,{kind}", *wanted)
    ]
    assert len(theirs) == 4 * len(CURLS)
    assert sorted(set(ours)) == sorted(theirs)
    decrypted = fw.scan(capture, keylog=keys).inputs[0].decrypted
    assert decrypted is not None
    assert (decrypted.connections, decrypted.without, decrypted.gave_up) == (len(CURLS), 0, {})


def made_plain(capture: Path, log: Path) -> bytes:
    return Stage(capture, log).made


def tshark(*argv: str) -> list[str]:
    done = subprocess.run(["tshark", *argv], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def run(*argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*PROGRAM, *argv], capture_output=True, text=True, check=False)
