"""The trainings of the population: a line each, and one more line adds another.

short   200 to 2,000 steps      long   3,000 and more      tiny   8 to 100
clipped short ones whose gradients are cut to a norm, far below that of the first
"""

from dataclasses import dataclass

from networks import Net, autoencoder, cnn, conv1d, linear, mlp, recurrent, resmlp, resnet, transformer
from sources import SOURCES


@dataclass(frozen=True)
class Task:
    """rows, select: examples trained on, and looked at by whoever chooses; up to 3,000 of the others test.

    noise: share of the training labels drawn at random. goal: "" the targets of the source; "copy" the inputs
    themselves (an autoencoder); "reinforce" a policy gradient whose action is the class. start, start_steps: the
    network was trained before on that source, and only its last layer is new. clip: the norm to which gradients are
    cut; 0: they are not.
    """

    source: str
    called: str
    net: Net
    optimizer: str
    rows: int
    select: int
    batch: int
    steps: int
    noise: float = 0.0
    goal: str = ""
    start: str | None = None
    start_steps: int = 300
    clip: float = 0.0

    @property
    def name(self) -> str:
        return f"{self.source}/{self.called}/{self.optimizer}/{self.steps}"

    @property
    def length(self) -> str:
        if self.clip:
            return "clipped"
        return "tiny" if self.steps <= 100 else "short" if self.steps < 3000 else "long"

    @property
    def part(self) -> str:
        """Of the population: "fit", "choose" or "once", as its data set is."""
        return SOURCES[self.source].part


# source, name of the net, net, optimizer, rows trained and selected by, batch, steps, and what is unusual
_ALL = [
    # fit: tables
    Task("credit", "mlp64", mlp(64), "adamw", 2000, 500, 32, 600),
    Task("credit", "mlp32", mlp(32, 1, "tanh"), "sgd", 1500, 400, 32, 500),
    Task("spam", "mlp128", mlp(128), "adam", 2400, 600, 64, 800),
    Task("spam", "drop", mlp(96, 3, drop=0.3), "momentum", 2400, 600, 32, 1200),
    Task("churn_phone", "bn", mlp(64, 2, norm="bn"), "adamw", 3000, 700, 128, 400),
    Task("churn_phone", "linear", linear(), "sgd", 2000, 500, 64, 300),
    Task("computing_jobs", "mlp96", mlp(96, 2, "gelu"), "momentum", 2500, 500, 64, 800),
    Task("computing_jobs", "ln", mlp(64, 4, "gelu", "ln"), "adam", 2500, 500, 32, 1500),
    Task("orange_juice", "mlp24", mlp(24, 1), "adamw", 500, 150, 16, 300),
    Task("orange_juice", "wide", mlp(512, 2), "momentum", 500, 150, 16, 400),
    Task("health_insurance", "res", resmlp(32), "adamw", 4000, 800, 64, 600),
    Task("health_insurance", "mlp", mlp(48, 2), "adagrad", 3000, 800, 64, 500),
    Task("diamonds", "mlp", mlp(64, 3), "adamw", 6000, 1000, 128, 1000),
    Task("diamonds", "wide", mlp(256, 2), "momentum", 5000, 1000, 64, 1500),
    Task("concrete", "mlp", mlp(64, 2), "adam", 500, 150, 16, 800),
    Task("concrete", "tanh", mlp(32, 2, "tanh"), "rmsprop", 500, 150, 32, 500),
    Task("concrete", "lbfgs", mlp(16, 1, "tanh"), "lbfgs", 500, 150, 500, 200),
    Task("houses", "mlp", mlp(64, 2), "adamw", 1500, 400, 32, 700),
    Task("houses", "bn", mlp(128, 2, norm="bn", drop=0.1), "sgd", 1500, 400, 32, 900),
    Task("weather", "res", resmlp(48, 3), "adamw", 6000, 1000, 64, 1500),
    Task("weather", "deep", mlp(48, 6), "nesterov", 6000, 1000, 64, 1200),
    Task("colleges", "mlp", mlp(32, 2), "momentum", 400, 120, 16, 400),
    Task("package_checks", "mlp", mlp(96, 2, "silu"), "adamw", 5000, 1000, 64, 1200),
    Task("package_checks", "ln", mlp(64, 3, norm="ln"), "sgd", 5000, 1000, 64, 800),
    # fit: generators, plateaus among them
    Task("digits", "mlp", mlp(64, 2), "adamw", 900, 300, 32, 450),
    Task("digits", "cnn", cnn(8), "momentum", 900, 300, 64, 300),
    Task("digits", "wide", mlp(768, 2), "sgd", 900, 300, 32, 500),
    Task("digits", "reinforce", mlp(64, 2), "adam", 900, 300, 32, 900, goal="reinforce"),
    Task("digits", "muon", mlp(128, 3), "muon", 900, 300, 32, 400),
    Task("digits", "noise", mlp(128, 2), "adamw", 900, 300, 32, 600, noise=0.2),
    Task("blobs20", "tanh", mlp(64, 2, "tanh"), "sgd", 3000, 600, 64, 900),
    Task("blobs20", "ln", mlp(128, 3, "gelu", "ln"), "adamw", 3000, 600, 128, 600),
    Task("blobs20", "sigmoid", mlp(64, 2, "sigmoid"), "adam", 3000, 600, 64, 700),
    Task("blobs20", "noise", mlp(96, 2, norm="bn"), "momentum", 2500, 500, 50, 500, noise=0.3),
    Task("spirals", "mlp", mlp(64, 3), "adamw", 3000, 600, 64, 1200),
    Task("spirals", "tanh", mlp(48, 3, "tanh"), "momentum", 3000, 600, 64, 1500),
    Task("parity3", "mlp", mlp(32, 1), "adamw", 1000, 300, 20, 800),
    Task("parity3", "mlp", mlp(64, 2), "sgd", 2000, 400, 32, 1500),
    Task("parity3", "small", mlp(16, 1), "adam", 500, 200, 10, 1000),
    Task("teacher_tanh", "mlp", mlp(96, 2), "adam", 4000, 800, 64, 2000),
    Task("teacher_tanh", "mlp", mlp(96, 2), "sgd", 4000, 800, 32, 2000),
    Task("teacher_tanh", "nadam", mlp(48, 2, "silu"), "nadam", 3000, 600, 64, 700),
    Task("friedman1", "mlp", mlp(64, 2), "adamw", 2000, 500, 64, 800),
    Task("friedman1", "tanh", mlp(64, 2, "tanh"), "rmsprop", 1000, 300, 32, 600),
    Task("friedman1", "muon", mlp(64, 2), "muon", 2000, 500, 64, 500),
    Task("swiss_roll", "deep", mlp(64, 3), "momentum", 2000, 500, 64, 1500),
    Task("swiss_roll", "res", resmlp(32, 2), "adam", 2000, 500, 64, 700),
    Task("sines", "tanh", mlp(128, 2, "tanh"), "adamw", 4000, 800, 64, 1500),
    Task("sines", "mlp", mlp(96, 3), "nesterov", 4000, 800, 64, 1200),
    Task("sines", "adagrad", mlp(96, 2), "adagrad", 3000, 600, 64, 800),
    # fit: images, series, text
    Task("mnist", "mlp", mlp(96, 2), "momentum", 3000, 800, 64, 700),
    Task("mnist", "cnn", cnn(8), "adamw", 3000, 800, 64, 400),
    Task("mnist", "cnn-plain", cnn(8, norm=False), "sgd", 3000, 800, 32, 800),
    Task("mnist", "copy", autoencoder(96, 16), "adam", 3000, 600, 64, 800, goal="copy"),
    Task("mnist", "deep", mlp(64, 6), "adamw", 3000, 800, 64, 700),
    Task("mnist", "rows", transformer(32, 1, 0.1), "adamw", 2500, 600, 50, 400),
    Task("mnist", "noise", mlp(128, 2), "rmsprop", 3000, 800, 64, 600, noise=0.2),
    Task("cifar", "cnn", cnn(12), "momentum", 3000, 800, 64, 400),
    Task("cifar", "res", resnet(12, 1), "adamw", 3000, 800, 64, 300),
    Task("cifar", "cnn-plain", cnn(12, norm=False), "adam", 3000, 800, 64, 400),
    Task("cifar", "res", resnet(12, 1), "sgd", 3000, 800, 64, 350),
    Task("waves", "gru", recurrent("gru", 32), "adamw", 2000, 500, 64, 300),
    Task("waves", "conv", conv1d(16), "momentum", 2500, 500, 64, 500),
    Task("waves", "rows", transformer(32, 1), "adam", 2000, 500, 64, 300),
    Task("electricity", "lstm", recurrent("lstm", 24), "adam", 1500, 400, 32, 350),
    Task("electricity", "mlp", mlp(48, 2), "sgd", 2000, 500, 32, 600),
    Task("walk", "conv", conv1d(24), "adamw", 3000, 600, 64, 500),
    Task("walk", "rnn", recurrent("rnn", 48), "rmsprop", 2000, 500, 64, 350),
    Task("text_python", "tf", transformer(32, 2), "adamw", 3000, 200, 16, 350),
    Task("text_python", "lstm", recurrent("lstm", 48), "adam", 3000, 200, 16, 350),
    Task("text_python", "tf-post", transformer(32, 2, pre=False), "adam", 3000, 200, 16, 300),
    Task("which_module", "gru", recurrent("gru", 32), "momentum", 2500, 500, 32, 400),
    Task("which_module", "tf", transformer(32, 1, 0.1), "adamw", 2500, 500, 32, 350),
    # fit: Muon
    Task("mnist", "muon", mlp(96, 2), "muon", 3000, 800, 64, 500),
    Task("blobs20", "muon", mlp(96, 3, "gelu", "ln"), "muon", 3000, 600, 64, 500),
    Task("teacher_tanh", "muon", mlp(96, 2), "muon", 4000, 800, 64, 900),
    Task("spam", "muon", mlp(96, 2, drop=0.3), "muon", 2400, 600, 32, 600),
    Task("diamonds", "muon", mlp(64, 3), "muon", 5000, 1000, 64, 700),
    Task("waves", "muon", transformer(32, 1), "muon", 2000, 500, 64, 300),
    Task("text_python", "muon", transformer(32, 2), "muon", 3000, 200, 16, 350),
    Task("which_module", "muon", transformer(32, 1, 0.1), "muon", 2500, 500, 32, 350),
    # choose
    Task("breast_cancer", "mlp", mlp(32, 2), "adamw", 250, 100, 16, 400),
    Task("breast_cancer", "mlp", mlp(32, 2), "sgd", 250, 100, 16, 300),
    Task("blobs40", "bn", mlp(96, 2, norm="bn"), "momentum", 2000, 500, 64, 1200),
    Task("blobs40", "mlp", mlp(128, 3), "adam", 3000, 600, 64, 800),
    Task("checkerboard", "mlp", mlp(64, 2), "adamw", 2000, 500, 32, 1500),
    Task("checkerboard", "mlp", mlp(96, 3), "momentum", 3000, 600, 64, 1500),
    Task("friedman2", "mlp", mlp(64, 2), "rmsprop", 1500, 400, 32, 700),
    Task("friedman2", "wide", mlp(384, 2), "adamw", 1500, 400, 32, 600),
    Task("teacher_relu", "res", resmlp(48, 2), "adamw", 3000, 600, 64, 800),
    Task("teacher_relu", "mlp", mlp(64, 2), "sgd", 3000, 600, 32, 1200),
    Task("cifar_0_4", "cnn", cnn(12), "adamw", 3000, 800, 64, 400),
    Task("cifar_0_4", "res", resnet(12, 1), "momentum", 3000, 800, 64, 350),
    Task("cifar_0_4", "tuned", cnn(12), "adamw", 1500, 500, 32, 250, start="cifar"),
    Task("textures", "cnn-plain", cnn(12, norm=False), "momentum", 2500, 600, 64, 400),
    Task("textures", "rows", transformer(32, 1), "adamw", 2500, 600, 50, 350),
    Task("vowels", "lstm", recurrent("lstm", 32), "adam", 300, 120, 16, 300),
    Task("vowels", "conv", conv1d(16, True), "sgd", 300, 120, 16, 300),
    Task("mackey_glass", "mlp", mlp(64, 2, "tanh"), "adam", 3000, 600, 64, 800),
    Task("mackey_glass", "gru", recurrent("gru", 24), "rmsprop", 2000, 500, 64, 300),
    Task("text_english", "tf", transformer(32, 2), "adamw", 3000, 200, 16, 400),
    Task("text_english", "tuned", transformer(32, 2), "adamw", 2000, 200, 16, 200, start="text_python"),
    Task("cells", "mlp", mlp(64, 2), "adamw", 1000, 300, 32, 500),
    Task("cells", "drop", mlp(128, 2, drop=0.4), "momentum", 1000, 300, 32, 600),
    Task("loans", "mlp", mlp(48, 2), "adam", 4000, 1000, 64, 500),
    Task("olive", "ln", mlp(32, 2, "gelu", "ln"), "sgd", 250, 100, 16, 500),
    Task("olive", "muon", mlp(48, 2), "muon", 250, 100, 16, 300),
    Task("cars", "mlp", mlp(48, 2), "adamw", 400, 120, 16, 700),
    Task("cars", "lbfgs", mlp(16, 1, "tanh"), "lbfgs", 400, 120, 400, 200),
    Task("air_fares", "bn", mlp(64, 3, norm="bn"), "momentum", 2500, 600, 64, 800),
    Task("computers", "mlp", mlp(64, 2), "adagrad", 3000, 700, 64, 600),
    Task("computers", "res", resmlp(32, 2), "nesterov", 3000, 700, 64, 800),
    Task("checkerboard", "muon", mlp(64, 2), "muon", 2000, 500, 32, 900),
    Task("breast_cancer", "muon", mlp(48, 2), "muon", 250, 100, 16, 300),
    Task("loans", "muon", mlp(64, 2, drop=0.2), "muon", 4000, 1000, 64, 500),
    Task("text_english", "muon", transformer(32, 2), "muon", 3000, 200, 16, 350),
    # once
    Task("diabetes", "drop", mlp(32, 2, drop=0.2), "adamw", 200, 80, 16, 340),
    Task("parity4", "mlp", mlp(64, 2), "adamw", 3000, 500, 32, 1500),
    Task("product", "mlp", mlp(32, 1), "adamw", 300, 200, 10, 600),
    Task("product", "mlp", mlp(64, 2), "momentum", 1500, 300, 32, 1200),
    Task("friedman3", "mlp", mlp(64, 2), "sgd", 2000, 500, 32, 900),
    Task("friedman3", "silu", mlp(96, 3, "silu"), "adamw", 2000, 500, 64, 700),
    Task("polynomial", "mlp", mlp(96, 2), "adam", 2500, 600, 64, 900),
    Task("polynomial", "nesterov", mlp(64, 3, "gelu"), "nesterov", 2500, 600, 64, 900),
    Task("cifar_5_9", "cnn", cnn(12), "momentum", 3000, 800, 64, 400),
    Task("cifar_5_9", "res", resnet(12, 1), "adamw", 3000, 800, 64, 300),
    Task("cifar_5_9", "tuned", cnn(12), "momentum", 1500, 500, 32, 250, start="cifar"),
    Task("colour_textures", "cnn", cnn(12), "adam", 2500, 600, 64, 350),
    Task("power_demand", "conv", conv1d(16), "adamw", 500, 200, 32, 350),
    Task("power_demand", "lstm", recurrent("lstm", 24), "rmsprop", 500, 200, 32, 300),
    Task("henon", "mlp", mlp(64, 2), "momentum", 3000, 600, 64, 900),
    Task("sunspots", "gru", recurrent("gru", 24), "adamw", 2000, 500, 64, 300),
    Task("text_c", "tf", transformer(32, 2), "adamw", 3000, 200, 16, 350),
    Task("text_c", "lstm", recurrent("lstm", 48), "adam", 3000, 200, 16, 300),
    Task("which_header", "tf", transformer(32, 1), "adam", 2500, 500, 32, 350),
    Task("rodents", "mlp", mlp(64, 2), "adamw", 4000, 1000, 64, 700),
    Task("churn_calls", "bn", mlp(64, 2, norm="bn"), "sgd", 2000, 500, 32, 600),
    Task("churn_calls", "mlp", mlp(64, 2), "adamw", 2000, 500, 32, 500),
    Task("email", "ln", mlp(64, 2, norm="ln"), "momentum", 1800, 500, 32, 500),
    Task("fishing", "mlp", mlp(32, 2, "tanh"), "adam", 600, 200, 16, 400),
    Task("trains", "mlp", mlp(64, 2), "adamw", 2500, 600, 32, 700),
    Task("hotels", "mlp", mlp(96, 2), "momentum", 5000, 1000, 64, 800),
    Task("storms", "res", resmlp(32, 2), "adamw", 5000, 1000, 64, 900),
    Task("product", "muon", mlp(64, 2), "muon", 1500, 300, 32, 700),
    Task("churn_calls", "muon", mlp(64, 2, drop=0.2), "muon", 2000, 500, 32, 500),
    Task("text_c", "muon", transformer(32, 2), "muon", 3000, 200, 16, 350),
    Task("which_header", "muon", transformer(32, 1), "muon", 2500, 500, 32, 350),
    # long
    Task("mnist", "mlp-long", mlp(64, 2), "momentum", 8000, 1000, 32, 6000),
    Task("blobs20", "long", mlp(64, 3), "adamw", 6000, 800, 32, 8000),
    Task("teacher_tanh", "ln-long", mlp(64, 3, "gelu", "ln"), "adamw", 6000, 800, 32, 8000),
    Task("diamonds", "long", mlp(64, 3), "adam", 12000, 1500, 64, 6000),
    Task("weather", "long", mlp(64, 3, norm="bn"), "momentum", 12000, 1500, 64, 5000),
    Task("text_python", "tf-long", transformer(32, 2), "adamw", 8000, 300, 8, 3000),
    Task("cifar", "cnn-long", cnn(8), "momentum", 8000, 800, 32, 3000),
    Task("blobs40", "long", mlp(64, 2), "sgd", 6000, 800, 32, 10000),
    Task("checkerboard", "long", mlp(64, 2), "adamw", 5000, 800, 32, 6000),
    Task("mackey_glass", "long", mlp(64, 3), "adamw", 7000, 800, 32, 5000),
    Task("text_english", "lstm-long", recurrent("lstm", 32), "adam", 8000, 300, 8, 3000),
    Task("polynomial", "long", mlp(64, 3), "momentum", 7000, 800, 32, 6000),
    Task("storms", "long", mlp(64, 3), "adamw", 14000, 1500, 64, 5000),
    Task("text_c", "tf-long", transformer(32, 1), "adamw", 8000, 300, 8, 3000),
    Task("rodents", "long", mlp(48, 2), "sgd", 12000, 1500, 32, 8000),
    # tiny
    Task("digits", "tiny", mlp(64, 2), "adamw", 900, 300, 64, 40),
    Task("digits", "tiny", mlp(64, 2), "momentum", 900, 300, 100, 20),
    Task("credit", "tiny", mlp(32, 2), "adam", 500, 200, 50, 60),
    Task("concrete", "tiny", mlp(32, 2), "adamw", 400, 150, 50, 80),
    Task("mnist", "tiny", cnn(8), "adamw", 1000, 300, 100, 50),
    Task("spam", "tiny", mlp(32, 1), "sgd", 640, 300, 64, 10),
    Task("mnist", "tiny", mlp(96, 2), "momentum", 1500, 400, 50, 60),
    Task("blobs20", "tiny", mlp(64, 2, "tanh"), "sgd", 1200, 400, 60, 40),
    Task("blobs20", "tiny", mlp(64, 2), "adamw", 600, 300, 100, 12),
    Task("friedman1", "tiny", mlp(64, 2), "adamw", 800, 300, 40, 100),
    Task("teacher_tanh", "tiny", mlp(48, 2, "gelu"), "adam", 1600, 400, 64, 80),
    Task("waves", "tiny", conv1d(16), "adamw", 640, 300, 64, 40),
    Task("diamonds", "tiny", mlp(64, 2), "adam", 1500, 400, 100, 30),
    Task("weather", "tiny", mlp(64, 2, norm="bn"), "momentum", 1600, 400, 64, 50),
    Task("sines", "tiny", mlp(96, 2, "tanh"), "adamw", 1000, 300, 50, 100),
    Task("spam", "tiny", mlp(48, 2), "adam", 512, 300, 64, 16),
    Task("churn_phone", "tiny", mlp(32, 1), "adamw", 800, 300, 100, 24),
    Task("credit", "tiny", linear(), "sgd", 1000, 300, 50, 40),
    Task("digits", "tiny-cnn", cnn(8), "adamw", 640, 300, 64, 20),
    Task("houses", "tiny", mlp(64, 2), "adamw", 1000, 300, 64, 64),
    Task("computing_jobs", "tiny", mlp(64, 2), "rmsprop", 1000, 300, 50, 50),
    Task("package_checks", "tiny", mlp(64, 3, norm="ln"), "momentum", 1600, 400, 64, 100),
    Task("swiss_roll", "tiny", mlp(32, 2), "sgd", 800, 300, 40, 80),
    Task("breast_cancer", "tiny", mlp(16, 1), "sgd", 250, 100, 25, 30),
    Task("cells", "tiny", mlp(32, 2), "adamw", 400, 200, 50, 8),
    Task("cars", "tiny", mlp(32, 2), "momentum", 300, 120, 30, 100),
    Task("vowels", "tiny", recurrent("gru", 24), "adam", 300, 120, 30, 50),
    Task("diabetes", "tiny", mlp(16, 1), "adamw", 200, 80, 20, 30),
    Task("email", "tiny", mlp(32, 1), "momentum", 640, 300, 64, 40),
    Task("product", "tiny", mlp(32, 1), "adamw", 600, 200, 30, 100),
    Task("churn_calls", "tiny", mlp(32, 2), "adam", 800, 300, 100, 16),
    # fit: clipped
    Task("text_python", "lstm-clip", recurrent("lstm", 48), "sgd", 3000, 200, 16, 300, clip=0.25),
    Task("which_module", "gru-clip", recurrent("gru", 32), "sgd", 2500, 500, 32, 300, clip=0.1),
    Task("digits", "mlp-clip", mlp(96, 2), "sgd", 1200, 300, 32, 400, clip=0.1),
    Task("mnist", "cnn-clip", cnn(8), "sgd", 2000, 500, 50, 300, clip=0.25),
    Task("teacher_tanh", "mlp-clip", mlp(64, 2), "sgd", 1600, 400, 50, 400, clip=0.05),
    Task("sines", "mlp-clip", mlp(64, 2, "tanh"), "momentum", 1500, 400, 50, 400, clip=0.1),
    Task("waves", "gru-clip", recurrent("gru", 32), "momentum", 2000, 500, 64, 300, clip=0.05),
    Task("spirals", "mlp-clip", mlp(64, 2, "tanh"), "momentum", 1500, 400, 50, 600, clip=0.02),
    Task("cifar", "cnn-clip", cnn(8), "momentum", 2000, 500, 50, 300, clip=0.1),
    # choose and once: clipped
    Task("text_english", "lstm-clip", recurrent("lstm", 48), "sgd", 3000, 200, 16, 300, clip=0.1),
    Task("breast_cancer", "mlp-clip", mlp(48, 2), "sgd", 300, 120, 20, 300, clip=0.05),
    Task("mackey_glass", "gru-clip", recurrent("gru", 24), "sgd", 2000, 500, 64, 300, clip=0.05),
    Task("blobs40", "mlp-clip", mlp(96, 2, "tanh"), "momentum", 2000, 500, 50, 400, clip=0.1),
    Task("text_c", "lstm-clip", recurrent("lstm", 48), "sgd", 3000, 200, 16, 300, clip=0.25),
    Task("which_header", "gru-clip", recurrent("gru", 32), "sgd", 2500, 500, 32, 300, clip=0.25),
    Task("product", "mlp-clip", mlp(64, 2), "momentum", 2000, 500, 50, 600, clip=0.05),
    Task("cifar_5_9", "cnn-clip", cnn(8), "sgd", 2000, 500, 50, 300, clip=0.1),
]
TASKS = {task.name: task for task in _ALL}
if len(TASKS) != len(_ALL):
    raise ValueError("two tasks have one name")
