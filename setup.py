"""The one extension of floodwatch; everything declarable is in pyproject.toml."""

import os
import sysconfig
from glob import glob

from setuptools import Extension, setup

sanitize = bool(os.environ.get("FLOODWATCH_SANITIZE"))
debug = sanitize or bool(os.environ.get("FLOODWATCH_DEBUG"))
limited = not sysconfig.get_config_var("Py_GIL_DISABLED")  # free-threaded builds cannot load abi3

flags = [
    "-std=c11",
    "-Wall",
    "-Wextra",
    "-Werror=implicit-function-declaration",
    "-Wno-unused-parameter",
    "-fvisibility=hidden",
]
flags += ["-O1", "-g"] if debug else ["-O3", "-g0", "-DNDEBUG"]
# A seventh of the speed is inlining across files. Other compilers may need a linker plugin that is not there.
gcc = "gcc" in (os.environ.get("CC") or sysconfig.get_config_var("CC") or "")
lto = ["-flto"] if gcc and not debug else []
sanitizers = ["-fsanitize=address,undefined", "-fno-omit-frame-pointer"] if sanitize else []

native = Extension(
    "floodwatch._native",
    ["native/_native.pyx", *sorted(glob("native/fw_*.c"))],
    include_dirs=["native"],
    depends=[p for p in glob("native/**/*", recursive=True) if os.path.isfile(p) and "/build/" not in p],
    define_macros=[("_GNU_SOURCE", None), *([("Py_LIMITED_API", "0x030B0000")] if limited else [])],
    extra_compile_args=flags + lto + sanitizers,
    extra_link_args=lto + sanitizers,
    py_limited_api=limited,
)
native.cython_c_in_temp = True
native.cython_include_dirs = ["native"]
native.cython_directives = {
    "language_level": 3,
    "auto_pickle": False,
    "autotestdict": False,
    "embedsignature": False,
}

setup(
    ext_modules=[native],
    options={"bdist_wheel": {"py_limited_api": "cp311"}} if limited else {},
)
