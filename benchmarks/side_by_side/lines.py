"""The lines of the table: networks, tasks and methods that both sides compute."""

from typing import Any, NamedTuple


class Network(NamedTuple):
    """A network of the catalogue, with random weights. eps: the radius around its images."""

    model: str
    shape: tuple[int, int, int]
    scale: float
    eps: float


class Line(NamedTuple):
    """A computation. task: 'training' or 'certification'. arithmetic: of our certification."""

    network: str
    task: str
    method: str
    batch: int
    arithmetic: str = "fast"

    @property
    def what(self) -> str:
        """The name of the line in the table."""
        suffix = f", {self.arithmetic}" if self.task == "certification" else ""
        return f"{NAMES[self.method]}{suffix}"

    @property
    def asked(self) -> dict[str, Any]:
        """The part of a request that tells the peer which computation it is."""
        return {"task": self.task, "method": self.method, "eps": NETWORKS[self.network].eps}


NAMES = {
    "natural": "natural",
    "interval": "interval",
    "crown_ibp": "CROWN-IBP",
    "crown": "full CROWN",
}
NETWORKS = {
    "small": Network("wong_small", (28, 28, 1), 1.0, 0.1),
    "cnn7, quarter": Network("cnn7", (32, 32, 3), 0.25, 2.0 / 255.0),
    "large": Network("wong_large", (28, 28, 1), 1.0, 0.1),
}
CERTIFIED = [  # images at once
    ("small", "interval", 1000),
    ("small", "crown_ibp", 200),
    ("small", "crown", 50),
    ("cnn7, quarter", "interval", 200),
    ("cnn7, quarter", "crown_ibp", 50),
    ("large", "interval", 100),
    ("large", "crown_ibp", 50),
    ("large", "crown", 1),
]
LINES = [
    Line(network, "training", method, 100)
    for network in NETWORKS
    for method in ("natural", "interval", "crown_ibp")
] + [
    Line(network, "certification", method, batch, arithmetic)
    for network, method, batch in CERTIFIED
    for arithmetic in ("fast", "sound")
]
