"""GINet: a graph of what is seen, spoken to by a graph of what is meant."""

import torch
from torch import Tensor, nn

from nanolab.models.networks.blocks import classifier, conv_norm_relu
from nanolab.models.networks.encoder import CHANNELS, OnEncoder

__all__ = ["GIHead", "GraphConvolution", "GraphInteraction", "ginet"]


def ginet(
    out_channels: int,
    *,
    pretrained: bool = True,
    output_stride: int = 8,
    width: int = 512,
    nodes: int = 64,
    concepts: int = 16,
) -> nn.Module:
    """Make GINet on the encoder EfficientNet-Lite0.

    The paper's semantic graph has one node a class, which begins as the vector of the class's word. Here classes have
    no words: a few nodes begin as vectors that are learned. What the visual graph tells the semantic one serves only
    the paper's semantic context loss, and is left out with it, and so is PaddleSeg's auxiliary loss inside the encoder.

    Parameters
    ----------
    out_channels
        Channels of the logits.
    pretrained
        Whether the encoder starts from what it learned on ImageNet.
    output_stride
        8 as in the paper; 16 and 32 are coarser and faster.
    width
        Features of the head.
    nodes, concepts
        Nodes of the visual and of the semantic graph.

    References
    ----------
    Wu et al. 2020, GINet: Graph Interaction Network for Scene Parsing, 10.1007/978-3-030-58520-4_3, arXiv:2009.06160.
    """
    head = GIHead(CHANNELS[-1], out_channels, width, nodes, concepts)
    return OnEncoder(head, pretrained=pretrained, output_stride=output_stride)


class GIHead(nn.Module):
    """A convolution, the graph interaction unit and the classifier."""

    def __init__(self, inputs: int, out_channels: int, width: int, nodes: int, concepts: int) -> None:
        super().__init__()
        self.reduce = conv_norm_relu(inputs, width)
        self.interaction = GraphInteraction(width, width // 2, nodes, concepts)
        self.logits = classifier(width, out_channels)

    def forward(self, levels: list[Tensor]) -> Tensor:
        return self.logits(self.interaction(self.reduce(levels[-1])))


class GraphInteraction(nn.Module):
    """Projects pixels on visual nodes, reasons among these and with semantic ones, projects back; keeps the shape.

    Parameters
    ----------
    width, states
        Features of a pixel and of a node.
    nodes, concepts
        Visual and semantic nodes.
    """

    def __init__(self, width: int, states: int, nodes: int, concepts: int) -> None:
        super().__init__()
        self.assign, self.state = nn.Conv2d(width, nodes, 1), nn.Conv2d(width, states, 1)
        self.concepts = nn.Parameter(torch.randn(1, concepts, states))
        self.visual, self.semantic = GraphConvolution(states, nodes), GraphConvolution(states, concepts)
        self.query = nn.Linear(states, states // 2)
        self.key = nn.Linear(states, states // 2, bias=False)  # softmax would take a bias away again
        self.value = nn.Linear(states, states)
        self.share = nn.Parameter(torch.zeros(nodes, 1))
        self.back = nn.Sequential(nn.Conv2d(states, width, 1, bias=False), nn.BatchNorm2d(width))

    def forward(self, features: Tensor) -> Tensor:
        assignment = self.assign(features).flatten(2)
        states = self.state(features).flatten(2)
        seen = self.visual(assignment @ states.mT / states.shape[-1])
        meant = self.semantic(self.concepts)
        attention = (self.query(seen) @ self.key(meant).mT).softmax(dim=-1)
        seen = seen + self.share * (attention.to(seen.dtype) @ self.value(meant))
        pixels: Tensor = self.back((seen.mT @ assignment).unflatten(2, features.shape[-2:]))
        return features + pixels


class GraphConvolution(nn.Module):
    """One step of reasoning over nodes that are all connected: (batch, nodes, states) to the same shape.

    References
    ----------
    Chen et al. 2019, Graph-Based Global Reasoning Networks, arXiv:1811.12814.
    """

    def __init__(self, states: int, nodes: int) -> None:
        super().__init__()
        self.exchange, self.update = nn.Linear(nodes, nodes), nn.Linear(states, states, bias=False)

    def forward(self, graph: Tensor) -> Tensor:
        return self.update(torch.relu(graph + self.exchange(graph.mT).mT))
