"""What the figures were measured on."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess

from benchmark.contest import PEERS

PACKAGES = ("torch", "ctranslate2", "sentencepiece", "numpy")


def describe(peers: bool = True) -> dict[str, str]:
    """Processor, cores, memory, system and versions, in words; the peers' too, where they take part and are there."""
    found = {name: importlib.metadata.version(name) for name in PACKAGES}
    if peers:
        found |= {f"peers: {name}": version for name, version in _peers().items()}
    return {
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        "versions": ", ".join(f"{name} {version}" for name, version in found.items()),
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            fields = dict(line.split(":", 1) for line in file if ":" in line)
        found = {name.strip(): value.strip() for name, value in fields.items()}
        flags = found.get("flags", "").split()
        vectors = [name for name in ("avx2", "avx512f", "avx512_bf16", "amx_tile") if name in flags]
        return f"{found['model name']} ({', '.join(vectors)})"
    except (OSError, KeyError):
        return platform.processor() or platform.machine()


def _peers() -> dict[str, str]:
    if not PEERS.exists():
        return {}
    code = "import importlib.metadata as m; print(*(m.version(n) for n in ('joeynmt', 'torch')))"
    versions = subprocess.run([PEERS, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    return dict(zip(("joeynmt", "torch"), versions, strict=True))
