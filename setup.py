"""The extensions of floodwatch, its command and its manual; everything declarable is in pyproject.toml."""

import os
import runpy
import sysconfig
from glob import glob

from setuptools import Extension, setup

sanitize = bool(os.environ.get("FLOODWATCH_SANITIZE"))
debug = sanitize or bool(os.environ.get("FLOODWATCH_DEBUG"))
limited = not sysconfig.get_config_var("Py_GIL_DISABLED")  # free-threaded builds cannot load abi3

flags = ["-std=c11", "-Wall", "-Wextra", "-Wno-unused-parameter", "-Werror=implicit-function-declaration"]
flags += ["-fvisibility=hidden", *(["-O1", "-g"] if debug else ["-O3", "-g0", "-DNDEBUG"])]
# A seventh of the speed is inlining across files. Other compilers may need a linker plugin that is not there.
gcc = "gcc" in (os.environ.get("CC") or sysconfig.get_config_var("CC") or "")
lto = ["-flto"] if gcc and not debug else []
sanitizers = ["-fsanitize=address,undefined", "-fno-omit-frame-pointer"] if sanitize else []

of_sketches = {f"native/fw_{name}.c" for name in ("blob", "frequent", "grid", "hll", "saved")}
of_both = {"native/fw_cpu.c", "native/fw_keys.c"}
sources = {"_engine": set(glob("native/fw_*.c")) - of_sketches, "_sketches": of_sketches | of_both}
extensions = [
    Extension(
        f"floodwatch.{name}",
        [f"native/{name}.pyx", *sorted(files)],
        include_dirs=["native"],
        depends=[p for p in glob("native/**/*", recursive=True) if os.path.isfile(p) and "/build/" not in p],
        define_macros=[("_GNU_SOURCE", None), *([("Py_LIMITED_API", "0x030B0000")] if limited else [])],
        extra_compile_args=flags + lto + sanitizers,
        extra_link_args=lto + sanitizers,
        py_limited_api=limited,
    )
    for name, files in sources.items()
]
for extension in extensions:
    extension.cython_c_in_temp = True
    extension.cython_include_dirs = ["native"]
    extension.cython_directives = {"language_level": 3, "auto_pickle": False, "autotestdict": False}
version = runpy.run_path("floodwatch/version.py")["__version__"]
manual = runpy.run_path("floodwatch/cli/manual.py")["write"]("floodwatch/docs", "build/man", version)
# A script of our own and not an entry point: its first line decides how Python starts (floodwatch/cli).
setup(
    ext_modules=extensions,
    scripts=["floodwatch/cli/floodwatch"],
    data_files=[("share/man/man1", manual)],
    options={"bdist_wheel": {"py_limited_api": "cp311"}} if limited else {},
)
