"""Networks of the catalogue with random weights, published in a torch hub folder of the tests' own."""

from pathlib import Path
from urllib.parse import urlsplit

import pytest
import torch
from torch import nn
from torchvision.models import get_model_weights

from ot3l_core.catalogue import find_backbone
from ot3l_core.finetune.architectures import build_network
from ot3l_core.finetune.backbones import load_backbone
from ot3l_core.finetune.published import describe


def published_path(name):
    """Where torch hub looks for the default weights of a torchvision network."""
    file_name = Path(urlsplit(get_model_weights(name).DEFAULT.url).path).name
    return Path(torch.hub.get_dir()) / "checkpoints" / file_name


def random_network(name, seed=0, size=64):
    """An uncut network; its batch norms have the statistics of noise, or else its features would hardly vary."""
    torch.manual_seed(seed)
    network = build_network(describe(find_backbone(name)).architecture)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = 1.0
    with torch.no_grad():
        network.train()(torch.randn(4, 3, size, size))
    return network.eval()


@pytest.fixture(scope="package", autouse=True)
def _one_thread():
    """These networks are too small to share out: on a busy machine threads would mostly wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def torch_home(tmp_path, monkeypatch):
    """An empty torch hub, and no way to download into it."""

    def refuse(*_, **__):
        raise OSError("no route to host")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    return tmp_path


@pytest.fixture
def publish(torch_home):
    """Publishes a network with random weights; gives the uncut network."""

    def make(name, *, edit=lambda state: state, seed=0):
        network = random_network(name, seed)
        path = published_path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(edit(network.state_dict()), path)
        return network

    return make


@pytest.fixture(scope="session")
def backbone(tmp_path_factory):
    """A small backbone whose network ends in two dense layers."""
    path = tmp_path_factory.mktemp("weights") / "mobilenet.pt"
    torch.save(random_network("mobilenet_v3_small").state_dict(), path)
    return load_backbone("mobilenet_v3_small", input_size=32, weights=path)
