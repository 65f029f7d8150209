"""Table 3: the machine. Evidence: results/table3.json, made by `gammatune reproduce table3`."""

import platform

import torch
from harness import machine
from reproduction import Asked, Report

NAME = "table3"
TITLE = "the machine, ours beside the thesis's"

PRINTED = {
    "system": "Ubuntu 18.04 LTS",
    "processor": "Intel Core i7-8750H, 4.1 GHz, 6 cores",
    "graphics": "NVIDIA GeForce GTX 1050 Ti",
    "memory": "32 GB",
    "model": "Dell XPS 15 9570",
    "software": "scikit-learn (Gaussian process), PyOpt",
}


def run(options: Asked) -> Report:
    report = Report(NAME, TITLE, ["", "thesis", "here"])
    here = machine("torch", "numpy", "scikit-learn", "gammatune")
    versions = ", ".join(f"{package} {version}" for package, version in here["versions"].items())  # type: ignore[attr-defined]
    ours = {
        "system": f"{here['system']}, Python {platform.python_version()}",
        "processor": f"{here['processor']}, {here['cores']} cores, one thread used",
        "graphics": torch.cuda.get_device_name(0) if torch.cuda.is_available() else "none",
        "memory": memory(),
        "model": "-",
        "software": versions,
    }
    report.rows = [[name, printed, ours[name]] for name, printed in PRINTED.items()]
    report.notes = [
        "Seconds are compared within one run on one machine, never with the thesis's. Every result file says where "
        "it was made."
    ]
    report.numbers = ours
    return report


def memory() -> str:
    """Of the whole machine, in GB; from /proc, so on Linux only."""
    try:
        with open("/proc/meminfo") as file:
            kilobytes = next(int(line.split()[1]) for line in file if line.startswith("MemTotal"))
    except (OSError, StopIteration):
        return "not known"
    return f"{kilobytes / 1024**2:.0f} GB"
