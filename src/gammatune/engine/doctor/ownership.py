"""Whose a module is: the user's own, of Python, of a library, or one that nobody looks into."""

import functools
import sys
import sysconfig

# Compilers keep caches of their own, and trackers and displays talk to the outside, where nothing goes back.
SHUT = frozenset(
    f"torch.{part}"
    for part in ("_dynamo", "_inductor", "_functorch", "_C", "fx", "jit", "cuda", "distributed", "autograd")
) | {
    *("torch.utils.tensorboard", "tensorboard", "tensorboardX", "wandb", "mlflow", "comet_ml", "neptune"),
    *("clearml", "aim", "tqdm", "rich", "loguru"),
    "gammatune",  # whoever looks is not a part of what is looked at
}


@functools.lru_cache(maxsize=4096)
def _file_of(module: str) -> str | None:
    return getattr(sys.modules.get(module), "__file__", None)


@functools.lru_cache(maxsize=4096)
def is_of_python(module: str) -> bool:
    if module.partition(".")[0] in ("__main__", "__mp_main__"):
        return False
    file = _file_of(module)
    paths = sysconfig.get_paths()
    if file is None:
        return module.partition(".")[0] in sys.stdlib_module_names
    return file.startswith((paths["stdlib"], paths["platstdlib"])) and not _is_installed(file)


def _is_installed(file: str) -> bool:
    paths = sysconfig.get_paths()
    return file.startswith((paths["purelib"], paths["platlib"])) or "site-packages" in file


@functools.lru_cache(maxsize=4096)
def is_users_own(module: str) -> bool:
    """Whether a module is the user's own, so that its functions' globals are the training's."""
    if module.partition(".")[0] == "gammatune" or is_of_python(module):
        return False
    file = _file_of(module)
    return not _is_installed(file) if file is not None else module in ("__main__", "__mp_main__")


@functools.lru_cache(maxsize=4096)
def is_shut(module: str) -> bool:
    parts = module.split(".")
    return any(".".join(parts[:k]) in SHUT for k in range(1, len(parts) + 1))
