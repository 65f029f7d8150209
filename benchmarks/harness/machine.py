"""Where a number was measured: processor, cores, versions. No names of hosts or people."""

import importlib.metadata
import os
import platform
from pathlib import Path


def machine(*packages: str) -> dict[str, object]:
    """The machine and the versions of `packages`, for a result file."""
    return {
        "processor": cpu(),
        "cores": os.cpu_count(),
        "system": platform.system(),
        "python": platform.python_version(),
        "versions": {package: version(package) for package in packages},
    }


def version(package: str) -> str | None:
    """None where it is not installed, and so took no part."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def cpu() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
