"""What whoever receives a checkpoint should know of it, as Markdown in the layout of the Hugging Face hub."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ot3l_core.finetune.architectures import Architecture
from ot3l_core.finetune.evaluation import Evaluation, Spread, accuracy_interval
from ot3l_core.finetune.heads import HeadLayout
from ot3l_core.finetune.preprocessing import Preprocessing
from ot3l_core.names import Strategy

_BUILDERS: Final = {
    "torchvision": ("import torchvision", "torchvision.models.get_model"),
    "efficientnet_lite_pytorch": ("from efficientnet_lite_pytorch import EfficientNet", "EfficientNet.from_name"),
}
_FIGURE: Final = "\n\n![Confusion, reliability and learning curves]({name})"
_MARKUP: Final = re.compile(r"([\\`*_\[\]<>#|~$&])")


@dataclass(frozen=True, slots=True)
class ModelCardFacts:
    """All that a model card says; nothing is said that is not here.

    Attributes:
        title: What the checkpoint is called.
        backbone: Its name in the catalogue.
        architecture: How the backbone was built and cut.
        head: Shape of the trained layers.
        preprocessing: How pictures become input.
        classes: The L class names, in the order of the outputs.
        dataset: Name of the dataset that its samples were selected from.
        dataset_digest: Of that dataset.
        strategy: How the samples were selected.
        budget: How many were.
        alpha: Share of the highest class or sample scores in a mixed selection; None elsewhere.
        seed: Of the selection and training of exactly these weights.
        seeds: All that were tried.
        evaluation: Of exactly these weights, on test samples that neither selection nor training saw.
        accuracies: Over all seeds.
        temperature: What the logits were divided by; it is part of the weights.
        versions: Of the packages it was trained with.
        checkpoint: Name of the safetensors file.
        program: Name of the ``torch.export`` program, where there is one.
        onnx: Name of the ONNX file, where there is one.
        test_dataset: Name of the dataset that it was tested on, where that is another.
        tuned_blocks: How many of the backbone's last blocks were trained together with the head, ``"all"`` or a number;
            None where only the head was.
        figure: Name of a picture of what was measured, where one lies beside the card.
        script: Name of ``classify.py``, where it lies beside the card.
    """

    title: str
    backbone: str
    architecture: Architecture
    head: HeadLayout
    preprocessing: Preprocessing
    classes: tuple[str, ...]
    dataset: str
    dataset_digest: str
    strategy: Strategy
    budget: int
    alpha: float | None
    seed: int
    seeds: tuple[int, ...]
    evaluation: Evaluation
    accuracies: Spread
    temperature: float
    versions: Mapping[str, str]
    checkpoint: str = "checkpoint.safetensors"
    program: str | None = None
    onnx: str | None = None
    test_dataset: str | None = None
    tuned_blocks: str | None = None
    figure: str | None = None
    script: str | None = None


def write_model_card(facts: ModelCardFacts) -> str:
    """The card as Markdown with YAML front matter; equal facts give equal text."""
    sections = (
        _front_matter(facts),
        f"# {_plain(facts.title)}",
        _summary(facts),
        f"## Data and selection\n\n{_selection(facts)}",
        f"## Measured\n\n{_measured(facts)}",
        f"### Each class\n\n{_classes(facts)}",
        f"## Intended use and limits\n\n{_limits(facts)}",
        f"## How to load it\n\n{_loading(facts)}",
        f"## Made with\n\n{_versions(facts)}",
    )
    return "\n\n".join(sections) + "\n"


def loading_code(facts: ModelCardFacts) -> str:
    """Python that rebuilds the network from its checkpoint with the library of its layers, PyTorch and safetensors.

    It leaves ``network``, and ``prepare`` which makes its input, shape ``(3, h, w)``, from an RGB picture of Pillow.
    """
    how, head, cut = facts.preprocessing, facts.head, facts.architecture.cut_module
    arguments = "".join(f", {name}={value!r}" for name, value in sorted(facts.architecture.arguments.items()))
    imported, builder = _BUILDERS[facts.architecture.library]
    kept = f"backbone.{cut}[:{facts.architecture.cut_keep}]" if facts.architecture.cut_keep else "nn.Sequential()"
    return f"""\
from collections import OrderedDict

{imported}
from safetensors.torch import load_file
from torch import nn
from torchvision import transforms

backbone = {builder}({facts.architecture.name!r}{arguments})
backbone.{cut} = {kept}
head = nn.Sequential(
    OrderedDict(
        penultimate=nn.Linear({head.feature_dim}, {head.hidden}),
        activation=nn.{head.activation}(),
        output=nn.Linear({head.hidden}, {head.n_classes}),
    )
)
network = nn.Sequential(OrderedDict(backbone=backbone, head=head)).eval()
weights = load_file({facts.checkpoint!r})
for name, tensor in network.state_dict().items():
    tensor.copy_(weights[name])

prepare = transforms.Compose(
    [
        transforms.Resize({how.resize_size}, transforms.InterpolationMode.{how.interpolation.upper()}),
        transforms.CenterCrop({how.input_size}),
        transforms.ToTensor(),
        transforms.Normalize({list(how.mean)}, {list(how.std)}),
    ]
)
"""


def _front_matter(facts: ModelCardFacts) -> str:
    dataset = _quoted(facts.test_dataset or facts.dataset)
    return f"""\
---
# license: the weights of the backbone and your data decide; choose one and name it here
library_name: pytorch
pipeline_tag: image-classification
tags:
- image-classification
- transfer-learning
- ot3l
model-index:
- name: {_quoted(facts.title)}
  results:
  - task:
      type: image-classification
    dataset:
      name: {dataset}
      type: {dataset}
      split: test
    metrics:
    - type: accuracy
      value: {facts.evaluation.accuracy:.4f}
    - type: f1
      name: macro F1
      value: {facts.evaluation.macro_f1:.4f}
    - type: expected_calibration_error
      value: {facts.evaluation.calibration_error:.4f}
---"""


def _summary(facts: ModelCardFacts) -> str:
    side = facts.preprocessing.input_size
    tuned = "" if facts.tuned_blocks is None else f" Of its other layers, {facts.tuned_blocks} blocks were trained too."
    return (
        f"Tells {len(facts.classes)} classes of images apart. It is the network `{facts.backbone}`, whose last two "
        f"dense layers have {facts.head.hidden} and {facts.head.n_classes} outputs.{tuned} Input: RGB pictures, "
        f"brought to {side} x {side} pixels as below; output: logits, whose softmax is the probability of each class."
    )


def _selection(facts: ModelCardFacts) -> str:
    alpha = "" if facts.alpha is None else f", alpha {facts.alpha:g}"
    tested = "its test split" if facts.test_dataset is None else f"the dataset {_plain(facts.test_dataset)}"
    return f"""\
| | |
|---|---|
| dataset | {_plain(facts.dataset)} |
| digest of the dataset | `{facts.dataset_digest}` |
| trained on | {facts.budget} samples of its pool, of which some may have been held out for validation |
| selected by | `{facts.strategy}`{alpha} |
| seed of these weights | {facts.seed}, of {", ".join(map(str, facts.seeds))} tried |
| tested on | {facts.evaluation.n} samples of {tested}, which neither selection nor training saw |"""


def _measured(facts: ModelCardFacts) -> str:
    found = facts.evaluation
    low, high = accuracy_interval(found.accuracy, found.n)
    calibrated = (
        "The probabilities are as trained: no temperature could be fitted, for want of held-out samples or of errors "
        "on them."
        if facts.temperature == 1
        else f"The logits are already divided by the temperature {facts.temperature:.3f}, which was fitted on samples "
        "that were held out from those selected."
    )
    return f"""\
| | |
|---|---|
| accuracy | {found.accuracy:.2%}, 95% interval {low:.2%} to {high:.2%} (Wilson, from {found.n} test samples) |
| accuracy over seeds | {_over_seeds(facts.accuracies, len(facts.seeds))} |
| macro F1 | {found.macro_f1:.4f} |
| expected calibration error | {found.calibration_error:.4f} |
| log loss | {found.log_loss:.4f} nats |
| Brier loss | {found.brier_loss:.4f}, of 2 at most |

{calibrated}{"" if facts.figure is None else _FIGURE.format(name=facts.figure)}"""


def _over_seeds(accuracies: Spread, n_seeds: int) -> str:
    if accuracies.half_width is None:
        return f"{accuracies.mean:.2%}, one seed"
    return f"{accuracies.mean:.2%} ± {accuracies.half_width:.2%} (95% interval of the mean over {n_seeds} seeds)"


def _classes(facts: ModelCardFacts) -> str:
    found = facts.evaluation
    rows = zip(facts.classes, found.confusion, found.per_class_recall, strict=True)
    return "| class | test samples | found (recall) |\n|---|---|---|\n" + "\n".join(
        f"| {_plain(name)} | {sum(counts)} | {'none to find' if recall is None else f'{recall:.2%}'} |"
        for name, counts, recall in rows
    )


def _limits(facts: ModelCardFacts) -> str:
    seeds = ""
    if len(facts.seeds) > 1:
        seeds = f"\n- These weights are one of {len(facts.seeds)} seeds; the test split had no say in which."
    return f"""\
- It is for pictures like those of {_plain(facts.dataset)}: what was measured holds for such pictures alone.
- It answers with one of its {len(facts.classes)} classes whatever a picture shows. Whether it can tell that none of
  them is there was not tested.
- It was not tested for bias against groups of people, for altered or hostile pictures, or for use where errors do harm.
- Classes with few test samples have uncertain recalls.{seeds}"""


def _loading(facts: ModelCardFacts) -> str:
    predict = """\
from PIL import Image

picture = prepare(Image.open("photo.jpg").convert("RGB"))[None]
probabilities = network(picture).softmax(dim=1)
"""
    names = f"classes = {json.dumps(facts.classes, ensure_ascii=False)}\n"
    parts = [
        f"With the library of its layers, PyTorch and safetensors, from `{facts.checkpoint}`:",
        _fenced(f"{loading_code(facts)}\n{predict}"),
        "The classes, in the order of the outputs:",
        _fenced(names),
    ]
    if facts.script is not None:
        parts += ["The same, as a program:", f"```sh\npython {facts.script} {facts.checkpoint} photo.jpg\n```"]
    if facts.program is not None:
        code = f"import torch\n\nprobabilities = torch.export.load({facts.program!r}).module()(picture)\n"
        parts += [f"With PyTorch alone, from `{facts.program}`:", _fenced(code)]
    if facts.onnx is not None:
        code = f"""\
from onnxruntime import InferenceSession

(probabilities,) = InferenceSession({facts.onnx!r}).run(None, {{"pictures": picture.numpy()}})
"""
        parts += [f"With ONNX Runtime, from `{facts.onnx}`:", _fenced(code)]
    return "\n\n".join(parts)


def _fenced(code: str) -> str:
    return f"```python\n{code}```"


def _versions(facts: ModelCardFacts) -> str:
    return "\n".join(f"- {name} {number}" for name, number in sorted(facts.versions.items()))


def _quoted(text: str) -> str:
    """A YAML scalar: JSON's strings are among them."""
    return json.dumps(text, ensure_ascii=False)


def _plain(text: str) -> str:
    """Text that Markdown takes for nothing else, on one line."""
    return _MARKUP.sub(r"\\\1", " ".join(text.split()))
