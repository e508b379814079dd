"""Pickles of sketches from before the native module was divided in two still load."""

from __future__ import annotations

import pickle

import pytest

import floodwatch as fw

Sketch = fw.CountMin | fw.HyperLogLog | fw.TopK
SEED = bytes(16)
OLD = {
    "CountMin": (
        b"\x80\x02cfloodwatch._native\n_unpickle\ncfloodwatch._native\nCountMin\n",
        fw.CountMin(depth=1, width=2, seed=SEED).update([1, 2, 3]),
    ),
    "HyperLogLog": (
        b"\x80\x02cfloodwatch._native\n_unpickle\ncfloodwatch._native\nHyperLogLog\n",
        fw.HyperLogLog(p=4, seed=SEED).update(list(range(9))),
    ),
    "TopK": (
        b"\x80\x02cfloodwatch._native\n_unpickle_topk\n",
        fw.TopK(k=3).update(["a", "a", 7]),
    ),
}
"""Name -> how its pickle began, and a sketch whose bytes follow."""


@pytest.mark.parametrize("name", OLD)
def test_an_old_pickle_loads(name: str) -> None:
    start, sketch = OLD[name]
    arguments = (sketch.to_bytes(),) if name == "TopK" else (sketch.to_bytes(), SEED)
    parts = b"".join(b"B" + len(one).to_bytes(4, "little") + one for one in arguments)
    end = {"TopK": b"\x85R."}.get(name, b"\x87R.")  # a tuple of one, or of three with the class; call; stop
    assert pickle.loads(start + parts + end) == sketch
