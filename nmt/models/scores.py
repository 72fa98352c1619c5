"""How well a decoder's state matches each source position: additive (Bahdanau et al. 2015), dot and general
(Luong et al. 2015, section 3.1)."""

import math

import torch
from torch import Tensor, nn


def additive_scores(query: Tensor, keys: Tensor, vector: Tensor) -> Tensor:
    """e_ij = v_a^T tanh(W_a s_{i-1} + U_a h_j) (Bahdanau et al. 2015, appendix A.1.2).

    query [batch, beam, width] is W_a s_{i-1}, keys [batch, source, width] are U_a h_j, vector [width] is v_a;
    returns [batch, beam, source].
    """
    return (query[:, :, None] + keys[:, None]).tanh() @ vector


def dot_scores(query: Tensor, keys: Tensor) -> Tensor:
    """s_{i-1}^T h_j, or with keys W_a h_j Luong's general score; shapes as above, returns [batch, beam, source]."""
    return query @ keys.transpose(1, 2)


def soft_alignment(scores: Tensor, mask: Tensor) -> Tensor:
    """alpha_ij = exp(e_ij) / sum_k exp(e_ik) (Bahdanau et al. 2015, equation 6) over the source's own positions.

    scores [batch, beam, source]; mask [batch, 1, source], True on positions that are not padding.
    """
    return scores.masked_fill(~mask, -torch.inf).softmax(dim=-1)


class Score(nn.Module):
    """A score with its weights. `project` makes the keys once a sentence; `query_weight` is all that each step needs.

    kind: `additive`, `dot` (the state and the annotations must be of one width) or `general`.
    """

    def __init__(self, kind: str, width: int, annotation_width: int) -> None:
        super().__init__()
        self.kind = kind
        if kind != "dot":
            self.key = nn.Linear(annotation_width, width, bias=kind == "additive")
        if kind == "additive":
            self.query_weight = nn.Parameter(torch.empty(width, width))
            self.vector = nn.Parameter(torch.empty(width))
            nn.init.xavier_uniform_(self.query_weight)
            nn.init.uniform_(self.vector, -1 / math.sqrt(width), 1 / math.sqrt(width))

    def project(self, annotations: Tensor) -> Tensor:
        """Annotations h_j [batch, source, annotation width] to keys [batch, source, width]."""
        return annotations if self.kind == "dot" else self.key(annotations)

    def forward(self, query: Tensor, keys: Tensor) -> Tensor:
        """query [batch, beam, width], for `additive` multiplied by `query_weight`, else the state itself."""
        if self.kind == "additive":
            return additive_scores(query, keys, self.vector)
        return dot_scores(query, keys)
