"""Search never asks which network it has: every architecture against a slow search without any cache."""

import pytest
import torch
from architectures import ARCHITECTURES, VOCABULARY, random_pieces, small_model
from test_search import END, START, assert_same, obvious_beam_search

from nmt.search.beam import SpecialPieces, beam_search
from nmt.search.options import SearchOptions

SOURCES = [[5, 9, 4, 17, 6, 6, 20, 11], [8, 12], [7, 7, 7, 19, 4]]
LIMITS = [9, 4, 7]


class Uncached:
    """The next piece's log-probabilities from the whole prefix anew, one sentence without padding at a time."""

    vocabulary = VOCABULARY

    def __init__(self, model) -> None:
        self.model = model

    def distribution(self, sentence: int, prefix: tuple[int, ...]) -> torch.Tensor:
        source = torch.tensor([SOURCES[sentence]])
        states = self.model(source, torch.tensor([source.size(1)]), torch.tensor([prefix]))
        return self.model.logits(states)[0, -1].log_softmax(-1)


def searched(model, sentences: list[int], options: SearchOptions):
    longest = max(len(SOURCES[sentence]) for sentence in sentences)
    source = random_pieces(1, len(sentences), longest)  # padding that is not the same everywhere
    for row, sentence in enumerate(sentences):
        source[row, : len(SOURCES[sentence])] = torch.tensor(SOURCES[sentence])
    state = model.start(source, torch.tensor([len(SOURCES[sentence]) for sentence in sentences]))
    limits = [LIMITS[sentence] for sentence in sentences]
    return beam_search(model.step, state, limits, options, SpecialPieces(START, END))


@pytest.mark.parametrize("beam", [1, 4])
@pytest.mark.parametrize("name", ARCHITECTURES)
@torch.no_grad()
def test_equals_the_obvious_search_in_any_batch(name, beam):
    model = small_model(name)
    model.output_bias[END] += 1.0  # some hypotheses end before their limit
    options = SearchOptions(beam, n_best=beam)
    together = searched(model, [0, 1, 2], options)
    for sentence, found in enumerate(together):
        assert_same(found, obvious_beam_search(Uncached(model), sentence, LIMITS[sentence], options))
        assert_same(searched(model, [sentence], options)[0], found)
    for found, expected in zip(searched(model, [2, 0], options), [together[2], together[0]], strict=True):
        assert_same(found, expected)
