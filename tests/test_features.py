"""The list of what is counted: its words, its page, and records that mean in NumPy what they mean in C."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from numpy.typing import NDArray

import floodwatch
from floodwatch import _engine

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = Path(floodwatch.__file__).parent
DTYPES = {
    "victim": _engine.VICTIM_DTYPE,
    "host": _engine.HOST_DTYPE,
    "heavy": _engine.HEAVY_DTYPE,
    "packet": _engine.PACKET_DTYPE,
}
SERVER = (0, 0xFFFF_C633_6407)
EPOCHS = 1_700_000_000 * 4


@pytest.fixture(scope="module")
def writer() -> ModuleType:
    spec = importlib.util.spec_from_file_location("features", ROOT / "native" / "features.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_page_is_what_the_list_says(writer: ModuleType) -> None:
    page = (PACKAGE / "docs" / "features.md").read_text(encoding="utf-8")
    assert page == writer.page(), "run: python native/features.py"


def test_stub_is_what_the_list_says(writer: ModuleType) -> None:
    stub = (PACKAGE / "_engine.pyi").read_text(encoding="utf-8")
    assert stub == writer.stub(stub), "run: python native/features.py"


@pytest.mark.parametrize("record", DTYPES)
def test_every_field_has_its_words(record: str) -> None:
    words = {(owner, name): (form, what) for owner, name, form, what in _engine.FEATURES}
    assert len(words) == len(_engine.FEATURES)

    def check(owner: str, dtype: np.dtype[np.void]) -> None:
        assert dtype.names is not None
        assert list(dtype.names) == [name for of, name in words if of == owner]
        for name in dtype.names:
            form, what = words[owner, name]
            assert what.strip(), name
            field, inner = dtype[name], form.rpartition(")")[2]
            if field.base.names is not None:
                assert form == f"{field.shape}{inner}".replace(" ", "")
                check(inner, field.base)
            else:
                assert field == np.dtype(form)

    check(record, DTYPES[record])


def test_numbers_of_kinds_and_classes_are_exported() -> None:
    for number, (name, _) in enumerate(_engine.KINDS):
        assert getattr(_engine, name) == number
    for number, (name, _) in enumerate(_engine.CLASSES):
        assert getattr(_engine, f"CLASS_{name}") == number
    assert (_engine.SYN, _engine.UDP, _engine.CARRIER, _engine.CLASS_HTTP) == (0, 7, 11, 3)
    assert (_engine.EPOCH_NS, _engine.WINDOW_EPOCHS) == (250_000_000, 32)
    assert _engine.VICTIM_DTYPE["sources"].shape == (len(_engine.CLASSES) << _engine.HLL_P,)
    assert _engine.VICTIM_DTYPE["udp_ports"].shape == (1 << _engine.SMALL_HLL_P,)
    assert _engine.VICTIM_DTYPE["dns_names"].shape == (1 << _engine.NAMES_HLL_P,)


def packets() -> NDArray[np.void]:
    """2,000 UDP packets of one source and 300 SYNs of many to one server, in one epoch."""
    records = np.zeros(2300, _engine.PACKET_DTYPE)
    records["ts_ns"] = EPOCHS * _engine.EPOCH_NS + np.arange(2300)
    records["dst"] = SERVER
    records["src"][:, 1] = 0xFFFF_0100_0000
    records["src"][2000:, 1] += np.arange(1, 301, dtype=np.uint64)
    records["kind"][:2000], records["kind"][2000:] = _engine.UDP, _engine.SYN
    records["proto"][:2000], records["proto"][2000:] = 17, 6
    records["sport"], records["dport"] = 123, 443
    records["bytes"], records["payload"], records["captured"] = 100, 58, 58
    records["seq"] = np.arange(2300)
    return records


def test_packets_come_back_as_they_went_in() -> None:
    records = packets()
    batch = _engine.Batch.load(records, b"", b"", bytes(16))
    assert batch.records().dtype == _engine.PACKET_DTYPE
    assert np.array_equal(batch.records(), records)


def test_counters_mean_in_numpy_what_they_mean_in_c() -> None:
    engine = _engine.Engine()
    batch = _engine.Batch.load(packets(), b"", b"", bytes(16))
    assert engine.observe(batch, 0) == 2300
    (victim,), (host,) = engine.victims(1), engine.hosts()
    for row in (victim, host):
        assert (row["hi"], row["lo"]) == SERVER
    assert victim["reference"] == host["reference"]
    assert victim["reference"] & _engine.SLOT_MASK < _engine.SLOTS
    udp, syn = victim["kinds"][_engine.UDP], victim["kinds"][_engine.SYN]
    assert (udp["packets"], udp["bytes"], udp["port"], udp["port_vote"]) == (2000, 200_000, 123, 2000)
    assert (syn["packets"], syn["bytes"], victim["syn_flows"]) == (300, 30_000, 300)
    assert (udp["first_ns"], syn["last_ns"]) == (EPOCHS * _engine.EPOCH_NS, EPOCHS * _engine.EPOCH_NS + 2299)
    assert victim["udp_payload_max"] == 58
    assert victim["opened"]["packets"].sum() == 2300
    assert victim["service"]["key"].max() == 17 << 16 | 123
    assert (host["packets"][_engine.UDP], host["bytes"][_engine.SYN], host["udp_from"]) == (2000, 30_000, 123)
    assert not victim["http_paths"].any()
    assert not victim["paths"]["requests"].any()
    (heavy,) = engine.heavy()
    assert (heavy["source"], heavy["victim"]) == (0xFFFF_0100_0000, victim["reference"])
    assert heavy["packets"] == heavy["udp"]
    assert heavy["packets"] <= 2000 <= heavy["packets"] + heavy["missed"]
    assert (heavy["v6"], heavy["requests"]) == (0, 0)
