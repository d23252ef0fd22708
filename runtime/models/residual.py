"""Residual networks: ResNet-20 and ResNet-110 for small images, ResNet-50 for large ones.

The names and shapes of the weights are those of the public checkpoints: conv1, bn1, layer1 …, fc; of a block conv1, bn1,
conv2, bn2 (conv3, bn3) and, where its shape changes, downsample.0 and downsample.1.

Source: He, Zhang, Ren and Sun 2016; the stride of a bottleneck sits in its 3×3 convolution.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn

from runtime.models.small import Shape


def _convolution(inputs: int, outputs: int, size: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, size, stride=stride, padding=size // 2, bias=False)


def _shortcut(inputs: int, outputs: int, stride: int) -> nn.Module | None:
    if stride == 1 and inputs == outputs:
        return None
    return nn.Sequential(_convolution(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))


class _Block(nn.Module):
    """Convolutions of the given sizes with batch norm, ReLU between them, added to the input and cut at 0."""

    def __init__(self, widths: tuple[int, ...], sizes: tuple[int, ...], strides: tuple[int, ...]) -> None:
        super().__init__()
        self.depth = len(sizes)
        for place, (pair, size, stride) in enumerate(zip(pairwise(widths), sizes, strides, strict=True), 1):
            self.add_module(f"conv{place}", _convolution(*pair, size, stride))
            self.add_module(f"bn{place}", nn.BatchNorm2d(pair[1]))
        self.downsample = _shortcut(widths[0], widths[-1], max(strides))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = x
        for place in range(1, self.depth + 1):
            out = self.get_submodule(f"bn{place}")(self.get_submodule(f"conv{place}")(out))
            if place < self.depth:
                out = torch.relu(out)
        return torch.relu(out + (x if self.downsample is None else self.downsample(x)))


def _basic(inputs: int, width: int, stride: int) -> _Block:
    return _Block((inputs, width, width), (3, 3), (stride, 1))


def _bottleneck(inputs: int, width: int, stride: int) -> _Block:
    return _Block((inputs, width, width, 4 * width), (1, 3, 1), (1, stride, 1))


class ResidualNetwork(nn.Module):
    """A stem, stages of residual blocks, the mean over positions, one linear layer.

    Args:
        shape: [C, H, W] of one input.
        num_classes: width of the logits.
        stem: width, size and stride of the first convolution; a stride of 2 is followed by a 3×3 maximum of stride 2.
        widths: width of each stage; every stage but the first halves height and width.
        blocks: number of blocks of each stage.
        bottleneck: blocks of three convolutions, four times as wide at their end, instead of two.
    """

    def __init__(
        self,
        shape: Shape,
        num_classes: int,
        *,
        stem: tuple[int, int, int],
        widths: tuple[int, ...],
        blocks: tuple[int, ...],
        bottleneck: bool = False,
    ) -> None:
        super().__init__()
        inputs, size, stride = stem
        self.conv1 = _convolution(shape[0], inputs, size, stride)
        self.bn1 = nn.BatchNorm2d(inputs)
        self.maxpool = nn.MaxPool2d(3, 2, padding=1) if stride == 2 else nn.Identity()
        self.stages = len(widths)
        block, growth = (_bottleneck, 4) if bottleneck else (_basic, 1)
        for stage, (width, count) in enumerate(zip(widths, blocks, strict=True), 1):
            first = block(inputs, width, 1 if stage == 1 else 2)
            inputs = growth * width
            rest = [block(inputs, width, 1) for _ in range(count - 1)]
            self.add_module(f"layer{stage}", nn.Sequential(first, *rest))
        self.fc = nn.Linear(inputs, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = self.maxpool(torch.relu(self.bn1(self.conv1(x))))
        for stage in range(1, self.stages + 1):
            out = self.get_submodule(f"layer{stage}")(out)
        logits: torch.Tensor = self.fc(out.mean(dim=(2, 3)))
        return logits


def cifar_resnet20(shape: Shape, num_classes: int) -> nn.Module:
    """ResNet-20 with two-convolution blocks, for images of about 32×32."""
    return ResidualNetwork(shape, num_classes, stem=(16, 3, 1), widths=(16, 32, 64), blocks=(3, 3, 3))


def cifar_resnet110(shape: Shape, num_classes: int) -> nn.Module:
    """ResNet-110 with two-convolution blocks, for images of about 32×32."""
    return ResidualNetwork(shape, num_classes, stem=(16, 3, 1), widths=(16, 32, 64), blocks=(18, 18, 18))


def imagenet_resnet50(shape: Shape, num_classes: int) -> nn.Module:
    """ResNet-50 with bottleneck blocks, for images of about 224×224."""
    return ResidualNetwork(
        shape,
        num_classes,
        stem=(64, 7, 2),
        widths=(64, 128, 256, 512),
        blocks=(3, 4, 6, 3),
        bottleneck=True,
    )
