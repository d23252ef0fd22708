"""Wide residual network 40-2 for small images: batch norm and ReLU come before each convolution.

The names and shapes of the weights are those of the public checkpoints: conv1, block1.layer.0 …, bn1, fc; of a block bn1, conv1,
bn2, conv2 and, where the width changes, convShortcut.

Source: Zagoruyko and Komodakis 2016.
"""

from __future__ import annotations

import torch
from torch import nn

from runtime.models.small import Shape


class _Block(nn.Module):
    """Two pre-activated convolutions, added to the input; a change of width also pre-activates the shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.convShortcut = (
            None if inputs == outputs else nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        active = torch.relu(self.bn1(x))
        out: torch.Tensor = self.conv2(torch.relu(self.bn2(self.conv1(active))))
        return out + (x if self.convShortcut is None else self.convShortcut(active))


class _Stage(nn.Module):
    def __init__(self, count: int, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        first = _Block(inputs, outputs, stride)
        self.layer = nn.Sequential(first, *(_Block(outputs, outputs, 1) for _ in range(count - 1)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.layer(x)
        return out


class WideResidualNetwork(nn.Module):
    """Depth 40 and twice the width of the plain network.

    Args:
        shape: [C, H, W] of one input.
        num_classes: width of the logits.
    """

    def __init__(self, shape: Shape, num_classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(shape[0], 16, 3, padding=1, bias=False)
        self.block1 = _Stage(6, 16, 32, 1)
        self.block2 = _Stage(6, 32, 64, 2)
        self.block3 = _Stage(6, 64, 128, 2)
        self.bn1 = nn.BatchNorm2d(128)
        self.fc = nn.Linear(128, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = self.block3(self.block2(self.block1(self.conv1(x))))
        logits: torch.Tensor = self.fc(torch.relu(self.bn1(out)).mean(dim=(2, 3)))
        return logits


def wide_resnet40_2(shape: Shape, num_classes: int) -> nn.Module:
    """Wide ResNet 40-2, for images of about 32×32."""
    return WideResidualNetwork(shape, num_classes)
