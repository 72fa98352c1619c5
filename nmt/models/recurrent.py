"""Recurrent translators: RNNsearch, which attends (Bahdanau et al. 2015), and the RNN encoder-decoder, which cannot
(Cho et al. 2014; Sutskever et al. 2014). They differ in the context of a step alone.

Equations and sections are those of Bahdanau et al. (2015). The gated unit is torch's, in which the reset gate acts
after the product with the state, n = tanh(W e + C c + r * (U s + b)), where section A.1.1 has U (r * s): all three
products with a state are then one. torch's z keeps the old state, the paper's the new one.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import linear
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from nmt.config.model import ModelConfig
from nmt.models.attention import padding_mask
from nmt.models.decoder_state import DecoderState
from nmt.models.interface import Model, Weights
from nmt.models.scores import Score, soft_alignment


class Recurrent(Model):
    """What both share: the bidirectional encoder, the decoder's gated unit and the output layer."""

    def __init__(self, config: ModelConfig, vocabulary_size: int, target_size: int | None = None) -> None:
        super().__init__(config, vocabulary_size, target_size)
        width = config.width
        # The dot product of a state and an annotation needs one width for both.
        direction = width // 2 if config.attention == "dot" else width
        self.encoder = nn.GRU(width, direction, batch_first=True, bidirectional=True)
        self.decoder = nn.GRU(width + 2 * direction, width, batch_first=True)
        self.output = nn.Linear(2 * width + 2 * direction, 2 * width)

    def _annotate(self, source: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Section 3.2: annotations h_j = [forward state; backward state], [batch, source, 2 x direction].

        Also both directions' last states [2, batch, direction], the backward one's that of the first piece.
        """
        embedded = self._embed(self.source_embedding, source)  # [batch, source, width]
        packed = pack_padded_sequence(embedded, lengths.cpu(), batch_first=True, enforce_sorted=False)
        outputs, last = self.encoder(packed)
        return pad_packed_sequence(outputs, batch_first=True, total_length=source.size(1))[0], last

    def _states(self, states: Tensor, embedded: Tensor, contexts: Tensor) -> Tensor:
        """Appendix A.2.2: t_i, the pairwise maxima of U_o s_i + V_o E y_{i-1} + C_o c_i; [..., width].

        The appendix writes s_{i-1} there; equation 4, which it spells out, has s_i. The pairs are of the first and
        the second half of the dimensions, not of neighbours: the same but for their order.
        """
        doubled = self.output(torch.cat([states, embedded, contexts], dim=-1))  # [..., 2 x width]
        return self.dropout(torch.maximum(*doubled.chunk(2, dim=-1)))

    def _embed(self, embedding: nn.Embedding, pieces: Tensor) -> Tensor:
        # Scaled as in the transformer: a matrix that is tied to the output is small.
        return self.dropout(embedding(pieces) * math.sqrt(self.config.width))


class RNNSearch(Recurrent):
    """Attention over the annotations at each step (section 3.1). The memory is the annotations."""

    def __init__(self, config: ModelConfig, vocabulary_size: int, target_size: int | None = None) -> None:
        super().__init__(config, vocabulary_size, target_size)
        assert config.attention is not None  # the configuration fills it in
        direction = self.encoder.hidden_size
        self.first_state = nn.Linear(direction, config.width)
        self.score = Score(config.attention, config.width, 2 * direction)
        self._initialize()

    def encode(self, source: Tensor, lengths: Tensor, with_weights: bool = False) -> tuple[Tensor, Tensor, Weights]:
        """Annotations [batch, source, 2 x direction] and their mask [batch, 1, 1, source]; no self-attention."""
        annotations, _ = self._annotate(source, lengths)
        return annotations, padding_mask(lengths, source.size(1)), []

    def decode(
        self, target: Tensor, memory: Tensor, mask: Tensor, with_weights: bool = False, layer: int | None = None
    ) -> tuple[Tensor, Weights, Weights]:
        """States [batch, target, width]; the weights are one layer of one head, [batch, 1, target, source].

        Each step's attention needs the state before it, so positions are taken one by one; all that does not
        depend on a state stands outside the loop.
        """
        embedded = self._embed(self.target_embedding, target)  # [batch, target, width]
        from_pieces = self._from_pieces(embedded)  # [batch, target, 3 x width]
        source = (*self._project(memory), mask[:, 0])
        recurrent = self._recurrent()
        state = self._first(memory)  # [batch, 1, width]
        states, weights = [], []
        for inputs in from_pieces.split(1, dim=1):  # [batch, 1, 3 x width]
            state, alignment = self._advance(state, inputs, source, recurrent)
            states.append(state)
            weights.append(alignment)
        alignments = torch.cat(weights, dim=1)  # [batch, target, source]
        # Equation 5: c_i = sum_j alpha_ij h_j.
        outputs = self._states(torch.cat(states, dim=1), embedded, alignments @ memory)
        return outputs, [], [alignments[:, None]] if with_weights else []

    def start(self, source: Tensor, lengths: Tensor) -> DecoderState:
        """The state before the first step: the source encoded and projected once."""
        annotations, mask, _ = self.encode(source, lengths)
        keys, values = self._project(annotations)
        return DecoderState([mask[:, 0], annotations, keys, values], [self._first(annotations)])

    def step(self, pieces: Tensor, state: DecoderState) -> tuple[Tensor, DecoderState]:
        """Pieces [batch, beam] to log-probabilities [batch, beam, targets] of the next, and the next state."""
        mask, annotations, keys, values = state.per_sentence
        embedded = self._embed(self.target_embedding, pieces)  # [batch, beam, width]
        inputs = self._from_pieces(embedded)
        new, alignment = self._advance(state.per_hypothesis[0], inputs, (keys, values, mask), self._recurrent())
        outputs = self._states(new, embedded, alignment @ annotations)
        return self.logits(outputs).log_softmax(dim=-1), DecoderState(state.per_sentence, [new])

    def _advance(
        self, state: Tensor, inputs: Tensor, source: tuple[Tensor, Tensor, Tensor], recurrent: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, Tensor]:
        """One step of every hypothesis from s_{i-1}, `state` [batch, beam, width].

        `inputs` [batch, beam, 3 x width] is what the pieces add to the gates; `source` holds the keys, the values
        [batch, source, 3 x width] that each annotation would add, and the mask; `recurrent` is `_recurrent()`.
        Returns s_i [batch, beam, width] and the weights alpha_i [batch, beam, source].
        """
        keys, values, mask = source
        width = self.config.width
        from_state = linear(state, *recurrent)  # [batch, beam, 3 x width, for additive and the query's width]
        query = from_state[..., 3 * width :] if self.score.kind == "additive" else state
        alignment = soft_alignment(self.score(query, keys), mask)  # [batch, beam, source]
        # C c_i = C sum_j alpha_ij h_j = sum_j alpha_ij (C h_j): the products with C are made once a sentence.
        given = inputs + alignment @ values  # [batch, beam, 3 x width]
        gates = (given[..., : 2 * width] + from_state[..., : 2 * width]).sigmoid()
        reset, update = gates.chunk(2, dim=-1)
        proposal = torch.addcmul(given[..., 2 * width :], reset, from_state[..., 2 * width : 3 * width]).tanh()
        return torch.lerp(proposal, state, update), alignment  # section A.1.1 with torch's z: s_i = (1 - z) s~ + z s

    def _project(self, annotations: Tensor) -> tuple[Tensor, Tensor]:
        """U_a h_j [batch, source, width], and C h_j for the three gates [batch, source, 3 x width]."""
        from_inputs, *_ = self.decoder.all_weights[0]  # [W, C]
        return self.score.project(annotations), linear(annotations, from_inputs[:, self.config.width :])

    def _from_pieces(self, embedded: Tensor) -> Tensor:
        """W E y_{i-1} for the three gates, [..., 3 x width]."""
        from_inputs, _, bias, _ = self.decoder.all_weights[0]  # [W, C]
        return linear(embedded, from_inputs[:, : self.config.width], bias)

    def _recurrent(self) -> tuple[Tensor, Tensor]:
        """The matrices that every step multiplies the state with, U of the three gates and W_a, as one."""
        _, weight, _, bias = self.decoder.all_weights[0]
        if self.score.kind != "additive":
            return weight, bias
        return torch.cat([weight, self.score.query_weight]), nn.functional.pad(bias, (0, self.config.width))

    def _first(self, annotations: Tensor) -> Tensor:
        """Appendix A.2.2: s_0 = tanh(W_s h_1), of the backward state of the first piece; [batch, 1, width]."""
        backward = annotations[:, :1, self.encoder.hidden_size :]
        return self.first_state(backward).tanh()


class RNNEncoderDecoder(Recurrent):
    """One vector for the whole source (Cho et al. 2014, section 2.2). The memory is that vector; there is no alignment.

    c = tanh(V [forward state of `</s>`; backward state of the first piece]) (their appendix A.1, of both directions
    as in RNNsearch, so that the two models differ in attention alone), and every step reads it.
    """

    def __init__(self, config: ModelConfig, vocabulary_size: int, target_size: int | None = None) -> None:
        super().__init__(config, vocabulary_size, target_size)
        self.summary = nn.Linear(2 * config.width, 2 * config.width)
        self.first_state = nn.Linear(2 * config.width, config.width)
        self._initialize()

    def encode(self, source: Tensor, lengths: Tensor, with_weights: bool = False) -> tuple[Tensor, Tensor, Weights]:
        """The vector c [batch, 1, 2 x width] and the mask; there is no attention of any kind."""
        _, last = self._annotate(source, lengths)
        vector = self.summary(torch.cat(last.unbind(), dim=-1)).tanh()[:, None]
        return vector, padding_mask(lengths, source.size(1)), []

    def decode(
        self, target: Tensor, memory: Tensor, mask: Tensor, with_weights: bool = False, layer: int | None = None
    ) -> tuple[Tensor, Weights, Weights]:
        """States [batch, target, width]. What a step reads is known beforehand, so one call runs them all."""
        embedded = self._embed(self.target_embedding, target)  # [batch, target, width]
        contexts = memory.expand(-1, target.size(1), -1)  # [batch, target, 2 x width]
        first = self._first(memory).transpose(0, 1).contiguous()  # [1, batch, width]
        states, _ = self.decoder(torch.cat([embedded, contexts], dim=-1), first)
        return self._states(states, embedded, contexts), [], []

    def start(self, source: Tensor, lengths: Tensor) -> DecoderState:
        """The state before the first step: the vector of each sentence."""
        vector, _, _ = self.encode(source, lengths)
        return DecoderState([vector], [self._first(vector)])

    def step(self, pieces: Tensor, state: DecoderState) -> tuple[Tensor, DecoderState]:
        """Pieces [batch, beam] to log-probabilities [batch, beam, targets] of the next, and the next state."""
        embedded = self._embed(self.target_embedding, pieces)  # [batch, beam, width]
        contexts = state.per_sentence[0].expand(-1, pieces.size(1), -1)  # [batch, beam, 2 x width]
        inputs = torch.cat([embedded, contexts], dim=-1).flatten(0, 1)[:, None]  # [batch * beam, 1, 3 x width]
        _, new = self.decoder(inputs, state.per_hypothesis[0].flatten(0, 1)[None].contiguous())
        states = new[0].view_as(embedded)
        outputs = self._states(states, embedded, contexts)
        return self.logits(outputs).log_softmax(dim=-1), DecoderState(state.per_sentence, [states])

    def _first(self, vector: Tensor) -> Tensor:
        """Cho et al., appendix A.1: the decoder's first state is tanh(V' c); [batch, 1, width]."""
        return self.first_state(vector).tanh()
