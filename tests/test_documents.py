"""Every example and every block of the README runs; what the documents name exists."""

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import programs
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, flags=re.DOTALL)
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
ASKED = {"fine_tuning": ("1",)}  # seeds
ELSEWHERE = {"distributed"}  # tests/ranks/test_torchrun.py runs it, alone as well
# examples of packages that are not installed everywhere: (module, what Python is told of its own warnings)
NEEDS: dict[str, tuple[str, tuple[str, ...]]] = {
    "keras_fit": ("keras", ("-W", "ignore::DeprecationWarning")),  # how Keras makes NumPy arrays of tensors
    "ray_rollouts": ("ray", ("-W", "ignore")),
    "lora": ("peft", ("-W", "ignore")),
    "accelerate_loop": ("accelerate", ("-W", "ignore")),
    "fabric_loop": ("lightning", ("-W", "ignore")),
    "skorch_fit": ("skorch", ()),
    "lightning_fit": ("lightning", ("-W", "ignore")),  # few workers, PyTorch's own deprecations, ...
    "transformers_train": ("transformers", ("-W", "ignore")),
}
SCRIPT = Path(sys.executable).parent / "gammatune"


def python(*arguments: str, cwd: Path) -> str:
    done = programs.run("-W", "error", *arguments, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "example", [path for path in EXAMPLES if path.stem not in ELSEWHERE], ids=lambda path: path.stem
)
def test_example(example: Path, tmp_path: Path) -> None:
    package, warned = NEEDS.get(example.stem, ("gammatune", ()))
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"needs {package}: pip install 'gammatune[{package}]'")
    assert python(*warned, str(example), *ASKED.get(example.stem, ()), cwd=tmp_path).strip()


@pytest.mark.parametrize("number", [i for i, (kind, _) in enumerate(BLOCKS) if kind == "python"])
def test_python_block_of_the_readme(number: int, tmp_path: Path) -> None:
    (tmp_path / "block.py").write_text(BLOCKS[number][1])
    assert python("block.py", cwd=tmp_path).strip()


def what_a_reader_has(folder: Path) -> None:
    """The table and the photographs that the README speaks of."""
    rng = np.random.default_rng(0)
    age, region = rng.integers(18, 80, 150), rng.choice(["north", "south"], 150)
    answer = np.where((age > 45) ^ (region == "north"), "yes", "no")
    lines = [f"{a},{r},{y}" for a, r, y in zip(age, region, answer, strict=True)]
    (folder / "survey.csv").write_text("\n".join(["age,region,answer", *lines]))
    (folder / "new.csv").write_text("age,region\n30,north\n70,south\n")
    for shade, name in ((70, "cats"), (160, "dogs")):
        (folder / "photographs" / name).mkdir(parents=True)
        for i in range(12):
            pixels = rng.integers(0, 60, (20, 16 + i, 3)) + shade
            Image.fromarray(pixels.astype(np.uint8)).save(folder / "photographs" / name / f"{i}.jpg")


def test_shell_blocks_of_the_readme(tmp_path: Path) -> None:
    """gammatune commands are run as they stand, in order; make's are asked for (CI runs them for real)."""
    what_a_reader_has(tmp_path)
    commands = [
        line.split(" #")[0].strip() for kind, body in BLOCKS if kind == "sh" for line in body.splitlines()
    ]
    commands = [command for command in commands if command]
    assert {"make demo", "make test"} <= set(commands)
    for command in commands:
        program, *arguments = command.split()
        if program == "make":
            done = subprocess.run(["make", "-n", *arguments], cwd=ROOT, capture_output=True, text=True)
        else:
            assert program == "gammatune"
            done = programs.run(SCRIPT, *arguments, cwd=tmp_path)
        assert done.returncode == 0, f"{command}: {done.stderr}"


LOOPS = re.findall(
    r"\(`examples/(\w+)\.py`\)\n\n```diff\n(.*?)```", (ROOT / "docs/site/your-loop.md").read_text(), re.DOTALL
)


@pytest.mark.parametrize(("example", "shown"), LOOPS, ids=[name for name, _ in LOOPS])
def test_a_loop_that_is_shown_is_that_of_its_example(example: str, shown: str) -> None:
    """Every line that is there after the change, in its order; and the change is a small one."""
    lines = shown.rstrip("\n").split("\n")
    assert sum(line[0] in "+-" for line in lines if line) <= 20
    after = [line[1:].strip() for line in lines if line and line[0] != "-"]
    code = iter(
        line.split("  #")[0].strip()
        for line in (ROOT / "examples" / f"{example}.py").read_text().splitlines()
    )
    for line in after:
        assert not line or line in code, line


def test_seven_loops_are_shown() -> None:
    assert len(LOOPS) >= 7


def test_there_are_examples_and_blocks() -> None:
    assert len(EXAMPLES) >= 4
    assert any(kind == "python" for kind, _ in BLOCKS)


@pytest.mark.parametrize(
    "document", [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))], ids=lambda p: p.name
)
def test_files_that_documents_name_are_there(document: Path) -> None:
    named = re.findall(r"\b(?:docs|examples|experiments|benchmarks|tests)/[\w/.-]*\w", document.read_text())
    for path in named:
        assert (ROOT / path).exists(), f"{document.name} names {path}"


def test_the_overhead_benchmark_in_small(tmp_path: Path) -> None:
    """The overhead benchmark in its quick form; the others follow below."""
    out = tmp_path / "overhead.json"
    python(str(ROOT / "benchmarks" / "overhead.py"), "--quick", "--out", str(out), cwd=tmp_path)
    assert out.exists()


def test_the_ten_sets_in_small(tmp_path: Path) -> None:
    out = tmp_path / "front_door.json"
    script = ROOT / "benchmarks" / "front_door.py"
    table = programs.run(script, "--only", "iris", "--seeds", "1", "--out", out, cwd=tmp_path)
    assert table.returncode == 0, table.stderr
    cells = json.loads(out.read_text())["cells"]
    assert {"gammatune", "boosting", "linear", "mlp"} <= {cell["method"] for cell in cells}
    assert cells[0]["quality"] > 0.7
    assert "| iris |" in table.stdout


@pytest.fixture
def mnist() -> str:
    path = ROOT.parent / "shared" / "data" / "mnist.npz"
    if not path.exists():
        pytest.skip("needs MNIST as an .npz beside the repository (../shared/data/mnist.npz)")
    return str(path)


def test_the_dropout_experiment_in_small(tmp_path: Path, mnist: str) -> None:
    script = str(ROOT / "experiments" / "thesis_dropout.py")
    assert "behind all six" in python(script, mnist, "--seeds", "1", "--epochs", "1", cwd=tmp_path)


def test_the_mnist_experiment_in_small(tmp_path: Path, mnist: str) -> None:
    out = tmp_path / "mnist.json"
    script = str(ROOT / "experiments" / "mnist.py")
    few = ("--setup", "small", "--sampler", "gamma", "--sampler", "random", "--seeds", "1", "--quick")
    said = python(script, str(mnist), *few, "--out", str(out), cwd=tmp_path)
    assert said.count("failed 0") == 2


def test_the_digits_experiment_in_small(tmp_path: Path) -> None:
    said = python(str(ROOT / "experiments" / "digits.py"), "--seeds", "1", "--quick", cwd=tmp_path)
    assert "0 failed" in said


def test_the_sine_experiment_in_small(tmp_path: Path) -> None:
    said = python(str(ROOT / "experiments" / "sine.py"), "--seeds", "2", cwd=tmp_path)
    assert "gamma-plugin-b" in said


def test_the_suggestion_benchmark_in_small(tmp_path: Path) -> None:
    """Without BoTorch, an extra that the tests do not install, it says so and measures the rest."""
    out = tmp_path / "suggestion.json"
    python(str(ROOT / "benchmarks" / "suggestion.py"), "--repeats", "1", "--out", str(out), cwd=tmp_path)
    assert out.exists()
