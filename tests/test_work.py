"""How much is done, counted and not timed: kernels, steps, padding; and each fast path beside its slow twin."""

import itertools
import threading
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from kernels import Calls
from tiny import tiny_config

from nmt.engines.torch_engine import TorchEngine, on_every_core
from nmt.errors import UserError
from nmt.models import build_model
from nmt.models.decoder_state import append_to_cache
from nmt.prefetch import prefetch
from nmt.search.continuations import GROUP, best_continuations, plain_continuations
from nmt.search.options import SearchOptions
from nmt.training.loss import CHUNK, Objective, batch_loss
from nmt.training.pairs import make_batch

VOCABULARY = 400


@pytest.fixture
def model():
    torch.manual_seed(0)
    return build_model(tiny_config().model, VOCABULARY).eval()


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 4), st.integers(1, 5), st.integers(2, 9 * GROUP), st.integers(1, 12), st.integers(0, 10**6))
def test_two_stages_find_what_one_finds(batch, beam, vocabulary, count, seed):
    random = torch.Generator().manual_seed(seed)
    live, log_probabilities = (
        torch.randn(*shape, generator=random) for shape in ((batch, beam), (batch, beam, vocabulary))
    )
    log_probabilities[:, :, : min(3, vocabulary - 1)] = -torch.inf
    expected = plain_continuations(live, log_probabilities, count)
    found = best_continuations(live, log_probabilities, count)
    torch.testing.assert_close(found.scores, expected.scores, rtol=0, atol=0)
    finite = expected.scores.isfinite()  # which of several impossible ones does not matter
    for ours, theirs in zip(found[1:], expected[1:], strict=True):
        assert torch.equal(ours[finite], theirs[finite])


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 4), st.integers(1, 4), st.integers(1, 4), st.integers(0, 10**6))
def test_one_copy_extends_the_past_as_two_do(steps, batch, beam, seed):
    random = torch.Generator().manual_seed(seed)
    past, new = torch.randn(steps, 5, 2, generator=random), torch.randn(batch, beam, 2, generator=random)
    places = torch.randint(0, 5, (batch, beam), generator=random)
    plainly = torch.cat([past[:, places.flatten()], new.flatten(0, 1)[None]])
    assert torch.equal(append_to_cache(past, places, new), plainly)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_work_on_every_core_is_that_of_one(threads):
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        assert on_every_core(lambda x: x * x, range(20)) == [x * x for x in range(20)]
        with pytest.raises(ZeroDivisionError):
            on_every_core(lambda x: 1 // x, [1, 0, 2])
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)


def test_decoding_projects_the_source_once_and_its_own_past_never_again(model):
    calls = {"cross": [], "own": []}
    for layer in model.decoder_layers:
        for name, attention in (("cross", layer.cross_attention), ("own", layer.self_attention)):
            note = calls[name].append
            attention.key_value.register_forward_hook(lambda _, x, y, note=note: note(y.shape[:-1].numel()))
    sources = [[7, 8, 9]] * 4
    TorchEngine(model).translate(sources, SearchOptions(3, min_length=5, max_length_factor=0.0, max_length_extra=6))
    layers = len(model.decoder_layers)
    assert calls["cross"] == [4 * 4] * layers  # four sentences of three pieces and `</s>`, all at once
    # One new position of every hypothesis a step: one hypothesis a sentence at first, then three; six steps.
    assert calls["own"] == [4] * layers + [12] * 5 * layers


@torch.inference_mode()
def test_the_kernels_of_a_step_do_not_grow_with_hypotheses_or_length(model):
    counts = set()
    for batch, beam, steps in itertools.product((1, 7), (1, 5), (1, 20)):
        state = model.start(torch.full((batch, 3), 5), torch.full((batch,), 3))
        for _ in range(steps):
            parents = torch.zeros(batch, beam, dtype=torch.long)
            _, state = model.step(torch.full((batch, state.beam_indices.size(1)), 5), state)
            state = state.select(torch.arange(batch), parents)
        with Calls() as calls:
            model.step(torch.full((batch, beam), 5), state)
        counts.add(calls.count)
    assert len(counts) == 1 and counts.pop() < 30 * len(model.decoder_layers)


def test_a_search_step_has_few_kernels_beside_the_network(model):
    # A Python loop over hypotheses would need several for each of the forty.
    options = SearchOptions(5, min_length=19, max_length_factor=0.0, max_length_extra=20)
    with Calls() as step, torch.inference_mode():
        model.step(torch.full((8, 1), 5), model.start(torch.full((8, 3), 5), torch.full((8,), 3)))
    with Calls() as whole:
        TorchEngine(model).translate([[7, 8]] * 8, options)
    assert whole.count < 20 * (step.count + 45)


def test_training_never_forms_all_logits(model):
    batch = make_batch([[5] * 9] * 120, [[6] * 9] * 120)  # 1,200 labels
    with Calls() as calls:
        batch_loss(model.train(), batch, Objective(0.1)).backward()
    assert calls.largest <= CHUNK * VOCABULARY < batch.labels.numel() * VOCABULARY / 2


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 5), max_size=6), st.booleans(), st.integers(1, 3))
def test_working_ahead_gives_what_working_in_turn_gives(items, broken, count):
    def source():
        yield from items
        if broken:
            raise UserError("the input ends badly")

    def collect(pairs) -> tuple[list, str]:
        found: list = []
        try:
            for pair in pairs:
                found.append(pair)  # noqa: PERF402
        except (ZeroDivisionError, UserError) as error:
            return found, str(error)
        return found, ""

    in_turn = ((item, 6 // item) for item in source())
    assert collect(prefetch(lambda item: 6 // item, source(), count)) == collect(in_turn)


def test_what_waits_is_left_when_interrupted(monkeypatch):
    release, worked = threading.Event(), []

    class Pool(ThreadPoolExecutor):
        def shutdown(self, wait=True, *, cancel_futures=False):
            super().shutdown(wait=False, cancel_futures=cancel_futures)
            release.set()  # only now does the item that is being worked on get done
            super().shutdown(wait)

    def work(item):
        release.wait(600)
        worked.append(item)

    def interrupt(*_):
        raise KeyboardInterrupt

    def ends_in_an_interrupt():
        yield 0
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        next(prefetch(str, ends_in_an_interrupt(), 2))
    monkeypatch.setattr("nmt.prefetch.ThreadPoolExecutor", Pool)
    monkeypatch.setattr(Future, "result", interrupt)
    with pytest.raises(KeyboardInterrupt):
        next(prefetch(work, iter([0, 1]), 1))
    assert 1 not in worked
